// Which instance of a service the gateway asks next. SPDX-License-Identifier: Apache-2.0
import Gateway
import Testing

@Suite struct UpstreamsTests {
    private let start = ContinuousClock.now

    @Test func instancesTakeTurns() {
        let upstreams = Upstreams(urls: ["a", "b", "c"])
        let firsts = (0..<6).compactMap { _ in upstreams.order(now: start).first }
        #expect(firsts == ["a", "b", "c", "a", "b", "c"])
    }

    @Test func failedInstanceComesLastUntilItHasRested() {
        let upstreams = Upstreams(urls: ["a", "b"])
        upstreams.failed("a", now: start)
        for _ in 0..<4 { #expect(upstreams.order(now: start) == ["b", "a"]) }
        let later = start + .seconds(1)
        #expect((0..<2).contains { _ in upstreams.order(now: later).first == "a" })
    }

    @Test func eachFailureDoublesTheRestUpToALimit() {
        let upstreams = Upstreams(urls: ["a"])
        for _ in 0..<3 { upstreams.failed("a", now: start) }
        #expect(!upstreams.isAvailable(now: start + .milliseconds(1999)))
        #expect(upstreams.isAvailable(now: start + .seconds(2)))
        for _ in 0..<100 { upstreams.failed("a", now: start) }
        #expect(upstreams.isAvailable(now: start + .seconds(30)))
    }

    @Test func successEndsTheRest() {
        let upstreams = Upstreams(urls: ["a", "b"])
        upstreams.failed("a", now: start)
        upstreams.succeeded("a")
        #expect((0..<2).contains { _ in upstreams.order(now: start).first == "a" })
    }

    @Test func serviceWhoseInstancesAllRestIsStillAsked() {
        let upstreams = Upstreams(urls: ["a", "b"])
        upstreams.failed("a", now: start)
        upstreams.failed("b", now: start)
        #expect(Set(upstreams.order(now: start)) == ["a", "b"])
        #expect(!upstreams.isAvailable(now: start))
    }
}
