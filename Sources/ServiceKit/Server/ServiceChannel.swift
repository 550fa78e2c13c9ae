// The pipeline of a connection: TLS (where configured), HTTP/1.1, late WebSocket upgrade.
// SPDX-License-Identifier: Apache-2.0
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

/// Sets up each accepted connection.
struct ServiceChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let limits: WebSocketServerLimits
    /// Time without a request after which a kept-alive connection is closed.
    let idleTimeout: Duration
    /// Nil for plain HTTP.
    let tls: NIOSSLContext?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try configure(channel, logger: logger)
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    private func configure(_ channel: any Channel, logger: Logger) throws {
        let pipeline = channel.pipeline.syncOperations
        try channel.syncOptions?.setOption(
            .writeBufferWaterMark,
            value: .init(low: limits.writeHighWaterBytes / 2, high: limits.writeHighWaterBytes))
        try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        var headerLimits = NIOHTTPDecoderLimitConfiguration()
        headerLimits.maxHeaderFieldSize = 16 * 1024
        headerLimits.maxHeaderListSize = 32 * 1024
        headerLimits.maxHeaderFieldCount = 128
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .forwardBytes, limitConfiguration: headerLimits)
        let http = HTTPHandlers(
            encoder: HTTPResponseEncoder(), decoder: ByteToMessageHandler(decoder),
            connectionState: HTTPConnectionStateHandler(idleTimeout: idleTimeout, logger: logger))
        try pipeline.addHandlers([
            http.encoder, http.decoder, LateUpgrade(http: http, limits: limits),
            HTTP1ToHTTPServerCodec(secure: tls != nil), http.connectionState,
        ])
    }

    func handle(value: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}
