// Switches an HTTP/1.1 connection to WebSocket framing after the router has answered 101, so that
// a socket is an ordinary route: middleware, authentication, 401/404/426 all work as usual.
// SPDX-License-Identifier: Apache-2.0
import HummingbirdCore
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The HTTP handlers of a connection that have to go when it becomes a WebSocket.
struct HTTPHandlers {
    let encoder: HTTPResponseEncoder
    let decoder: ByteToMessageHandler<HTTPRequestDecoder>
    let connectionState: HTTPConnectionStateHandler
}

/// Sits between the HTTP codec and the rest. The end of a candidate's request is held back: its
/// body becomes the incoming direction of the socket if the answer is 101.
final class LateUpgrade: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct HeldWrite {
        let data: NIOAny
        let promise: EventLoopPromise<Void>?
    }

    private let http: HTTPHandlers
    private let limits: WebSocketServerLimits
    /// The decoder stops after any request with `Upgrade`: a refused one ends the connection.
    private var hasUpgrade = false
    private var isCandidate = false
    private var isSwitching = false
    private var heldEnd: HTTPServerRequestPart?
    private var leftOver: [NIOAny] = []
    private var heldWrites: [HeldWrite] = []

    init(http: HTTPHandlers, limits: WebSocketServerLimits) {
        self.http = http
        self.limits = limits
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isSwitching {
            leftOver.append(data)
            return
        }
        let part = unwrapInboundIn(data)
        switch part {
        case .head(let head):
            hasUpgrade = Self.hasToken("upgrade", in: head.headers[canonicalForm: "connection"])
                && head.headers.contains(name: "upgrade")
            isCandidate = hasUpgrade && head.method == .GET
                && Self.hasToken("websocket", in: head.headers[canonicalForm: "upgrade"])
                && head.headers.contains(name: "sec-websocket-key")
        case .end where isCandidate:
            heldEnd = part
            return
        default:
            break
        }
        context.fireChannelRead(data)
    }

    private static func hasToken(_ token: String, in values: [Substring]) -> Bool {
        values.contains { $0.lowercased() == token }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isSwitching {
            heldWrites.append(HeldWrite(data: data, promise: promise))
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status == .switchingProtocols && isCandidate:
            context.writeAndFlush(data, promise: promise)
            upgrade(context)
        case .head(var head) where hasUpgrade:
            releaseEnd(context)
            head.headers.replaceOrAdd(name: "connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end where hasUpgrade:
            context.writeAndFlush(data, promise: promise)
            context.close(promise: nil)
        default:
            context.write(data, promise: promise)
        }
    }

    private func releaseEnd(_ context: ChannelHandlerContext) {
        guard let end = heldEnd else { return }
        heldEnd = nil
        isCandidate = false
        context.fireChannelRead(wrapInboundOut(end))
        context.fireChannelReadComplete()
    }

    private func upgrade(_ context: ChannelHandlerContext) {
        isSwitching = true
        heldEnd = nil
        let bound = NIOLoopBound((context, self), eventLoop: context.eventLoop)
        // Bytes that the decoder has not parsed arrive in channelRead during its removal.
        context.pipeline.syncOperations.removeHandler(http.decoder).whenComplete { _ in
            let (context, handler) = bound.value
            do {
                try handler.rebuild(context)
            } catch {
                context.close(promise: nil)
            }
        }
    }

    private func rebuild(_ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        pipeline.removeHandler(http.encoder, promise: nil)
        pipeline.removeHandler(http.connectionState, promise: nil)
        let gate = WebSocketFrameGate(
            limitBytes: limits.initialFrameBytes, fragmentsMax: limits.fragmentsMax)
        let replay = WebSocketReplay(leftOver)
        leftOver = []
        try pipeline.addHandlers(
            [
                WebSocketFrameEncoder(), replay, gate,
                ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: limits.frameBytesMax)),
            ], position: .before(self))
        let bridge = WebSocketBridge(limits: limits, gate: gate)
        try pipeline.addHandlers(
            [
                NIOWebSocketFrameAggregator(
                    minNonFinalFragmentSize: 0,
                    maxAccumulatedFrameCount: limits.fragmentsMax + 1,
                    maxAccumulatedFrameSize: limits.frameBytesMax),
                bridge,
            ], position: .after(self))
        let bridgeContext = try pipeline.context(handler: bridge)
        for held in heldWrites {
            bridge.write(context: bridgeContext, data: held.data, promise: held.promise)
        }
        if !heldWrites.isEmpty { bridgeContext.flush() }
        heldWrites = []
        pipeline.removeHandler(self, promise: nil)
        replay.start()
    }
}

/// Feeds bytes that came together with the upgrade request to the frame decoder, once.
final class WebSocketReplay: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private var parts: [NIOAny]
    private var context: ChannelHandlerContext?

    init(_ parts: [NIOAny]) { self.parts = parts }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Called when the pipeline stands.
    func start() {
        guard let context else { return }
        let waiting = parts
        parts = []
        for part in waiting { context.fireChannelRead(part) }
        if !waiting.isEmpty { context.fireChannelReadComplete() }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
