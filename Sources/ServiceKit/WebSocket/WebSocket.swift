// A WebSocket as a route handler sees it.
// SPDX-License-Identifier: Apache-2.0
import Crypto
import FoundationEssentials
import HTTPTypes
public import Hummingbird
import NIOCore

/// Close codes that a handler may send (RFC 6455 section 7.4.1).
public enum WebSocketClose: UInt16, Sendable {
    case normal = 1000
    case goingAway = 1001
    case policyViolation = 1008
    case internalError = 1011
    case tryAgainLater = 1013
}

/// What a route accepts and allows on its socket.
public struct WebSocketOptions: Sendable {
    /// Subprotocols the route speaks, the preferred first. A client that names none is accepted.
    public var subprotocols: [String]
    /// Limit of a frame and of a whole message, in bytes; `raiseFrameLimit` changes it later.
    public var frameLimit: Int
    /// Allowed `Origin` values; nil allows the request's own host and clients without an origin.
    public var allowedOrigins: Set<String>?
    /// Most text that may wait for a slow reader, in bytes.
    public var queueBytesMax = 4 << 20
    /// Most messages that may wait for a slow reader.
    public var queueMessagesMax = 4096

    public init(
        subprotocols: [String] = [], frameLimit: Int = 64 * 1024,
        allowedOrigins: Set<String>? = nil
    ) {
        self.subprotocols = subprotocols
        self.frameLimit = frameLimit
        self.allowedOrigins = allowedOrigins
    }
}

/// One open socket. Sending never suspends; receiving applies back-pressure to the peer.
public final class WebSocket: Sendable {
    /// Whole text messages. Ends when the peer closes, vanishes or breaks a rule, and when the
    /// server shuts down. Iterate once.
    public let messages: WebSocketMessages
    /// The subprotocol that was agreed on.
    public let subprotocol: String?
    let queue: WebSocketQueue

    init(messages: WebSocketMessages, subprotocol: String?, options: WebSocketOptions) {
        self.messages = messages
        self.subprotocol = subprotocol
        queue = WebSocketQueue(
            bytesMax: options.queueBytesMax, partsMax: options.queueMessagesMax)
    }

    public var isClosed: Bool { queue.isClosed }

    /// Queues a text message. Returns false when the socket is closed, or when too much waits for
    /// its reader: then it is being closed with 1008.
    @discardableResult
    public func send(_ text: String) -> Bool {
        var part = ByteBuffer()
        part.reserveCapacity(text.utf8.count + 1)
        part.writeInteger(WebSocketPart.text)
        part.writeString(text)
        switch queue.add(part) {
        case .queued: return true
        case .closed: return false
        case .full:
            close(.policyViolation, reason: "too slow")
            return false
        }
    }

    /// Sends what is queued, then a close frame. `reason` is cut to the 123 bytes of a frame.
    public func close(_ code: WebSocketClose = .normal, reason: String = "") {
        var part = ByteBuffer()
        part.writeInteger(WebSocketPart.close)
        part.writeInteger(code.rawValue)
        part.writeString(Self.cut(reason, toBytes: 123))
        _ = queue.add(part, urgent: true)
        queue.close()
    }

    /// Changes the limit of incoming frames and messages, in bytes.
    public func raiseFrameLimit(to bytes: Int) {
        var part = ByteBuffer()
        part.writeInteger(WebSocketPart.limit)
        part.writeInteger(UInt32(clamping: bytes))
        _ = queue.add(part, urgent: true)
    }

    private static func cut(_ text: String, toBytes limit: Int) -> String {
        var result = text
        while result.utf8.count > limit { result.removeLast() }
        return result
    }
}

/// The incoming messages of a socket.
public struct WebSocketMessages: AsyncSequence, Sendable {
    public typealias Element = String
    public typealias Failure = Never
    let body: RequestBody

    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator

        public mutating func next() async -> String? {
            do {
                guard var part = try await base.next() else { return nil }
                part.moveReaderIndex(forwardBy: 1)
                return String(buffer: part)
            } catch {
                return nil
            }
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: body.makeAsyncIterator())
    }
}

extension Request {
    /// Answers an upgrade request (RFC 6455 section 4.2) and runs `handler` on the socket. When it
    /// returns, the socket is closed with 1000; when it throws, with 1011.
    ///
    /// Throws a `Problem`: 426 for a request that is no WebSocket handshake of version 13, 403 for
    /// a foreign origin, 400 for a bad key.
    public func webSocket(
        _ options: WebSocketOptions = WebSocketOptions(),
        _ handler: @escaping @Sendable (WebSocket) async throws -> Void
    ) throws -> Response {
        let accept = try WebSocketHandshake.accept(self, options)
        var fields: HTTPFields = [
            .upgrade: "websocket", .connection: "Upgrade", .secWebSocketAccept: accept,
        ]
        let subprotocol = WebSocketHandshake.subprotocol(self, options)
        fields[.secWebSocketProtocol] = subprotocol
        let messages = WebSocketMessages(body: body)
        let body = ResponseBody { writer in
            let socket = WebSocket(
                messages: messages, subprotocol: subprotocol, options: options)
            socket.raiseFrameLimit(to: options.frameLimit)
            let running = Task { await socket.run(handler) }
            let result = await Result { try await socket.pump(into: &writer) }
            socket.queue.close()
            await running.value
            try result.get()
            try await writer.finish(nil)
        }
        return Response(status: .switchingProtocols, headers: fields, body: body)
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

extension WebSocket {
    fileprivate func run(_ handler: @Sendable (WebSocket) async throws -> Void) async {
        do {
            try await handler(self)
            close(.normal)
        } catch {
            close(.internalError)
        }
    }

    fileprivate func pump(into writer: inout any ResponseBodyWriter) async throws {
        while let parts = await queue.next() {
            try await writer.write(contentsOf: parts)
        }
    }
}

enum WebSocketHandshake {
    /// Checks the request; returns the value of `Sec-WebSocket-Accept`.
    static func accept(_ request: Request, _ options: WebSocketOptions) throws -> String {
        let headers = request.headers
        guard headers[.upgrade]?.lowercased() == "websocket",
            headers[.secWebSocketVersion] == "13", let key = headers[.secWebSocketKey]
        else {
            throw Problem(
                .upgradeRequired, detail: "this address speaks WebSocket version 13",
                headers: [.upgrade: "websocket", .secWebSocketVersion: "13"])
        }
        guard Data(base64Encoded: key)?.count == 16 else {
            throw Problem(.badRequest, detail: "Sec-WebSocket-Key is not 16 bytes of base64")
        }
        try checkOrigin(request, options)
        let text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        return Data(Insecure.SHA1.hash(data: Data(text.utf8))).base64EncodedString()
    }

    private static func checkOrigin(_ request: Request, _ options: WebSocketOptions) throws {
        guard let origin = request.headers[.origin] else { return }
        if let allowed = options.allowedOrigins {
            if allowed.contains(origin) { return }
        } else if let host = request.head.authority,
            origin == "http://\(host)" || origin == "https://\(host)" {
            return
        }
        throw Problem(.forbidden, detail: "origin \(origin.prefix(200)) is not allowed here")
    }

    static func subprotocol(_ request: Request, _ options: WebSocketOptions) -> String? {
        let offered = (request.headers[.secWebSocketProtocol] ?? "").split(separator: ",")
            .map { $0.trimmingSpaces }
        return options.subprotocols.first { offered.contains($0) }
    }
}

extension Substring {
    var trimmingSpaces: String {
        var rest = self
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return String(rest.drop { $0 == " " || $0 == "\t" })
    }
}
