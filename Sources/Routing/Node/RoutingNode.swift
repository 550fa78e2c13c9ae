// A routing node: live meetings behind WebSockets, media beside them.
// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import Logging
public import ServiceKit
public import ServiceLifecycle
import Synchronization

/// Put it into a service group before the HTTP server that carries its routes.
public final class RoutingNode: Service {
    /// Between two looks at what time has made due.
    private static let tickInterval: Duration = .milliseconds(100)
    /// Until the first beat was accepted.
    private static let firstBeatInterval: Duration = .milliseconds(200)
    /// How long a last word to the meeting service may take at shutdown.
    private static let farewell: Duration = .seconds(2)

    private let core: NodeCore
    private let registered = Atomic(false)

    /// Reads the end journal. Throws `JournalError` when it can't be.
    public init(
        _ configuration: RoutingConfiguration, tickets: any TicketChecking,
        meetings: any MeetingService, media: any MediaNode, logger: Logger
    ) throws(JournalError) {
        core = try NodeCore(
            RoutingParts(
                tickets: tickets, meetings: meetings, media: media, clock: SystemClock(),
                logger: logger), configuration)
    }

    /// The meeting service knows this node, and it takes new meetings.
    public var isReady: Bool { registered.load(ordering: .relaxed) && !core.isDraining }

    /// Takes no new meetings from now on.
    public func drain() { core.drain() }

    // MARK: Routes

    /// `GET /ws`: the WebSocket of the protocol. `GET /node`: what this node says of itself.
    public var routes: [Route] {
        [
            Route(.get, "/ws") { [core] request, context in
                try Self.upgrade(request, context, core)
            },
            Route(.get, "/node") { [core] _, _ in try .json(NodeDescription(core)) },
        ]
    }

    public func addRoutes(to router: Router<HTTPContext>) {
        router.add(routes)
    }

    private static func upgrade(
        _ request: Request, _ context: HTTPContext, _ core: NodeCore
    ) throws -> Response {
        let (address, bearer) = (context.clientAddress, request.bearerToken)
        guard core.sockets.hasRoom(for: address) else {
            core.metrics.closed("full")
            throw Problem.retry(.tooManyRequests, after: 5, "too many connections")
        }
        let options = WebSocketOptions(
            subprotocols: ["roundhouse.v1"], frameLimit: core.limits.frameBytesBeforeJoin,
            allowedOrigins: core.configuration.allowedOrigins)
        return try request.webSocket(options) { socket in
            await core.serve(
                ServedSocket(socket), from: address, bearer: bearer, socket.messages)
        }
    }

    /// Writes the node's metrics; for a collector of the registry.
    public func collect(into writer: inout PrometheusWriter) {
        for metric in core.readMetrics() { metric.write(to: &writer) }
    }

    // MARK: Life

    /// Runs until graceful shutdown.
    public func run() async throws {
        try await core.media.start()
        let work = Task { await self.work() }
        // Throws only when this task is cancelled; either way the node goes down in order.
        try? await gracefulShutdown()
        await shutDown()
        work.cancel()
        await work.value
    }

    private func work() async {
        await withTaskGroup { group in
            let core = self.core
            group.addTask {
                await Self.forever(every: Self.tickInterval, core) { await core.tick() }
            }
            group.addTask {
                await Self.forever(every: .milliseconds(250), core) { await core.reporter.report() }
            }
            group.addTask {
                await Self.forever(every: .seconds(1), core) { await core.media.measure() }
            }
            group.addTask { await self.beatForever() }
            group.addTask { for await batch in core.media.news { await core.hear(batch) } }
        }
    }

    private static func forever(
        every interval: Duration, _ core: NodeCore, _ job: () async -> Void
    ) async {
        while !Task.isCancelled {
            await job()
            try? await core.clock.sleep(for: interval)
        }
    }

    private func beatForever() async {
        let interval = core.configuration.beatInterval
        while !Task.isCancelled {
            let isAccepted = await core.beat()
            if isAccepted { registered.store(true, ordering: .relaxed) }
            let isKnown = registered.load(ordering: .relaxed)
            // Jitter keeps the nodes of a fleet from beating in step.
            let wait = isKnown ? interval * Double.random(in: 0.8...1) : Self.firstBeatInterval
            try? await core.clock.sleep(for: wait)
        }
    }

    /// Sockets first, then the last words, the disk, and the media plane.
    private func shutDown() async {
        core.drain()
        for socket in core.sockets.close() {
            socket.close(.goingAway, text: "the node goes down")
        }
        await core.journal.flush()
        await withTaskGroup { group in
            let core = self.core
            group.addTask {
                _ = await core.beat()
                await core.reporter.report()
            }
            group.addTask { try? await core.clock.sleep(for: Self.farewell) }
            await group.next()
            group.cancelAll()
        }
        await core.journal.flush()
        await core.media.stop()
    }
}

/// The body of `GET /node`.
struct NodeDescription: Encodable {
    var node_id: String
    var address: String
    var subprotocol = "roundhouse.v1"
    var capacity: Int
    var meetings: Int
    var users: Int
    var sockets: Int
    /// 0 to 1.
    var load: Double
    var draining: Bool
    var media_ports: [UInt16]
    var cipher: String

    init(_ core: NodeCore) {
        node_id = core.configuration.nodeID
        address = core.configuration.address
        capacity = core.configuration.capacity
        meetings = core.directory.openCount
        users = core.directory.participants
        sockets = core.sockets.count
        load = core.media.load
        draining = core.isDraining
        media_ports = core.media.ports
        cipher = core.media.cipher
    }
}

/// A WebSocket of the server as a session's socket.
private final class ServedSocket: SignalSocket {
    private let socket: WebSocket

    init(_ socket: WebSocket) { self.socket = socket }

    func send(_ text: String) -> Bool { socket.send(text) }

    func close(_ reason: SignalClose, text: String) {
        switch reason {
        case .normal: socket.close(.normal, reason: text)
        case .goingAway: socket.close(.goingAway, reason: text)
        case .policyViolation: socket.close(.policyViolation, reason: text)
        }
    }

    func raiseFrameLimit(to bytes: Int) { socket.raiseFrameLimit(to: bytes) }
}
