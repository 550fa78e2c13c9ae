// Turns WebSocket messages into HTTP body parts and back, so that a route handler can hold a
// socket with the server's own back-pressure. Answers pings and closes.
// SPDX-License-Identifier: Apache-2.0
public import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Limits of the WebSocket layer that hold for every socket of a server.
public struct WebSocketServerLimits: Sendable {
    /// Frame and message limit before a handler raises it, in bytes.
    public var initialFrameBytes = 64 * 1024
    /// No handler can raise the limit above this, in bytes.
    public var frameBytesMax = 1 << 20
    /// Fragments of one message.
    public var fragmentsMax = 64
    /// Time between pings; a peer that answered nothing by the next one is dropped.
    public var pingInterval: TimeAmount = .seconds(20)
    /// How long a peer may take to answer a close frame.
    public var closeTimeout: TimeAmount = .seconds(5)
    /// How long a peer may take nothing of what waits for it.
    public var stallTimeout: TimeAmount = .seconds(10)
    /// Unsent bytes above which a connection counts as not writable.
    public var writeHighWaterBytes = 256 * 1024

    public init() {}
}

/// What the first byte of an outgoing body part means.
enum WebSocketPart {
    static let text: UInt8 = 1
    static let close: UInt8 = 8
    static let limit: UInt8 = 16
}

final class WebSocketBridge: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = WebSocketFrame

    private let limits: WebSocketServerLimits
    private let gate: WebSocketFrameGate
    private var closeSent = false
    /// The peer has closed too, or had its time: the connection may be torn down.
    private var mayClose = false
    private var inboundEnded = false
    private var isPongDue = false
    private var pinger: RepeatedTask?
    private var stall: Scheduled<Void>?

    init(limits: WebSocketServerLimits, gate: WebSocketFrameGate) {
        self.limits = limits
        self.gate = gate
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
        pinger = context.eventLoop.scheduleRepeatedTask(
            initialDelay: limits.pingInterval, delay: limits.pingInterval
        ) { _ in
            let (context, handler) = bound.value
            handler.ping(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { stopTimers() }

    func channelInactive(context: ChannelHandlerContext) {
        stopTimers()
        endInbound(context)
        context.fireChannelInactive()
    }

    private func stopTimers() {
        pinger?.cancel()
        stall?.cancel()
    }

    private func ping(_ context: ChannelHandlerContext) {
        if isPongDue { return tearDown(context) }
        if closeSent { return }
        isPongDue = true
        let frame = WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stall?.cancel()
        stall = nil
        if !context.channel.isWritable {
            let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
            stall = context.eventLoop.scheduleTask(in: limits.stallTimeout) {
                let (context, handler) = bound.value
                handler.tearDown(context)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: from the peer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        isPongDue = false
        if inboundEnded && frame.opcode != .connectionClose { return }
        switch frame.opcode {
        case .text: receiveText(context, frame.unmaskedData)
        case .binary: fail(context, .unacceptableData)
        case .ping where !closeSent:
            let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .connectionClose: receiveClose(context, frame.unmaskedData)
        default: break
        }
    }

    private func receiveText(_ context: ChannelHandlerContext, _ payload: ByteBuffer) {
        guard String(validating: payload.readableBytesView, as: UTF8.self) != nil else {
            return fail(context, .dataInconsistentWithMessage)
        }
        var part = context.channel.allocator.buffer(capacity: payload.readableBytes + 1)
        part.writeInteger(WebSocketPart.text)
        part.writeImmutableBuffer(payload)
        context.fireChannelRead(wrapInboundOut(.body(part)))
    }

    /// RFC 6455 section 5.5.1: answer with the same code, then close.
    private func receiveClose(_ context: ChannelHandlerContext, _ payload: ByteBuffer) {
        var rest = payload
        var code = WebSocketErrorCode.normalClosure
        if rest.readableBytes > 0 {
            let given = rest.readWebSocketErrorCode()
            let isText = String(validating: rest.readableBytesView, as: UTF8.self) != nil
            code = .protocolError
            if let given, isText, Self.mayBeSent(given) { code = given }
        }
        if closeSent {
            tearDown(context)
            endInbound(context)
        } else {
            fail(context, code)
        }
    }

    /// Codes a peer may put into a close frame (RFC 6455 section 7.4).
    private static func mayBeSent(_ code: WebSocketErrorCode) -> Bool {
        switch UInt16(webSocketErrorCode: code) {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let violation as WebSocketViolation:
            fail(context, WebSocketErrorCode(codeNumber: Int(violation.code)))
        case is ChannelShouldQuiesceEvent:
            fail(context, .goingAway)
        case ChannelEvent.inputClosed:
            endInbound(context)
            tearDown(context)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case is NIOWebSocketError, is NIOWebSocketFrameAggregator.Error:
            fail(context, .protocolError)
        default:
            context.fireErrorCaught(error)
        }
    }

    // MARK: from the handler

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .body(.byteBuffer(let part)) where !closeSent:
            writePart(context, part, promise: promise)
        case .end:
            fail(context, .normalClosure)
            promise?.succeed()
        default:
            promise?.succeed()
        }
    }

    private func writePart(
        _ context: ChannelHandlerContext, _ whole: ByteBuffer, promise: EventLoopPromise<Void>?
    ) {
        var part = whole
        switch part.readInteger(as: UInt8.self) {
        case WebSocketPart.text:
            let frame = WebSocketFrame(fin: true, opcode: .text, data: part)
            context.write(wrapOutboundOut(frame), promise: promise)
        case WebSocketPart.limit:
            let bytes = Int(part.readInteger(as: UInt32.self) ?? 0)
            gate.setLimit(min(bytes, limits.frameBytesMax))
            promise?.succeed()
        case WebSocketPart.close:
            let code = Int(part.readInteger(as: UInt16.self) ?? 1011)
            fail(context, WebSocketErrorCode(codeNumber: code), reason: part)
            promise?.succeed()
        default:
            promise?.succeed()
        }
    }

    /// Close frame, end of output, then a bounded time for the peer to close. An immediate close
    /// with unread input would send a reset, and the peer would never see the close frame: so what
    /// still comes is read and forgotten until the peer closes.
    private func fail(
        _ context: ChannelHandlerContext, _ code: WebSocketErrorCode, reason: ByteBuffer? = nil
    ) {
        endInbound(context)
        if closeSent { return }
        closeSent = true
        var payload = context.channel.allocator.buffer(capacity: 2)
        payload.write(webSocketErrorCode: code)
        if let reason { payload.writeImmutableBuffer(reason) }
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: payload)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        context.close(mode: .output, promise: nil)
        context.read()
        let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: limits.closeTimeout) {
            let (context, handler) = bound.value
            handler.tearDown(context)
        }
    }

    private func tearDown(_ context: ChannelHandlerContext) {
        mayClose = true
        context.close(promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if closeSent && !mayClose { context.read() }
    }

    /// The route's handler is done; the peer may still be owed the close frame.
    func close(
        context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?
    ) {
        guard closeSent, !mayClose, context.channel.isActive else {
            return context.close(mode: mode, promise: promise)
        }
        if let promise { context.channel.closeFuture.cascade(to: promise) }
    }

    private func endInbound(_ context: ChannelHandlerContext) {
        if inboundEnded { return }
        inboundEnded = true
        context.fireChannelRead(wrapInboundOut(.end(nil)))
        context.fireChannelReadComplete()
    }
}
