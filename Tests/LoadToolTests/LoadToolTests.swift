// Options, choices and addresses of the load tool. SPDX-License-Identifier: Apache-2.0

import LoadTool
import Signaling
import Testing

@Suite struct OptionsTests {
    @Test func defaultsAreARun() throws {
        try LoadOptions().validate()
    }

    @Test(arguments: [
        ("--url", { @Sendable (o: inout LoadOptions) in o.url = "ftp://host" }),
        ("--meetings", { o in o.meetings = 0 }),
        ("--participants", { o in o.participants = 0 }),
        ("--feeds", { o in o.feeds = 50 }),
        ("--publishers", { o in o.publishers = o.participants + 1 }),
        ("--layers", { o in o.layers = 4 }),
        ("--churn", { o in o.churn = 0 }),
        ("--loss", { o in o.loss = 0.6 }),
        ("--loss", { o in o.loss = .nan }),
        ("--ramp", { o in o.ramp = 0 }),
        ("--duration", { o in o.duration = -1 }),
        ("--max-p99-ms", { o in o.maxP99Milliseconds = -1 }),
        ("--publish", { o in o.sources = ["camera", "camera"] }),
        ("--publish", { o in o.sources = ["hologram"] }),
    ] as [(String, @Sendable (inout LoadOptions) -> Void)])
    func nonsenseIsRefusedByName(
        name: String, change: @Sendable (inout LoadOptions) -> Void
    ) {
        var options = LoadOptions()
        change(&options)
        #expect { try options.validate() } throws: { error in
            (error as? LoadOptionsError)?.description.contains(name) ?? false
        }
    }

    @Test func fewerPublishersThanParticipants() {
        var options = LoadOptions()
        options.participants = 10
        options.publishers = 1
        #expect(options.publisherCount == 1)
        options.publishers = nil
        #expect(options.publisherCount == 10)
    }

    @Test(arguments: [
        ("none", DecryptShare.none), ("all", .oneOf(1)), ("1/16", .oneOf(16)), ("8", .oneOf(8)),
    ])
    func decryptShares(text: String, share: DecryptShare) {
        #expect(DecryptShare(text) == share)
    }

    @Test(arguments: ["", "1/0", "-1", "some", "1/x", "99999999"])
    func badDecryptShares(text: String) { #expect(DecryptShare(text) == nil) }

    @Test func shapesReadWhatTheyWrite() {
        for shape in [VideoShape.gallery, .stage] {
            #expect(VideoShape(shape.description) == shape)
        }
        for text in ["", "15", "15x3", "0x3x300", "15x0x300", "15x3x700-300", "15x3x10",
            "15x3x9000", "axbxc", "15x3x300-"] {
            #expect(VideoShape(text) == nil, "\(text)")
        }
    }

    @Test func media() throws {
        #expect(try MediaChoice("gallery") == .synthetic(.gallery))
        #expect(try MediaChoice("stage") == .synthetic(.stage))
        #expect(try MediaChoice("file:a.ivf,b.opus") == .files(["a.ivf", "b.opus"]))
        #expect(throws: LoadOptionsError.self) { try MediaChoice("file:") }
        #expect(throws: LoadOptionsError.self) { try MediaChoice("film") }
    }

    @Test func urls() {
        #expect(LoadURL("http://127.0.0.1:8080/") == LoadURL("http://127.0.0.1:8080"))
        #expect(LoadURL("https://example.org")?.port == 443)
        #expect(LoadURL("http://[::1]:8443")?.host == "::1")
        #expect(LoadURL("http://[::1]:8443")?.authority == "[::1]:8443")
        #expect(LoadURL("ws://host/ws", schemes: ("ws", "wss"))?.port == 80)
        for text in ["", "host", "http://", "http://:80", "http://h:0", "http://h:99999"] {
            #expect(LoadURL(text) == nil, "\(text)")
        }
    }
}

@Suite struct FeedTests {
    private func names(_ range: Range<Int>) -> [FeedName] { range.map { FeedName("a\($0)") } }

