// The request context of every route.
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
public import Hummingbird
import Logging
public import NIOCore

/// Carries what middleware finds out about a request to the handlers.
public struct HTTPContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The other end of the connection; nil in tests without a socket.
    public let remoteAddress: SocketAddress?
    /// The client's IP address as text, looked up behind trusted proxies.
    public var clientAddress: String
    /// Ties log lines and services together; also in the answer's `X-Request-Id`.
    public var requestID: String

    /// Largest request body, in bytes.
    public var maxUploadSize: Int { 64 * 1024 }

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
        clientAddress = remoteAddress?.ipAddress ?? "unknown"
        requestID = ""
    }
}

extension Request {
    /// The token of `Authorization: Bearer …` (RFC 6750 section 2.1).
    public var bearerToken: String? {
        guard let value = headers[.authorization] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].trimmingSpaces
        return token.isEmpty ? nil : token
    }

    /// The bearer token, or a 401 `Problem`.
    public func requireBearerToken() throws(Problem) -> String {
        guard let bearerToken else {
            throw Problem.unauthorized("this call needs an Authorization: Bearer header")
        }
        return bearerToken
    }
}
