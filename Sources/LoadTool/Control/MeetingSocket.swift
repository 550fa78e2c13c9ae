// The WebSocket of one participant. SPDX-License-Identifier: Apache-2.0

package import NIOCore
import NIOHTTP1
import NIOPosix
package import NIOSSL
import NIOWebSocket

/// How sockets are opened.
package struct SocketOptions: Sendable {
    /// For wss.
    package var tls: NIOSSLContext?
    /// Source addresses are spread over 127.0.0.0/8: servers limit the sockets of one address.
    package var spreadsLoopback = true
    package var timeout = TimeAmount.seconds(20)
    /// Name of what is spoken (RFC 6455 section 1.9).
    package var subprotocol = "roundhouse.v1"

    package init() {}
}

/// What a socket tells its owner, on its event loop.
package struct SocketEvents: Sendable {
    package var text: @Sendable (ByteBuffer) -> Void
    /// Once; the code of the close frame, if one came.
    package var closed: @Sendable (UInt16?) -> Void

    package init(
        text: @escaping @Sendable (ByteBuffer) -> Void,
        closed: @escaping @Sendable (UInt16?) -> Void
    ) {
        self.text = text
        self.closed = closed
    }
}

/// One open socket (RFC 6455) of a subprotocol.
package struct MeetingSocket: Sendable {
    static let messageBytesMax = 8 << 20

    private let channel: any Channel

    /// Connects and upgrades.
    ///
    /// - Parameters:
    ///   - index: of the participant, for its source address.
    package static func connect(
        _ url: String, on eventLoop: any EventLoop, options: SocketOptions, index: Int,
        events: SocketEvents
    ) async throws -> MeetingSocket {
        guard let target = LoadURL(url, schemes: ("ws", "wss")),
            let separator = url.firstRange(of: "://")
        else { throw LoadFailure("the meeting service gave no WebSocket URL", url) }
        let rest = url[separator.upperBound...]
        let path = rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
        let upgraded = eventLoop.makePromise(of: (any Channel).self)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(options.timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try prepare(
                        channel, Upgrade(
                            target: target, path: path, tls: options.tls,
                            subprotocol: options.subprotocol, events: events, done: upgraded))
                }
            }
        if options.spreadsLoopback, let source = try source(for: target.host, index) {
            _ = bootstrap.bind(to: source)
        }
        do {
            let channel = try await bootstrap.connect(host: target.host, port: target.port).get()
            let timer = eventLoop.scheduleTask(in: options.timeout) {
                upgraded.fail(LoadFailure("the WebSocket handshake timed out"))
                channel.close(promise: nil)
            }
            defer { timer.cancel() }
            return MeetingSocket(channel: try await upgraded.futureResult.get())
        } catch {
            upgraded.fail(error)
            throw error as? LoadFailure ?? LoadFailure("the socket did not connect", "\(error)")
        }
    }

    /// 127.0.0.1 … 127.0.0.250, one for each hundred participants.
    private static func source(for host: String, _ index: Int) throws -> SocketAddress? {
        guard host == "localhost" || host.hasPrefix("127.") else { return nil }
        return try SocketAddress(ipAddress: "127.0.0.\(1 + index / 100 % 250)", port: 0)
    }

    private struct Upgrade {
        var target: LoadURL
        var path: String
        var tls: NIOSSLContext?
        var subprotocol: String
        var events: SocketEvents
        var done: EventLoopPromise<any Channel>
    }

    private static func prepare(_ channel: any Channel, _ upgrade: Upgrade) throws {
        let sync = channel.pipeline.syncOperations
        if upgrade.target.isTLS, let tls = upgrade.tls {
            let isName = (try? SocketAddress(ipAddress: upgrade.target.host, port: 0)) == nil
            try sync.addHandler(
                NIOSSLClientHandler(
                    context: tls, serverHostname: isName ? upgrade.target.host : nil))
        }
        let done = upgrade.done
        let subprotocol = upgrade.subprotocol
        let request = RequestHandler(upgrade.target.authority, upgrade.path, subprotocol, done)
        let upgrader = NIOWebSocketClientUpgrader(
            maxFrameSize: messageBytesMax,
            upgradePipelineHandler: { channel, response in
                channel.eventLoop.makeCompletedFuture {
                    guard response.headers.first(name: "Sec-WebSocket-Protocol")
                        == subprotocol
                    else { throw LoadFailure("the server does not speak \(subprotocol)") }
                    let sync = channel.pipeline.syncOperations
                    try sync.addHandler(
                        NIOWebSocketFrameAggregator(
                            minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 4096,
                            maxAccumulatedFrameSize: messageBytesMax))
                    try sync.addHandler(MessageHandler(upgrade.events))
                }.flatMapErrorThrowing { error in
                    done.fail(error)
                    throw error
                }
            })
        try sync.addHTTPClientHandlers(
            withClientUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in
                    context.pipeline.syncOperations.removeHandler(request, promise: nil)
                    done.succeed(context.channel)
                }
            ))
        try sync.addHandler(request)
    }

    /// Queues a text message. From any thread.
    package func send(_ text: String) {
        let frame = WebSocketFrame(
            fin: true, opcode: .text, maskKey: .random(), data: ByteBuffer(string: text))
        channel.writeAndFlush(frame, promise: nil)
    }

    /// Says close 1000 and ends the connection.
    package func close() {
        var data = ByteBuffer()
        data.writeInteger(UInt16(1000))
        let frame = WebSocketFrame(
            fin: true, opcode: .connectionClose, maskKey: .random(), data: data)
        let channel = channel
        channel.writeAndFlush(frame).whenComplete { _ in channel.close(promise: nil) }
    }
}

/// Sends the upgrade's request and turns any other answer into a failure.
private final class RequestHandler: ChannelInboundHandler, RemovableChannelHandler,
    @unchecked Sendable {
    // Unchecked: used on its channel's event loop only.
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let authority: String
    private let path: String
    private let subprotocol: String
    private let done: EventLoopPromise<any Channel>

    init(
        _ authority: String, _ path: String, _ subprotocol: String,
        _ done: EventLoopPromise<any Channel>
    ) {
        self.authority = authority
        self.path = path
        self.subprotocol = subprotocol
        self.done = done
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
        head.headers.add(name: "Host", value: authority)
        head.headers.add(name: "Sec-WebSocket-Protocol", value: subprotocol)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) {
            done.fail(LoadFailure("the WebSocket was refused", "HTTP \(head.status.code)"))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(LoadFailure("the socket failed", "\(error)"))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(LoadFailure("the server closed the connection"))
        context.fireChannelInactive()
    }
}

/// Frames to texts; answers pings and closes.
private final class MessageHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let events: SocketEvents
    private var code: UInt16?

    init(_ events: SocketEvents) { self.events = events }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text: events.text(frame.unmaskedData)
        case .ping:
            let pong = WebSocketFrame(
                fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            var data = frame.unmaskedData
            code = data.readInteger(as: UInt16.self)
            let answer = WebSocketFrame(
                fin: true, opcode: .connectionClose, maskKey: .random(),
                data: frame.unmaskedData)
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(answer)).whenComplete { _ in
                channel.close(promise: nil)
            }
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        events.closed(code)
        context.fireChannelInactive()
    }
}
