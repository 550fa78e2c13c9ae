// How a routing node is set up.
// SPDX-License-Identifier: Apache-2.0

public import Signaling

/// What sockets may do.
public struct RoutingLimits: Sendable {
    /// From the upgrade to the first packet.
    public var firstPacketDeadline: Duration = .seconds(10)
    public var packetsPerSecond = 50
    /// Packets that may come at once.
    public var packetBurst = 200
    /// Sockets of one IP address.
    public var socketsPerAddress = 200
    public var socketsMax = 10_000
    /// Bytes of one message before and after the socket is in a meeting.
    public var frameBytesBeforeJoin = 64 * 1024
    public var frameBytesAfterJoin = 1024 * 1024

    public init() {}
}

public struct RoutingConfiguration: Sendable {
    /// Name of this node at the meeting service.
    public var nodeID: String
    /// WebSocket URL that clients reach it under.
    public var address: String
    /// Holds the end journal; made if it is missing.
    public var dataFolder: String
    /// Participants of all meetings together.
    public var capacity = 1000
    public var meeting = MeetingConfiguration()
    /// Ended meetings are remembered for at least this long.
    public var ticketLifetime: Duration = .seconds(24 * 3600)
    /// Origins whose pages may connect; nil: the node's own.
    public var allowedOrigins: Set<String>?
    public var limits = RoutingLimits()
    /// Between two reports to the meeting service.
    public var beatInterval: Duration = .seconds(5)

    public init(nodeID: String, address: String, dataFolder: String) {
        self.nodeID = nodeID
        self.address = address
        self.dataFolder = dataFolder
    }
}
