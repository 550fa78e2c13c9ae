// The WebSocket layer over real sockets: handshakes, bad frames, limits, closing.
// SPDX-License-Identifier: Apache-2.0
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceKit
import ServiceLifecycle
import Testing

/// A connection that speaks bytes.
struct RawClient {
    private var iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var buffer = ByteBuffer()

    static func with<Value: Sendable>(
        port: Int, _ body: @Sendable (inout RawClient) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var client = RawClient(iterator: inbound.makeAsyncIterator(), outbound: outbound)
            return try await body(&client)
        }
    }

    private init(
        iterator: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
        outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.iterator = iterator
        self.outbound = outbound
    }

    func send(_ bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }
    func send(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }

    /// False at the end of the stream.
    private mutating func more() async throws -> Bool {
        guard var next = try await iterator.next() else { return false }
        buffer.writeBuffer(&next)
        return true
    }

    /// The head of the next HTTP answer.
    mutating func head() async throws -> String {
        while true {
            let text = String(buffer: buffer)
            if let end = text.range(of: "\r\n\r\n") {
                let head = String(text[..<end.upperBound])
                buffer.moveReaderIndex(forwardBy: head.utf8.count)
                return head
            }
            guard try await more() else { return text }
        }
    }

    /// Opcode and payload of the next frame; nil at the end of the stream.
    mutating func frame() async throws -> (opcode: UInt8, payload: [UInt8])? {
        while true {
            if let frame = parse() { return frame }
            guard try await more() else { return nil }
        }
    }

    private mutating func parse() -> (opcode: UInt8, payload: [UInt8])? {
        var rest = buffer
        guard let first = rest.readInteger(as: UInt8.self),
            let second = rest.readInteger(as: UInt8.self)
        else { return nil }
        var length = Int(second & 127)
        if length == 126 {
            guard let long = rest.readInteger(as: UInt16.self) else { return nil }
            length = Int(long)
        } else if length == 127 {
            guard let long = rest.readInteger(as: UInt64.self) else { return nil }
            length = Int(long)
        }
        guard let payload = rest.readBytes(length: length) else { return nil }
        buffer = rest
        return (first & 15, payload)
    }

    /// Skips to the close frame and returns its code, then expects the end of the stream.
    mutating func closeCode() async throws -> UInt16? {
        while let frame = try await frame() {
            guard frame.opcode == 8 else { continue }
            return frame.payload.count < 2
                ? nil : UInt16(frame.payload[0]) << 8 | UInt16(frame.payload[1])
        }
        return nil
    }

    mutating func upgrade(_ path: String = "/echo") async throws {
        try await send(handshake(path))
        let head = try await head()
        #expect(head.hasPrefix("HTTP/1.1 101 "), "\(head)")
        // The example of RFC 6455 section 1.3.
        #expect(head.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
    }
}

func handshake(
    _ path: String = "/echo", method: String = "GET", version: String = "13", extra: String = ""
) -> String {
    "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        + "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "Sec-WebSocket-Version: \(version)\r\n\(extra)\r\n"
}

