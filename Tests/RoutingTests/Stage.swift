// A node with stand-ins around it, and clients that talk to it.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import Routing
import Signaling
import Testing

/// A folder of its own that goes away with it.
final class ScratchFolder: Sendable {
    let path: String

    init() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "rh-routing-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: path + "/" + name)))
    }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
        try Data(Array(bytes)).write(to: URL(filePath: path + "/" + name))
    }
}

let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

struct Stage {
    let folder: ScratchFolder
    let clock: ManualClock
    let media: FakeMedia
    let service = FakeMeetingService()
    let core: NodeCore

    /// - Parameter folder: an earlier node's, for a restart.
    init(
        in folder: ScratchFolder? = nil, clock: ManualClock = ManualClock(),
        _ change: (inout RoutingConfiguration) -> Void = { _ in }
    ) throws {
        let folder = try folder ?? ScratchFolder()
        var configuration = RoutingConfiguration(
            nodeID: "n1", address: "ws://127.0.0.1/ws", dataFolder: folder.path)
        change(&configuration)
        self.folder = folder
        self.clock = clock
        media = FakeMedia()
        core = try NodeCore(
            RoutingParts(
                tickets: PlainTickets(), meetings: service, media: media, clock: clock,
                logger: quiet), configuration)
    }

    func connect(from address: String = "192.0.2.1", bearer: String? = nil) -> Client {
        Client(core, address: address, bearer: bearer)
    }

    /// A client that has joined and read its MEETING_USERS.
    func join(
        _ account: String, meeting: String = "m", role: String? = nil
    ) async throws -> Client {
        let client = connect()
        if role == "recorder" {
            client.say(
                meeting,
                .recordJoin(ticket: PlainTickets.make(meeting, account, role: "recorder")))
        } else {
            client.say(
                meeting,
                .join(Join(accountID: account, ticket: PlainTickets.make(meeting, account))))
        }
        _ = try await client.next("MEETING_USERS")
        return client
    }
}

/// One client. Packets are read one after the other; a test that waits for one which never comes
/// fails by its time limit.
final class Client {
    let socket = FakeSocket()
    private var packets: AsyncStream<Packet>.AsyncIterator
    private let task: Task<Void, Never>

    init(_ core: NodeCore, address: String, bearer: String?) {
        packets = socket.sent.makeAsyncIterator()
        task = Task { [socket] in
            await core.serve(socket, from: address, bearer: bearer, socket.incoming)
        }
    }

    func say(_ meeting: String, _ body: PacketBody) { socket.say(Packet(meeting, body).text) }

    /// The next packet, which must be of this type.
    @discardableResult
    func next(
        _ type: String, _ location: SourceLocation = #_sourceLocation
    ) async throws -> PacketBody {
        let packet = try #require(await packets.next(), "closed", sourceLocation: location)
        try #require(
            packet.body.contentType == type, "\(packet.text)", sourceLocation: location)
        return packet.body
    }

    /// The next packet of this type, whatever comes before.
    @discardableResult
    func skip(
        to type: String, _ location: SourceLocation = #_sourceLocation
    ) async throws -> PacketBody {
        while true {
            let packet = try #require(
                await packets.next(), "closed before \(type)", sourceLocation: location)
            if packet.body.contentType == type { return packet.body }
        }
    }

    /// Everything that comes until the node closes the socket.
    func rest() async -> [String] {
        var types: [String] = []
        while let packet = await packets.next() { types.append(packet.body.contentType) }
        return types
    }

    func error(_ location: SourceLocation = #_sourceLocation) async throws -> String {
        guard case .error(let message) = try await next("ERROR", location) else { return "" }
        return message
    }

    func denial(_ location: SourceLocation = #_sourceLocation) async throws -> String? {
        guard case .joinDenied(let reason) = try await next("JOIN_DENIED", location) else {
            return nil
        }
        return reason
    }

    /// Ends the connection and waits until the node has noticed.
    func leave() async {
        socket.vanish()
        await task.value
    }

    /// Waits until the node is done with this socket.
    func finish() async { await task.value }
}
