// Offers, subscriptions and news of the media plane, over a fake one.
// SPDX-License-Identifier: Apache-2.0

import Routing
import Signaling
import Testing

@Suite(.timeLimit(.minutes(1))) struct MediaFlowTests {
    let stage: Stage

    init() throws { stage = try Stage() }

    private func offer(_ text: String = offerText) -> PacketBody {
        .offer(Offer(sdp: text, sources: [:]))
    }

    /// Joins and offers; returns after the ANSWER.
    private func publish(_ account: String) async throws -> Client {
        let client = try await stage.join(account)
        client.say("m", offer())
        try await client.skip(to: "ANSWER")
        return client
    }

    /// The media plane's calls up to and with the one that satisfies `isLast`.
    private func calls(
        until isLast: (FakeMedia.Call) -> Bool
    ) async -> [FakeMedia.Call] {
        var all: [FakeMedia.Call] = []
        for await call in stage.media.calls {
            all.append(call)
            if isLast(call) { break }
        }
        return all
    }

    private func boundAccounts(_ body: PacketBody) -> [String] {
        guard case .slots(let slots) = body else { return [] }
        return slots.map(\.accountID).filter { !$0.isEmpty }
    }

    @Test func offerIsAppliedThenAnswered() async throws {
        let anna = try await stage.join("anna")
        anna.say("m", offer())
        guard case .answer(let sdp) = try await anna.next("ANSWER") else { return }
        #expect(sdp.contains("a=ice-lite") && sdp.contains("a=setup:passive"))
        let made = await calls { if case .applied = $0 { true } else { false } }
        #expect(made.first == .made("m/anna"))
        #expect(
            made.last
                == .applied("m/anna", publications: ["microphone", "camera"], slots: 4))
    }

    @Test func badOfferIsAnErrorAndANewOneIsTaken() async throws {
        let anna = try await stage.join("anna")
        anna.say("m", offer("v=0"))
        #expect(try await anna.error().hasPrefix("OFFER"))
        anna.say("m", offer())
        try await anna.next("ANSWER")
    }

    @Test func fullMediaPlaneIsAnError() async throws {
        let anna = try await stage.join("anna")
        stage.media.refuse(true)
        anna.say("m", offer())
        #expect(try await anna.error().contains("full"))
        stage.media.refuse(false)
        anna.say("m", offer())
        try await anna.next("ANSWER")
    }

    @Test func audioComesByItselfAndVideoBySubscription() async throws {
        let anna = try await publish("anna")
        let bob = try await publish("bob")
        let slots = try await bob.skip(to: "SLOTS")
        #expect(boundAccounts(slots) == ["anna"])
        try await anna.skip(to: "FEEDS")
        bob.say("m", .subscribe([FeedRequest(accountID: "anna", bitrate: 400_000)]))
        let both = try await bob.skip(to: "SLOTS")
        #expect(boundAccounts(both) == ["anna", "anna"])
        let track = TrackName(peer: stage.media.id("m/anna"), mid: "1")
        let made = await calls {
            guard case .remap("m/bob", let steps) = $0 else { return false }
            return steps.contains {
                if case .bind(_, track, 400_000, .camera) = $0 { true } else { false }
            }
        }
        #expect(!made.isEmpty)
        bob.say("m", .unsubscribe([FeedRequest(accountID: "anna", bitrate: 0)]))
        #expect(boundAccounts(try await bob.skip(to: "SLOTS")) == ["anna"])
    }

    @Test func newcomerReceivesFeedsInFull() async throws {
        let anna = try await publish("anna")
        _ = anna
        let bob = try await stage.join("bob")
        guard case .feeds(let account, let feeds) = try await bob.next("FEEDS") else { return }
        #expect(account == "anna")
        #expect(feeds.map(\.source) == [.microphone, .camera])
        #expect(feeds.map(\.codec) == ["opus", "vp8"])
    }

    @Test func hostMutesAtTheNode() async throws {
        let anna = try await stage.join("anna")
        let bob = try await publish("bob")
        anna.say("m", .mute(Mute(accountID: "bob", kind: .audio, isMuted: true)))
        try await bob.skip(to: "MUTE")
        let made = await calls { if case .muted = $0 { true } else { false } }
        #expect(made.last == .muted("m/bob", mid: "0", true))
    }

    @Test func levelsEstimatesAndLayersAreTold() async throws {
        let anna = try await publish("anna")
        let bob = try await publish("bob")
        try await anna.skip(to: "FEEDS")
        let id = stage.media.id("m/bob")
        await stage.core.hear([(id, .audioLevel(mid: "0", level: 20))])
        guard case .speakers(let active) = try await anna.skip(to: "SPEAKERS") else { return }
        #expect(active == [SpeakerLevel(accountID: "bob", level: 20)])
        await stage.core.hear([(id, .estimate(bitsPerSecond: 1_000_000, loss: 0.01))])
        guard case .quality(let quality) = try await bob.skip(to: "QUALITY") else { return }
        #expect(quality.downlink == 1_000_000 && quality.loss == 0.01)
        let layers = [
            MeasuredLayer(rid: "q", bitrate: 150_000, isLive: true),
            MeasuredLayer(rid: "h", bitrate: 0, isLive: false),
        ]
        await stage.core.hear([(id, .layers(mid: "1", layers))])
        guard case .feeds(_, let feeds) = try await anna.skip(to: "FEEDS") else { return }
        #expect(feeds.last?.layers == [Feed.Layer(bitrate: 150_000)])
    }

    @Test func slotLayerIsTold() async throws {
        _ = try await publish("anna")
        let bob = try await publish("bob")
        bob.say("m", .subscribe([FeedRequest(accountID: "anna", bitrate: 400_000)]))
        guard case .slots(let slots) = try await bob.skip(to: "SLOTS"),
            let mid = slots.first(where: { $0.source == .camera })?.mid
        else {
            // The audio slot was told first.
            guard case .slots(let slots) = try await bob.skip(to: "SLOTS"),
                let mid = slots.first(where: { $0.source == .camera })?.mid
            else { return }
            try await check(bob, mid)
            return
        }
        try await check(bob, mid)
    }

    private func check(_ bob: Client, _ mid: String) async throws {
        let id = stage.media.id("m/bob")
        await stage.core.hear([(id, .slotLayer(mid: mid, layer: "h", bitrate: 390_000))])
        await stage.core.tick()
        guard case .slots(let now) = try await bob.skip(to: "SLOTS") else { return }
        #expect(now.first { $0.mid == mid }?.layer == "h")
    }

    @Test func lostTransportWithdrawsFeedsAtOnceOrAfterGrace() async throws {
        let anna = try await stage.join("anna")
        _ = try await publish("bob")
        _ = try await publish("carol")
        for _ in 0..<2 { try await anna.skip(to: "FEEDS") }
        let (bob, carol) = (stage.media.id("m/bob"), stage.media.id("m/carol"))
        await stage.core.hear([(bob, .disconnected(mayReturn: false))])
        #expect(try await anna.skip(to: "FEEDS") == .feeds(accountID: "bob", feeds: []))
        await stage.core.hear([(carol, .disconnected(mayReturn: true))])
        stage.clock.advance(by: .seconds(9))
        await stage.core.hear([(carol, .connected)])
        stage.clock.advance(by: .seconds(9))
        await stage.core.tick()
        await stage.core.hear([(carol, .disconnected(mayReturn: true))])
        stage.clock.advance(by: .seconds(10))
        await stage.core.tick()
        #expect(try await anna.skip(to: "FEEDS") == .feeds(accountID: "carol", feeds: []))
    }

    @Test func iceRestartKeepsTheTransportAndAnotherCertificateReplacesIt() async throws {
        let bob = try await publish("bob")
        let first = stage.media.id("m/bob")
        let restart = offerText.replacing(/a=ice-ufrag:\S+/, with: "a=ice-ufrag:fresh1")
        bob.say("m", offer(restart))
        guard case .answer(let sdp) = try await bob.skip(to: "ANSWER") else { return }
        #expect(sdp.contains("a=ice-ufrag:ufrag1"))
        #expect(stage.media.id("m/bob") == first)
        let hash = Array(repeating: "AB", count: 32).joined(separator: ":")
        let print = "a=fingerprint:sha-256 " + hash
        let other = offerText.replacing(/a=fingerprint:[^\r\n]+/, with: print)
        bob.say("m", offer(other))
        try await bob.skip(to: "ANSWER")
        #expect(stage.media.id("m/bob") != first)
        let made = await calls { $0 == .closed("m/bob") }
        #expect(made.contains(.restarted("m/bob")))
    }

    @Test func leavingClosesTheTransport() async throws {
        let bob = try await publish("bob")
        bob.say("m", .leave(accountID: "bob"))
        let made = await calls { $0 == .closed("m/bob") }
        #expect(made.last == .closed("m/bob"))
        await stage.core.hear([(stage.media.id("m/bob"), .connected)])
    }
}
