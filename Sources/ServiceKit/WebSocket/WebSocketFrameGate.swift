// Stops WebSocket input that breaks the protocol or a limit before any payload is buffered.
// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The connection's close code for input that was refused, sent down the pipeline as an event.
struct WebSocketViolation: Sendable {
    let code: UInt16
}

/// Stands before the frame decoder and lets only acceptable frames through.
final class WebSocketFrameGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private var scanner: WebSocketFrameScanner
    private var failed = false

    init(limitBytes: Int, fragmentsMax: Int) {
        scanner = WebSocketFrameScanner(limitBytes: limitBytes, fragmentsMax: fragmentsMax)
    }

    /// Raises or lowers the limit; called on the event loop.
    func setLimit(_ bytes: Int) { scanner.limitBytes = bytes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if failed { return }
        var buffer = unwrapInboundIn(data)
        switch scanner.scan(buffer.readableBytesView) {
        case .pass:
            context.fireChannelRead(wrapInboundOut(buffer))
        case .fail(let validBytes, let code):
            failed = true
            if let valid = buffer.readSlice(length: validBytes), validBytes > 0 {
                context.fireChannelRead(wrapInboundOut(valid))
            }
            context.fireUserInboundEventTriggered(WebSocketViolation(code: code))
        }
    }
}