    private func chooser(_ feedsMax: Int, of count: Int) -> FeedChooser {
        var chooser = FeedChooser(feedsMax: feedsMax)
        for name in names(0..<count) { chooser.set(name, isPublishing: true) }
        return chooser
    }

    @Test func takesWhatThereIsUpToTheLimit() {
        var all = chooser(49, of: 3)
        #expect(all.fill().subscribe == names(0..<3))
        #expect(all.fill().isEmpty)
        var some = chooser(2, of: 3)
        #expect(some.fill().subscribe == names(0..<2))
        #expect(some.target == 2)
    }

    @Test func aFeedThatCeasesMakesRoom() {
        var chooser = chooser(2, of: 3)
        _ = chooser.fill()
        chooser.set(FeedName("a0"), isPublishing: false)
        #expect(chooser.fill().subscribe == [FeedName("a2")])
    }

    @Test func turningRemapsEverything() {
        var pages = chooser(2, of: 4)
        _ = pages.fill()
        let change = pages.turn()
        #expect(change == FeedChange(unsubscribe: names(0..<2), subscribe: names(2..<4)))
        #expect(!change.isSplit)
        var all = chooser(49, of: 3)
        _ = all.fill()
        let turned = all.turn()
        #expect(turned.unsubscribe == names(0..<3))
        #expect(turned.subscribe == [FeedName("a1"), FeedName("a2"), FeedName("a0")])
        #expect(turned.isSplit)
    }

    @Test func turningKeepsTheCount() {
        var chooser = chooser(3, of: 7)
        _ = chooser.fill()
        for _ in 0..<20 {
            let change = chooser.turn()
            #expect(Set(change.subscribe).count == 3)
            #expect(chooser.wanted == change.subscribe)
        }
    }

    private func slot(_ mid: String, _ ssrc: UInt32) -> AnswerPlan.Slot {
        AnswerPlan.Slot(mid: mid, plan: SlotPlan(kind: .video, codec: .vp8, ssrc: ssrc))
    }

    private func shown(_ mid: String, _ account: String) -> SlotState {
        SlotState(mid: mid, accountID: account, source: account.isEmpty ? nil : .camera)
    }

    @Test func slotsAreMarkedFromTheSubscription() {
        var feeds = FeedSlots(feedsMax: 49)
        feeds.set(FeedName("a0"), isPublishing: true)
        #expect(feeds.fill().isEmpty, "nothing before there are slots")
        feeds.setSlots([slot("2", 20), slot("3", 30)])
        let change = feeds.fill()
        #expect(feeds.expect(change, now: 7).isEmpty)
        #expect(feeds.update([shown("2", ""), shown("3", "")]).isEmpty)
        #expect(feeds.state == FeedState(wanted: 1, bound: 0))
        let marks = feeds.update([shown("2", ""), shown("3", "a0")])
        #expect(marks == [.mark(ssrc: 30, FeedName("a0"), since: 7)])
        #expect(feeds.update([shown("2", ""), shown("3", "a0")]).isEmpty, "once")
        #expect(feeds.state == FeedState(wanted: 1, bound: 1))
    }

    @Test func unsubscribedSlotsRest() {
        var feeds = FeedSlots(feedsMax: 1)
        for name in names(0..<2) { feeds.set(name, isPublishing: true) }
        feeds.setSlots([slot("2", 20)])
        _ = feeds.expect(feeds.fill(), now: 1)
        _ = feeds.update([shown("2", "a0")])
        let change = feeds.turn()
        #expect(change == FeedChange(unsubscribe: names(0..<1), subscribe: names(1..<2)))
        #expect(feeds.expect(change, now: 2) == [.rest(ssrc: 20)])
        #expect(feeds.update([shown("2", "a1")]) == [.mark(ssrc: 20, FeedName("a1"), since: 2)])
    }
}

@Suite struct SeededTests {
    @Test func sameSeedSameNumbers() {
        var (a, b, c) = (Seeded(1), Seeded(1), Seeded(2))
        let first = (0..<8).map { _ in a.next() }
        #expect(first == (0..<8).map { _ in b.next() })
        #expect(first != (0..<8).map { _ in c.next() })
        #expect(Set(first).count == 8)
    }
}
