// Liveness, readiness, metrics and the API document.
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Hummingbird
import NIOCore

/// One thing that must work before a process is ready for traffic.
public struct ReadinessCheck: Sendable {
    public let name: String
    /// Nil when it works, else why not.
    public let check: @Sendable () async -> String?

    public init(_ name: String, _ check: @escaping @Sendable () async -> String?) {
        self.name = name
        self.check = check
    }
}

private struct HealthAnswer: Encodable {
    let status: String
    let checks: [String: String]?
}

public enum OperatorRoutes {
    /// `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/schema/packets.json`.
    public static func routes(
        checks: [ReadinessCheck], metrics: MetricsRegistry, document: String
    ) -> [Route] {
        [
            Route(.get, "/healthz") { _, _ in
                try .json(HealthAnswer(status: "ok", checks: nil))
            },
            Route(.get, "/readyz") { _, context in try await ready(checks, context) },
            Route(.get, "/metrics") { _, _ in
                text(metrics.exposition(), type: "text/plain; version=0.0.4; charset=utf-8")
            },
            Route(.get, "/openapi.json") { _, _ in text(document, type: "application/json") },
            Route(.get, "/schema/packets.json") { _, _ in
                text(PacketsDocument.source, type: "application/schema+json")
            },
        ]
    }

    private static func text(_ text: String, type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .cacheControl: "no-cache"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    private static func ready(
        _ checks: [ReadinessCheck], _ context: HTTPContext
    ) async throws -> Response {
        var results: [String: String] = [:]
        var isReady = true
        for item in checks {
            let failure = await item.check()
            results[item.name] = failure ?? "ok"
            if failure != nil { isReady = false }
        }
        if isReady { return try .json(HealthAnswer(status: "ok", checks: results)) }
        let failed = results.filter { $0.value != "ok" }.map { "\($0.key): \($0.value)" }
        throw Problem.retry(
            .serviceUnavailable, after: 5, failed.sorted().joined(separator: "; "))
    }
}
