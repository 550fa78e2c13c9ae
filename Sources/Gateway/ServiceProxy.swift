// Passes a request on to the service that its path names (requirements, component 2).
// SPDX-License-Identifier: Apache-2.0
public import AsyncHTTPClient
import HTTPTypes
public import Hummingbird
import NIOCore
import NIOHTTP1
import NIOPosix
public import ServiceKit

/// `/account*` goes to the account service, `/meeting*` to the meeting service.
///
/// A request that never reached an instance goes to the next one. One that may have been carried
/// out is repeated only when its method is idempotent (RFC 9110 section 9.2.2).
public struct ServiceProxy: RouterMiddleware {
    public typealias Context = HTTPContext

    private let routes: [(prefix: String, upstreams: Upstreams)]
    private let client: HTTPClient
    private static let bodyBytesMax = 1 << 20
    private static let answerTimeout: TimeAmount = .seconds(30)

    /// Lives as long as the process. An instance that takes no connection is passed over at once,
    /// not tried again until the time is up.
    public static let impatient: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.timeout.connect = .seconds(2)
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// - Parameter routes: path prefix without a trailing slash, and who answers it.
    public init(
        routes: [(prefix: String, upstreams: Upstreams)], client: HTTPClient = Self.impatient
    ) {
        self.routes = routes
        self.client = client
    }

    public func handle(
        _ request: Request, context: HTTPContext,
        next: (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        let path = request.uri.path
        let route = routes.first { path == $0.prefix || path.hasPrefix($0.prefix + "/") }
        guard let route else { return try await next(request, context) }
        return try await pass(request, to: route.upstreams, context: context)
    }

    private func pass(
        _ request: Request, to upstreams: Upstreams, context: HTTPContext
    ) async throws -> Response {
        let body: ByteBuffer
        do { body = try await request.body.collect(upTo: Self.bodyBytesMax) } catch {
            throw Problem(
                .contentTooLarge,
                detail: "The request body must be at most \(Self.bodyBytesMax) bytes.")
        }
        for url in upstreams.order(now: .now) {
            do {
                let response = try await ask(url, request, body, context)
                upstreams.succeeded(url)
                return response
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                upstreams.failed(url, now: .now)
                context.logger.warning(
                    "upstream failed", metadata: ["upstream": "\(url)", "error": "\(error)"])
                if !Self.mayRepeat(request.method, after: error) { break }
            }
        }
        throw Problem.retry(
            .serviceUnavailable, after: 2, "The service does not answer; try again shortly.")
    }

    private func ask(
        _ url: String, _ request: Request, _ body: ByteBuffer, _ context: HTTPContext
    ) async throws -> Response {
        var outgoing = HTTPClientRequest(url: url + (request.head.path ?? "/"))
        outgoing.method = HTTPMethod(rawValue: request.method.rawValue)
        for field in request.headers where !Self.isHopByHop(field.name) {
            outgoing.headers.add(name: field.name.rawName, value: field.value)
        }
        outgoing.headers.replaceOrAdd(name: "X-Forwarded-For", value: context.clientAddress)
        outgoing.headers.replaceOrAdd(name: "X-Request-Id", value: context.requestID)
        if let authority = request.head.authority {
            outgoing.headers.replaceOrAdd(name: "X-Forwarded-Host", value: authority)
        }
        if body.readableBytes > 0 { outgoing.body = .bytes(body) }
        let answer = try await client.execute(outgoing, timeout: Self.answerTimeout)
        var headers = HTTPFields()
        for (name, value) in answer.headers {
            guard let name = HTTPField.Name(name), !Self.isHopByHop(name) else { continue }
            headers.append(HTTPField(name: name, value: value))
        }
        let status = HTTPResponse.Status(code: Int(answer.status.code))
        let bytes = try await answer.body.collect(upTo: Self.bodyBytesMax)
        return Response(status: status, headers: headers, body: .init(byteBuffer: bytes))
    }

    private static let idempotent: Set<HTTPRequest.Method> = [.get, .head, .put, .delete, .options]

    private static func mayRepeat(_ method: HTTPRequest.Method, after error: any Error) -> Bool {
        if idempotent.contains(method) { return true }
        if let error = error as? HTTPClientError {
            return [.connectTimeout, .getConnectionFromPoolTimeout].contains(error)
        }
        return error is NIOConnectionError
    }

    /// Fields that belong to one connection (RFC 9110 section 7.6.1), and those set anew.
    private static func isHopByHop(_ name: HTTPField.Name) -> Bool {
        let names: Set<String> = [
            "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
            "upgrade", "content-length", "host", "x-forwarded-for", "x-forwarded-host",
        ]
        return names.contains(name.canonicalName)
    }
}
