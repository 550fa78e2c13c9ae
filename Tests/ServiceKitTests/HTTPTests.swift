// Rate limits, bodies, routes, metrics, the document.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import ServiceKit
import Synchronization
import Testing

@Suite struct RateLimiterTests {
    private final class Clock: Sendable {
        private let time = Mutex(Duration.zero)
        var now: Duration { time.withLock { $0 } }
        func advance(_ by: Duration) { time.withLock { $0 += by } }
    }

    @Test func burstThenRate() {
        let clock = Clock()
        let limiter = RateLimiter(ratePerSecond: 0.5, burst: 3) { clock.now }
        for _ in 0..<3 { #expect(limiter.take("a") == nil) }
        #expect(limiter.take("a") == 2)
        #expect(limiter.take("b") == nil)
        clock.advance(.seconds(2))
        #expect(limiter.take("a") == nil)
        #expect(limiter.take("a") == 2)
        clock.advance(.seconds(1000))
        for _ in 0..<3 { #expect(limiter.take("a") == nil) }
        #expect(limiter.take("a") != nil)
    }

    @Test func memoryIsBoundedAndRecentKeysAreKept() {
        let clock = Clock()
        let limiter = RateLimiter(ratePerSecond: 0.001, burst: 1, keysMax: 100) { clock.now }
        #expect(limiter.take("kept") == nil)
        for number in 0..<10_000 {
            _ = limiter.take("k\(number)")
            if number % 50 == 0 { #expect(limiter.take("kept") != nil) }
        }
        #expect(limiter.count <= 200)
    }

    @Test func requireThrows429WithRetryAfter() throws {
        let limiter = RateLimiter(ratePerSecond: 0.1, burst: 1) { .zero }
        try limiter.require("a", "slow down")
        let problem = #expect(throws: Problem.self) { try limiter.require("a", "slow down") }
        #expect(problem?.status == .tooManyRequests)
        #expect(problem?.headers[.retryAfter] == "10")
    }
}

@Suite struct JSONMembersTests {
    private func parse(_ text: String) throws -> JSONMembers {
        try JSONMembers(parsing: Data(text.utf8))
    }

    @Test func membersAreTypedAndBounded() throws {
        let members = try parse(#"{"s":"h\u00e9\ud83d\ude00","n":2.5,"i":7,"b":true,"z":null}"#)
        #expect(try members.string("s", 3...3) == "h\u{e9}\u{1F600}")
        #expect(try members.number("n", 0...3) == 2.5)
        #expect(try members.integer("i", 0...7) == 7)
        #expect(try members.bool("b", fallback: false))
        #expect(try members.optionalString("none", 0...9) == nil)
        #expect(try members.integer("none", 0...9, fallback: 4) == 4)
        #expect(throws: Problem.self) { try members.string("s", 4...9) }
        #expect(throws: Problem.self) { try members.string("none", 0...9) }
        #expect(throws: Problem.self) { try members.optionalString("z", 0...9) }
        #expect(throws: Problem.self) { try members.integer("n", 0...9) }
        #expect(throws: Problem.self) { try members.integer("b", 0...9) }
        #expect(throws: Problem.self) { try members.bool("i", fallback: true) }
        #expect(throws: Problem.self) { try members.number("i", 0...6) }
    }

    @Test(arguments: ["", "{", "[]", "null", "5", "\"x\"", "{\"a\":}", "{'a':1}", "{\"a\":1}x"])
    func anythingButOneObjectIsRefused(_ text: String) {
        #expect(throws: Problem.self) { try parse(text) }
    }

    @Test func deepNestingIsRefusedNotFollowed() {
        let text = String(repeating: "[", count: 30_000)
        #expect(throws: Problem.self) { try parse("{\"a\":" + text) }
    }
}

@Suite struct RouteTests {
    private let index = MethodIndex([
        Route(.get, "/meeting/keys") { _, _ in .empty },
        Route(.get, "/meeting/{id}") { _, _ in .empty },
        Route(.delete, "/meeting/{id}") { _, _ in .empty },
        Route(.post, "/meeting") { _, _ in .empty },
    ])

    @Test func methodsOfAPath() {
        #expect(index.methods(of: "/meeting").map(\.rawValue) == ["POST"])
        #expect(index.methods(of: "/meeting/").map(\.rawValue) == ["POST"])
        #expect(index.methods(of: "/meeting/x").map(\.rawValue) == ["DELETE", "GET", "HEAD"])
        #expect(index.methods(of: "/meeting/keys").map(\.rawValue) == ["GET", "HEAD"])
        #expect(index.methods(of: "/").isEmpty)
        #expect(index.methods(of: "/meeting/x/y").isEmpty)
    }

    @Test func operatorRoutesAreThoseOfTheDocument() throws {
        let routes = OperatorRoutes.routes(checks: [], metrics: MetricsRegistry(), document: "")
        let others = ["/account", "/meeting", "/node", "/ws"]
        let documented = try OpenAPIDocument.operations().filter { operation in
            !others.contains { operation.contains(" \($0)") }
        }
        #expect(Set(routes.map(\.name)) == documented)
    }

    @Test func documentIsJSON() throws {
        let value = try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.json().utf8))
        let document = try #require(value as? [String: Any])
        #expect(document["openapi"] as? String == "3.1.0")
        let info = try #require(document["info"] as? [String: Any])
        #expect(info["version"] as? String == "1.0.0")
    }
}

@Suite struct MetricsTests {
    @Test func expositionGroupsByNameAndEscapesLabels() {
        let registry = MetricsRegistry()
        registry.makeCounter(label: "requests.total", dimensions: [("route", "a\"b\\c\n")])
            .increment(by: 2)
        registry.makeCounter(label: "requests.total", dimensions: [("route", "x")]).increment(by: 1)
        registry.makeMeter(label: "open", dimensions: []).set(1.5)
        registry.makeTimer(label: "took_seconds", dimensions: []).recordNanoseconds(3_000_000)
        registry.addCollector { $0.counter("rh_packets_total", 7, labels: [("worker", "0")]) }
        let text = registry.exposition()
        #expect(text.contains("# TYPE requests_total counter\n"))
        #expect(text.contains("requests_total{route=\"a\\\"b\\\\c\\n\"} 2\n"))
        #expect(text.contains("requests_total{route=\"x\"} 1\n"))
        #expect(text.contains("# TYPE open gauge\nopen 1.5\n"))
        #expect(text.contains("took_seconds_bucket{le=\"0.0025\"} 0\n"))
        #expect(text.contains("took_seconds_bucket{le=\"0.005\"} 1\n"))
        #expect(text.contains("took_seconds_bucket{le=\"+Inf\"} 1\n"))
        #expect(text.contains("took_seconds_count 1\n"))
        #expect(text.contains("rh_packets_total{worker=\"0\"} 7\n"))
        #expect(text.components(separatedBy: "# TYPE requests_total").count == 2)
    }
}
