// Error answers as problem documents (RFC 9457).
// SPDX-License-Identifier: Apache-2.0
package import FoundationEssentials
public import HTTPTypes
public import Hummingbird
import NIOCore

/// An error that a client is told about. Thrown by handlers.
public struct Problem: HTTPResponseError, Sendable, Equatable {
    public let status: HTTPResponse.Status
    /// One sentence about this occurrence, for people.
    public let detail: String
    public var headers: HTTPFields

    public init(_ status: HTTPResponse.Status, detail: String, headers: HTTPFields = [:]) {
        self.status = status
        self.detail = detail
        self.headers = headers
    }

    /// 401 with the challenge that RFC 9110 section 11.6.1 asks for.
    public static func unauthorized(_ detail: String) -> Problem {
        Problem(.unauthorized, detail: detail, headers: [.wwwAuthenticate: "Bearer"])
    }

    /// 429 or 503 with `Retry-After` in seconds.
    public static func retry(
        _ status: HTTPResponse.Status, after seconds: Int, _ detail: String
    ) -> Problem {
        Problem(status, detail: detail, headers: [.retryAfter: String(max(1, seconds))])
    }

    public func response(from request: Request, context: some RequestContext) -> Response {
        response(requestID: (context as? HTTPContext)?.requestID ?? "")
    }

    /// The problem document.
    public func response(requestID: String) -> Response {
        let title = status.reasonPhrase
        let document = ProblemDocument(
            type: "about:blank", title: title, status: status.code, detail: detail,
            instance: requestID.isEmpty ? nil : "urn:request:\(requestID)")
        var fields = headers
        fields[.contentType] = "application/problem+json"
        fields[.cacheControl] = "no-store"
        let body = (try? JSONEncoder.sorted.encode(document)) ?? Data()
        fields[.contentLength] = String(body.count)
        return Response(
            status: status, headers: fields, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}

private struct ProblemDocument: Encodable {
    let type: String
    let title: String
    let status: Int
    let detail: String
    let instance: String?
}

extension JSONEncoder {
    /// Keys in a stable order, slashes as they are.
    package static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

extension Response {
    /// A JSON answer; nothing of the API may be cached.
    public static func json(
        _ value: some Encodable, status: HTTPResponse.Status = .ok
    ) throws -> Response {
        let body = try JSONEncoder.sorted.encode(value)
        return Response(
            status: status,
            headers: [
                .contentType: "application/json", .cacheControl: "no-store",
                .contentLength: String(body.count),
            ], body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// 204.
    public static var empty: Response {
        Response(status: .noContent, headers: [.cacheControl: "no-store"])
    }
}
