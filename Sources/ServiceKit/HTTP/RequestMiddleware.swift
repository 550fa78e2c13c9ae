// What happens to every request: id, client address, metrics, access log, error documents.
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import HTTPTypes
public import Hummingbird
import Logging
import Metrics

/// The outermost middleware of each server.
public struct RequestMiddleware: RouterMiddleware {
    public typealias Context = HTTPContext
    private let methods: MethodIndex
    private let trustedProxies: Set<String>
    private let limiter: RateLimiter?

    /// - Parameters:
    ///   - methods: of the routes, for 405.
    ///   - trustedProxies: addresses whose `X-Forwarded-For` and `X-Request-Id` are believed.
    ///   - limiter: for all requests of a client address, or nil.
    public init(methods: MethodIndex, trustedProxies: Set<String> = [], limiter: RateLimiter?) {
        self.methods = methods
        self.trustedProxies = trustedProxies
        self.limiter = limiter
    }

    public func handle(
        _ request: Request, context: HTTPContext,
        next: (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var context = context
        identify(request, &context)
        context.logger[metadataKey: "request"] = .string(context.requestID)
        var response = try await answer(request, context, next)
        response.headers[.requestID] = context.requestID
        response.headers[.contentTypeOptions] = "nosniff"
        record(request, response.status, context, since: start)
        return request.method == .head ? Self.withoutBody(response) : response
    }

    /// RFC 9110 section 9.3.2: the fields of the answer to GET, and no content.
    private static func withoutBody(_ response: Response) -> Response {
        let length = response.body.contentLength.map { String($0) }
        var head = Response(status: response.status, headers: response.headers, body: .init())
        head.headers[.contentLength] = response.headers[.contentLength] ?? length
        return head
    }

    private func identify(_ request: Request, _ context: inout HTTPContext) {
        context.requestID = Self.newID()
        guard trustedProxies.contains(context.clientAddress) else { return }
        if let given = request.headers[.requestID], Self.isID(given) { context.requestID = given }
        let chain = (request.headers[.forwardedFor] ?? "").split(separator: ",")
        if let last = chain.last { context.clientAddress = last.trimmingSpaces }
    }

    private static func newID() -> String {
        let bits = UInt64.random(in: .min ... .max)
        let text = String(bits, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    private static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
    }

    private func answer(
        _ request: Request, _ context: HTTPContext,
        _ next: (Request, HTTPContext) async throws -> Response
    ) async throws -> Response {
        do {
            try limiter?.require(context.clientAddress, "too many requests from this address")
            return try await next(request, context)
        } catch let problem as Problem {
            return problem.response(requestID: context.requestID)
        } catch let error as HTTPError {
            return problem(for: error, request).response(requestID: context.requestID)
        } catch let error as any HTTPResponseError {
            return Problem(error.status, detail: error.status.reasonPhrase)
                .response(requestID: context.requestID)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            context.logger.error(
                "request failed", metadata: ["error": "\(error)", "path": "\(request.uri.path)"])
            return Problem(.internalServerError, detail: "something went wrong here; it was logged")
                .response(requestID: context.requestID)
        }
    }

    private func problem(for error: HTTPError, _ request: Request) -> Problem {
        guard error.status == .notFound else {
            return Problem(
                error.status, detail: error.body ?? error.status.reasonPhrase,
                headers: error.headers)
        }
        let allowed = methods.methods(of: request.uri.path)
        if allowed.isEmpty || allowed.contains(request.method) {
            return Problem(.notFound, detail: "there is nothing at this address")
        }
        let list = allowed.map(\.rawValue).joined(separator: ", ")
        return Problem(
            .methodNotAllowed, detail: "this address knows \(list)", headers: [.allow: list])
    }

    private func record(
        _ request: Request, _ status: HTTPResponse.Status, _ context: HTTPContext,
        since start: ContinuousClock.Instant
    ) {
        let took = start.duration(to: .now)
        let route = context.endpointPath ?? "none"
        let labels = [
            ("route", route), ("method", Self.label(request.method)),
            ("status", String(status.code)),
        ]
        Metrics.Counter(label: "http_requests_total", dimensions: labels).increment()
        Metrics.Timer(label: "http_request_duration_seconds", dimensions: [("route", route)])
            .recordNanoseconds(Int64(took.inSeconds * 1e9))
        context.logger.debug(
            "request",
            metadata: [
                "method": "\(request.method.rawValue)", "route": "\(route)",
                "status": "\(status.code)", "client": "\(context.clientAddress)",
                "milliseconds": "\(Int(took.inSeconds * 1000))",
            ])
    }

    /// Methods that anybody can invent share a label, so that labels stay bounded.
    private static func label(_ method: HTTPRequest.Method) -> String {
        let known: Set<HTTPRequest.Method> = [
            .get, .head, .post, .put, .patch, .delete, .options,
        ]
        return known.contains(method) ? method.rawValue : "other"
    }
}

extension HTTPField.Name {
    /// Names that no peer can get wrong: they are checked by the tests of this module.
    package static let requestID = known("X-Request-Id")
    package static let forwardedFor = known("X-Forwarded-For")
    package static let contentTypeOptions = known("X-Content-Type-Options")

    private static func known(_ name: String) -> HTTPField.Name {
        guard let field = HTTPField.Name(name) else { preconditionFailure("bad name \(name)") }
        return field
    }
}
