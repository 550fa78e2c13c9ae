// The routes of a service as data: installed on the router, compared with the OpenAPI document.
// SPDX-License-Identifier: Apache-2.0
public import HTTPTypes
public import Hummingbird

/// One operation.
public struct Route: Sendable {
    public typealias Handler = @Sendable (Request, HTTPContext) async throws -> Response
    public let method: HTTPRequest.Method
    /// In OpenAPI notation: `/meeting/{meeting_id}`.
    public let path: String
    public let handler: Handler

    public init(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.handler = handler
    }

    /// `GET /meeting/{meeting_id}`.
    public var name: String { "\(method.rawValue) \(path)" }
}

extension Router where Context == HTTPContext {
    /// Adds the routes; parameters keep their names.
    public func add(_ routes: [Route]) {
        for route in routes {
            on(RouterPath(route.path), method: route.method) { request, context in
                try await route.handler(request, context)
            }
        }
    }
}

/// Knows which methods a path has, to tell 405 from 404.
public struct MethodIndex: Sendable {
    private struct Entry: Sendable {
        let segments: [Substring]
        let method: HTTPRequest.Method
    }
    private let entries: [Entry]

    public init(_ routes: [Route]) {
        entries = routes.map {
            Entry(segments: $0.path.split(separator: "/"), method: $0.method)
        }
    }

    /// The methods of a request path, sorted by name; empty when no route has this path. A route
    /// without parameters hides those with, as in the router.
    public func methods(of path: String) -> [HTTPRequest.Method] {
        let segments = path.split(separator: "/")
        let matching = entries.filter { $0.segments.count == segments.count }
            .filter { zip($0.segments, segments).allSatisfy { $0.hasPrefix("{") || $0 == $1 } }
        let most = matching.map { Self.literals($0.segments) }.max() ?? 0
        let best = matching.filter { Self.literals($0.segments) == most }
        var methods = Set(best.map(\.method))
        if methods.contains(.get) { methods.insert(.head) }
        return methods.sorted { $0.rawValue < $1.rawValue }
    }

    private static func literals(_ segments: [Substring]) -> Int {
        segments.count { !$0.hasPrefix("{") }
    }
}