/// Runs a server with a few sockets while `body` runs.
func withServer(
    ended: AsyncStream<Void>.Continuation? = nil,
    _ body: @escaping @Sendable (Int) async throws -> Void
) async throws {
    let router = Router(context: HTTPContext.self)
    router.add(middleware: RequestMiddleware(methods: MethodIndex([]), limiter: nil))
    router.get("hello") { _, _ in "hello" }
    router.get("echo") { request, _ in
        try request.webSocket(WebSocketOptions(subprotocols: ["v2", "v1"])) { socket in
            for await text in socket.messages {
                if text == "raise" { socket.raiseFrameLimit(to: 1 << 20) }
                if text == "bye" { return socket.close(.policyViolation, reason: "as asked") }
                if text == "throw" { throw CancellationError() }
                socket.send(text)
            }
        }
    }
    router.get("refuse") { _, _ -> Response in throw Problem.unauthorized("no") }
    router.get("origin") { request, _ in
        try request.webSocket(WebSocketOptions(allowedOrigins: ["https://a.example"])) { _ in }
    }
    router.get("flood") { request, _ in
        var options = WebSocketOptions()
        options.queueBytesMax = 1000
        return try request.webSocket(options) { socket in
            while socket.send(String(repeating: "x", count: 100)) {}
        }
    }
    router.get("stall") { request, _ in
        var options = WebSocketOptions()
        options.queueBytesMax = 64 << 20
        return try request.webSocket(options) { socket in
            for _ in 0..<60 { socket.send(String(repeating: "x", count: 1 << 20)) }
            for await _ in socket.messages {}
            ended?.yield()
        }
    }
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    var configuration = HTTPServiceConfiguration(host: "127.0.0.1", port: 0)
    configuration.webSocket.closeTimeout = .milliseconds(200)
    configuration.webSocket.stallTimeout = .milliseconds(300)
    let server = try HTTPService(configuration, router: router, logger: logger) {
        continuation.yield($0)
    }
    let group = ServiceGroup(services: [server], logger: logger)
    try await withThrowingTaskGroup { tasks in
        tasks.addTask { try await group.run() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let result = await Task { try await body(port) }.result
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        try result.get()
    }
}

@Suite(.timeLimit(.minutes(2))) struct WebSocketServerTests {
    @Test func textFragmentsPingsAndClose() async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                try await client.upgrade()
                try await client.send(FrameBytes(opcode: 1, payload: Array("h\u{e9}".utf8)).bytes)
                #expect(try await client.frame()?.payload == Array("h\u{e9}".utf8))
                let text = Array("h\u{e9}".utf8)
                try await client.send(
                    FrameBytes(opcode: 1, payload: Array(text[..<2]), isFinal: false).bytes
                        + FrameBytes(opcode: 9, payload: Array("mid".utf8)).bytes
                        + FrameBytes(opcode: 0, payload: Array(text[2...])).bytes)
                let pong = try await client.frame()
                #expect(pong?.opcode == 10 && pong?.payload == Array("mid".utf8))
                #expect(try await client.frame()?.payload == text)
                try await client.send(FrameBytes(opcode: 1).bytes)
                #expect(try await client.frame()?.payload == [])
                try await client.send(FrameBytes(opcode: 8, payload: [3, 232]).bytes)
                #expect(try await client.closeCode() == 1000)
                #expect(try await client.frame() == nil)
            }
        }
    }

    @Test func badInputGetsItsCloseCode() async throws {
        let text = [UInt8](repeating: 120, count: 65_537)
        var cases = badFrames.filter { $0.code == 1002 }
        cases += [
            FrameCase("bad UTF-8", [FrameBytes(opcode: 1, payload: [0xFF, 0xFE])], 1007),
            FrameCase("binary", [FrameBytes(opcode: 2, payload: [1])], 1003),
            FrameCase("close code 1005", [FrameBytes(opcode: 8, payload: [3, 237])], 1002),
            FrameCase("close of one byte", [FrameBytes(opcode: 8, payload: [3])], 1002),
            FrameCase(
                "close with bad UTF-8", [FrameBytes(opcode: 8, payload: [3, 232, 0xFF])], 1002),
            FrameCase("frame above 64 KiB", [FrameBytes(opcode: 1, payload: text)], 1009),
        ]
        let all = cases
        try await withServer { port in
            for item in all {
                try await RawClient.with(port: port) { client in
                    try await client.upgrade()
                    try await client.send(item.bytes)
                    #expect(try await client.closeCode() == item.code, "\(item.name)")
                }
            }
        }
    }

    @Test func raisedLimitHolds() async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                try await client.upgrade()
                try await client.send(FrameBytes(opcode: 1, payload: Array("raise".utf8)).bytes)
                _ = try await client.frame()
                let large = [UInt8](repeating: 120, count: 1 << 20)
                try await client.send(FrameBytes(opcode: 1, payload: large).bytes)
                #expect(try await client.frame()?.payload.count == 1 << 20)
                try await client.send(FrameBytes(opcode: 1, payload: large + [120]).bytes)
                #expect(try await client.closeCode() == 1009)
            }
        }
    }

    @Test func handlersCloseAsTheyEnd() async throws {
        try await withServer { port in
            for (word, code) in [("bye", UInt16(1008)), ("throw", 1011)] {
                try await RawClient.with(port: port) { client in
                    try await client.upgrade()
                    try await client.send(FrameBytes(opcode: 1, payload: Array(word.utf8)).bytes)
                    #expect(try await client.closeCode() == code)
                }
            }
            try await RawClient.with(port: port) { client in
                try await client.upgrade("/flood")
                #expect(try await client.closeCode() == 1008)
            }
        }
    }

    @Test(arguments: [
        ("/echo", "GET", "8", "", "426"), ("/echo", "POST", "13", "", "404"),
        ("/refuse", "GET", "13", "", "401"), ("/none", "GET", "13", "", "404"),
        ("/echo", "GET", "13", "Origin: http://evil.example\r\n", "403"),
        ("/echo", "GET", "13", "Origin: http://localhost\r\n", "101"),
        ("/origin", "GET", "13", "Origin: http://localhost\r\n", "403"),
        ("/origin", "GET", "13", "Origin: https://a.example\r\n", "101"),
        ("/origin", "GET", "13", "", "101"),
    ])
    func handshakesAreAnsweredLikeRequests(
        _ path: String, _ method: String, _ version: String, _ extra: String, _ status: String
    ) async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                let request = handshake(path, method: method, version: version, extra: extra)
                try await client.send(request)
                #expect(try await client.head().hasPrefix("HTTP/1.1 \(status) "))
            }
        }
    }

    @Test func plainRequestsAndOtherUpgradesWork() async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                try await client.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.head().hasPrefix("HTTP/1.1 426 "))
            }
            try await RawClient.with(port: port) { client in
                try await client.send(
                    "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                        + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
                #expect(try await client.head().hasPrefix("HTTP/1.1 200 "))
            }
        }
    }

    @Test func secondRequestOfAConnectionMayUpgrade() async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                try await client.send("HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(try await client.head().hasPrefix("HTTP/1.1 404 "))
                try await client.upgrade()
                try await client.send(FrameBytes(opcode: 1, payload: [65]).bytes)
                #expect(try await client.frame()?.payload == [65])
            }
        }
    }

    @Test func frameThatComesWithTheHandshakeIsRead() async throws {
        try await withServer { port in
            try await RawClient.with(port: port) { client in
                let early = FrameBytes(opcode: 1, payload: Array("early".utf8)).bytes
                try await client.send(
                    Array(handshake(extra: "Sec-WebSocket-Protocol: x, v1\r\n").utf8) + early)
                let head = try await client.head().lowercased()
                #expect(head.contains("sec-websocket-protocol: v1\r\n"))
                #expect(try await client.frame()?.payload == Array("early".utf8))
            }
        }
    }

    @Test func readerThatTakesNothingIsDropped() async throws {
        let (ends, ended) = AsyncStream.makeStream(of: Void.self)
        try await withServer(ended: ended) { port in
            try await RawClient.with(port: port) { client in
                try await client.upgrade("/stall")
                // Reads nothing: the handler must be told all the same.
                for await _ in ends { break }
            }
        }
    }

    @Test func shutdownSaysGoingAway() async throws {
        let (streams, continuation) = AsyncStream.makeStream(of: UInt16?.self)
        let clients = TaskBox()
        try await withServer { port in
            let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
            clients.task = Task {
                try? await RawClient.with(port: port) { client in
                    try await client.upgrade()
                    isReady.yield()
                    continuation.yield(try await client.closeCode())
                }
                isReady.finish()
                continuation.finish()
            }
            for await _ in ready { break }
        }
        var iterator = streams.makeAsyncIterator()
        #expect(await iterator.next() == .some(1001))
    }
}

/// Keeps a task alive beyond the closure that made it.
final class TaskBox: @unchecked Sendable {
    var task: Task<Void, Never>?
}
