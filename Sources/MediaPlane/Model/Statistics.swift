// Numbers about workers and participants, for metrics and people.
// SPDX-License-Identifier: Apache-2.0

/// Counters of one worker since its start. Each is exact on its own.
public struct WorkerCounters: Sendable, Equatable {
    public var worker = 0
    public var port: UInt16 = 0
    public var receivedPackets: UInt64 = 0, receivedBytes: UInt64 = 0
    public var sentPackets: UInt64 = 0, sentBytes: UInt64 = 0
    public var forwardedPackets: UInt64 = 0, resentPackets: UInt64 = 0
    public var relayedPackets: UInt64 = 0, relayFull: UInt64 = 0
    public var sendCalls: UInt64 = 0, receiveCalls: UInt64 = 0
    /// Kernel messages; those with `UDP_SEGMENT` carry `segmentedPackets` together.
    public var sentMessages: UInt64 = 0
    public var segmentedMessages: UInt64 = 0, segmentedPackets: UInt64 = 0
    /// The kernel refused `UDP_SEGMENT`; each packet is a message of its own since.
    public var isSegmentationRefused = false
    /// Messages that `UDP_GRO` put together, and the packets in them.
    public var coalescedMessages: UInt64 = 0, coalescedPackets: UInt64 = 0
    public var paddedPackets: UInt64 = 0, paddingBytes: UInt64 = 0
    /// Send queues flushed early for want of room.
    public var queueFull: UInt64 = 0
    public var sendDropped: UInt64 = 0, sendErrors: UInt64 = 0, kernelDropped: UInt64 = 0
    /// Reason and count, in a fixed order.
    public var drops: [(reason: String, count: UInt64)] = []
    public var eventsLost: UInt64 = 0, jobsRun: UInt64 = 0, loopLagMaxMicroseconds: UInt64 = 0
    /// The longest way of a packet through a relay ring.
    public var relayLagMaxMicroseconds: UInt64 = 0
    /// CPU time of the thread; its growth divided by time is the load, 0 to 1.
    public var busyMicroseconds: UInt64 = 0
    /// How long a packet may wait for company now.
    public var sendWindowMicroseconds: UInt64 = 0
    /// Packets by the time from their receive call to the kernel's having them: element i counts
    /// 2^i up to 2^(i+1) microseconds, the first also less, the last also more.
    public var forwardLatency: [UInt64] = []
    /// In use now.
    public var peers: UInt64 = 0, tracks: UInt64 = 0, slots: UInt64 = 0, buffers: UInt64 = 0
    /// Bytes that the kernel granted.
    public var receiveBufferBytes: UInt64 = 0, sendBufferBytes: UInt64 = 0
    public init() {}

    public static func == (a: WorkerCounters, b: WorkerCounters) -> Bool {
        a.worker == b.worker && a.receivedPackets == b.receivedPackets
            && a.sentPackets == b.sentPackets && a.jobsRun == b.jobsRun
    }
}

/// Counters of what the Swift side of a worker saw: feedback, handshakes, refusals.
public struct ControlCounters: Sendable, Equatable {
    public var stunRequests: UInt64 = 0, stunRefused: UInt64 = 0, stunMalformed: UInt64 = 0
    public var stunRateLimited: UInt64 = 0, dtlsWithoutPeer: UInt64 = 0, dtlsFailures: UInt64 = 0
    public var rtcpPackets: UInt64 = 0, rtcpMalformed: UInt64 = 0, rtcpIgnored: UInt64 = 0
    public var nacksReceived: UInt64 = 0, nacksSent: UInt64 = 0
    public var keyframeRequestsReceived: UInt64 = 0, keyframeRequestsSent: UInt64 = 0
    /// To the workers of mirrored tracks.
    public var keyframeRequestsRelayed: UInt64 = 0
    public var eventsDropped: UInt64 = 0
    public init() {}
}

/// One published encoding as it arrives.
public struct EncodingStatistics: Sendable {
    public var rid = ""
    public var ssrc: UInt32 = 0
    public var packets: UInt64 = 0, bytes: UInt64 = 0, keyframes: UInt64 = 0
    public var bitrate = 0
    public var isLive = false
}

/// One slot as it is sent.
public struct SlotStatistics: Sendable {
    public var slot: SlotID
    public var mid: String
    public var track: TrackID?
    /// RID of the encoding that is carried; nil: none yet.
    public var layer: String?
    public var packets: UInt64 = 0, bytes: UInt64 = 0, resent: UInt64 = 0
    public var isPaused = false
    /// The subscriber's last report, 0...1.
    public var lossFraction = 0.0
}

/// One participant's transport as it is now.
public struct ParticipantStatistics: Sendable {
    public var isConnected = false
    /// The selected remote address.
    public var remote: Endpoint?
    public var receivedPackets: UInt64 = 0, receivedBytes: UInt64 = 0
    public var sentPackets: UInt64 = 0, sentBytes: UInt64 = 0
    /// Measured by sender and receiver reports; nil before the first.
    public var roundTripMilliseconds: Double?
    /// Estimated downlink; nil while nothing limits it.
    public var estimateBitsPerSecond: Int?
    public var lossFraction = 0.0
    public var tracks: [(track: TrackID, encodings: [EncodingStatistics])] = []
    public var slots: [SlotStatistics] = []
    public init() {}
}
