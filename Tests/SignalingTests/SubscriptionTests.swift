// Subscriptions, slots and speakers: what a peer receives.
// SPDX-License-Identifier: Apache-2.0
import Signaling
import Testing

/// A meeting whose peers publish and receive.
struct Stage {
    var meeting: Meeting
    var now: Duration = .seconds(1)
    /// Of all cameras and screens.
    var codec = MediaCodec.vp8

    init(_ accounts: [String], configuration: MeetingConfiguration = MeetingConfiguration()) {
        let numbers = Numbers()
        meeting = Meeting(
            id: "m", host: "host", configuration: configuration, makeSecret: { numbers.next() })
        for (index, account) in accounts.enumerated() { _ = join(UInt64(index + 1), account) }
    }

    mutating func say(
        _ socket: UInt64, _ body: PacketBody, _ admission: Admission = .notNeeded
    ) -> [MeetingAction] {
        meeting.receive(Packet("m", body), from: SocketID(socket), admission: admission, now: now)
    }

    mutating func join(_ socket: UInt64, _ account: String) -> [MeetingAction] {
        say(socket, .join(Join(accountID: account)), claims(account))
    }

    func claims(_ account: String) -> Admission {
        .verified(
            TicketClaims(
                meetingID: "m", accountID: account, host: "host",
                role: account == "host" ? .host : .participant))
    }

    func peer(_ socket: UInt64) -> PeerID {
        meeting.peer(of: SocketID(socket)) ?? PeerID(0)
    }

    /// Answers an offer: feeds by source, video slots v0…, audio slots a0….
    mutating func negotiate(
        _ socket: UInt64, feeds: [FeedSource] = [], video: Int = 0, audio: Int = 0,
        isNew: Bool = true
    ) -> [MeetingAction] {
        var slots: [SlotOffer] = []
        for index in 0..<video {
            slots.append(SlotOffer(mid: "v\(index)", kind: .video, codecs: [.vp8]))
        }
        for index in 0..<audio {
            slots.append(SlotOffer(mid: "a\(index)", kind: .audio, codecs: [.opus]))
        }
        return meeting.negotiated(
            peer(socket), answer: "answer",
            feeds: feeds.map {
                PublishedFeed(source: $0, codec: $0 == .microphone ? .opus : codec, isNew: isNew)
            }, slots: slots)
    }

    mutating func subscribe(
        _ socket: UInt64, _ account: String, _ bitrate: Int = 500_000,
        _ source: FeedSource = .camera
    ) -> [MeetingAction] {
        say(socket, .subscribe([FeedRequest(accountID: account, bitrate: bitrate, source: source)]))
    }
}

/// Counts up; each number once.
final class Numbers: @unchecked Sendable {
    private var last = 0

    func next() -> String {
        last += 1
        return "session-\(last)"
    }
}

func remaps(_ actions: [MeetingAction], of peer: PeerID) -> [[SlotChange]] {
    actions.compactMap {
        if case .remap(peer, let changes) = $0 { changes } else { nil }
    }
}

func packets(_ actions: [MeetingAction], to socket: UInt64) -> [PacketBody] {
    actions.flatMap { action -> [PacketBody] in
        switch action {
        case .send(let packet, SocketID(socket)): [packet.body]
        case .relay(let packet, let to) where to.contains(SocketID(socket)): [packet.body]
        default: []
        }
    }
}

func hasError(_ actions: [MeetingAction]) -> Bool {
    actions.contains {
        if case .send(let packet, _) = $0, case .error = packet.body { true } else { false }
    }
}

@Suite struct SubscriptionTests {
    @Test func subscriptionTakesAFreeSlotAndTellsIt() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(2, video: 2)
        let actions = stage.subscribe(2, "host", 300_000)
        let bob = stage.peer(2)
        let bind = SlotChange.bind(
            mid: "v0", publisher: stage.peer(1), source: .camera, bitrate: 300_000)
        #expect(remaps(actions, of: bob) == [[bind]])
        let slots = [
            SlotState(mid: "v0", accountID: "host", source: .camera), SlotState(mid: "v1"),
        ]
        #expect(packets(actions, to: 2) == [.slots(slots)])
    }

    @Test func subscriptionWaitsForThePublisher() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(2, video: 1)
        #expect(stage.subscribe(2, "host").isEmpty)
        let actions = stage.negotiate(1, feeds: [.camera])
        #expect(remaps(actions, of: stage.peer(2)).count == 1)
    }

    @Test func subscriptionWaitsForAFreeSlot() {
        var stage = Stage(["host", "bob", "eve"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(3, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host")
        #expect(stage.subscribe(2, "eve").isEmpty)
        let actions = stage.say(2, .unsubscribe([FeedRequest(accountID: "host", bitrate: 0)]))
        let bind = SlotChange.bind(
            mid: "v0", publisher: stage.peer(3), source: .camera, bitrate: 500_000)
        #expect(remaps(actions, of: stage.peer(2)) == [[.unbind(mid: "v0"), bind]])
    }

    @Test func combinedPacketIsOneRemap() {
        var stage = Stage(["host", "bob", "eve"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(3, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host")
        let actions = stage.say(
            2,
            .unsubscribeSubscribe(
                unsubscribe: [FeedRequest(accountID: "host", bitrate: 0)],
                subscribe: [FeedRequest(accountID: "eve", bitrate: 7)]))
        #expect(remaps(actions, of: stage.peer(2)).count == 1)
        #expect(packets(actions, to: 2).count == 1)
    }

    @Test func newBitrateNeedsNoNewBinding() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host", 100)
        let actions = stage.subscribe(2, "host", 200)
        #expect(remaps(actions, of: stage.peer(2)) == [[.setBitrate(mid: "v0", bitrate: 200)]])
    }

    @Test func feedGoesOnlyWhereItsCodecIsUnderstood() {
        var stage = Stage(["host", "bob"])
        stage.codec = .av1
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        #expect(stage.subscribe(2, "host").isEmpty)
        let quality = stage.meeting.estimate(
            stage.peer(2), downlink: 1_000_000, loss: 0.1, now: stage.now)
        guard case .quality(let told)? = packets(quality, to: 2).first else {
            Issue.record("no QUALITY")
            return
        }
        #expect(told.held.map(\.reason) == ["codec"])
    }

    @Test func cameraAndScreenAreTwoFeeds() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera, .screen])
        _ = stage.negotiate(2, video: 2)
        _ = stage.subscribe(2, "host")
        let actions = stage.subscribe(2, "host", 900, .screen)
        let bind = SlotChange.bind(
            mid: "v1", publisher: stage.peer(1), source: .screen, bitrate: 900)
        #expect(remaps(actions, of: stage.peer(2)) == [[bind]])
    }

    @Test func leavingEmptiesSlotsAndSubscriptions() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.microphone, .camera])
        _ = stage.negotiate(2, video: 1, audio: 1)
        _ = stage.subscribe(2, "host")
        let bob = stage.peer(2)
        let actions = stage.say(1, .leave(accountID: "host"))
        #expect(remaps(actions, of: bob) == [[.unbind(mid: "v0"), .unbind(mid: "a0")]])
        let late = stage.say(2, .unsubscribe([FeedRequest(accountID: "host", bitrate: 0)]))
        #expect(!hasError(late))
        #expect(hasError(stage.subscribe(2, "host")))
    }

    @Test func newTrackOfAKnownSourceIsBoundAnew() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host")
        #expect(remaps(stage.negotiate(1, feeds: [.camera], isNew: false), of: stage.peer(2)) == [])
        let again = remaps(stage.negotiate(1, feeds: [.camera]), of: stage.peer(2))
        #expect(again.first?.first == .unbind(mid: "v0"))
        #expect(again.first?.count == 2)
    }

    @Test func slotsGrowByANewOffer() {
        var stage = Stage(["host", "bob", "eve"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(3, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host")
        _ = stage.subscribe(2, "eve")
        let actions = stage.negotiate(2, video: 2)
        let bind = SlotChange.bind(
            mid: "v1", publisher: stage.peer(3), source: .camera, bitrate: 500_000)
        #expect(remaps(actions, of: stage.peer(2)) == [[bind]])
        #expect(packets(actions, to: 2).first == .answer(sdp: "answer"))
    }

    @Test func everyoneHearsEveryoneAtOnce() {
        let names = ["host", "b", "c", "d"]
        var stage = Stage(names)
        for socket in 1...4 { _ = stage.negotiate(UInt64(socket), feeds: [.microphone], audio: 5) }
        _ = stage.join(9, "late")
        let actions = stage.negotiate(9, audio: 5)
        #expect(remaps(actions, of: stage.peer(9)).first?.count == 4)
    }

    @Test func theLoudestAreHeardAndNoWordIsCut() {
        var stage = Stage(["host", "b", "c", "d"])
        for socket in 1...3 { _ = stage.negotiate(UInt64(socket), feeds: [.microphone]) }
        _ = stage.negotiate(4, audio: 1)
        let listener = stage.peer(4)
        stage.now = .seconds(2)
        let first = stage.meeting.audioLevels([(peer: stage.peer(3), level: 20)], now: stage.now)
        #expect(remaps(first, of: listener).first?.count == 2)
        stage.now = .seconds(2) + .milliseconds(300)
        let tooSoon = stage.meeting.audioLevels([(peer: stage.peer(2), level: 10)], now: stage.now)
        #expect(remaps(tooSoon, of: listener).isEmpty)
        stage.now = .seconds(4)
        let later = stage.meeting.audioLevels([(peer: stage.peer(2), level: 10)], now: stage.now)
        #expect(remaps(later, of: listener).first?.count == 2)
    }

    @Test func mutedFeedIsStoppedAndToldOnce() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(2, feeds: [.microphone, .camera])
        let mute = Mute(accountID: "bob", kind: .video, isMuted: true)
        let actions = stage.say(2, .mute(mute))
        #expect(actions.contains(.setMuted(stage.peer(2), .camera, true)))
        #expect(packets(actions, to: 1).map(\.contentType) == ["MUTE", "FEEDS"])
        #expect(stage.say(2, .mute(mute)).isEmpty)
        let again = stage.negotiate(2, feeds: [.microphone, .camera])
        #expect(again.contains(.setMuted(stage.peer(2), .camera, true)))
    }

    @Test func lostTransportWithdrawsFeedsAndSlots() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera], video: 1)
        _ = stage.negotiate(2, feeds: [.camera], video: 1)
        _ = stage.subscribe(1, "bob")
        let actions = stage.meeting.mediaLost(stage.peer(2))
        #expect(packets(actions, to: 1).contains(.feeds(accountID: "bob", feeds: [])))
        #expect(remaps(actions, of: stage.peer(1)) == [[.unbind(mid: "v0")]])
        #expect(actions.last == .closeMedia(stage.peer(2)))
    }

    @Test func offerOfALeftPeerOnlyClosesItsTransport() {
        var stage = Stage(["host", "bob"])
        let bob = stage.peer(2)
        _ = stage.say(2, .offer(Offer(sdp: "x")))
        #expect(hasError(stage.say(2, .offer(Offer(sdp: "x")))))
        _ = stage.say(2, .leave(accountID: "bob"))
        let actions = stage.meeting.negotiated(bob, answer: "a", feeds: [], slots: [])
        #expect(actions == [.closeMedia(bob)])
    }

    @Test func speakersAreToldAtMostFiveTimesASecond() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.microphone])
        _ = stage.negotiate(2, feeds: [.microphone])
        var told = 0
        for step in 0..<100 {
            let now = Duration.seconds(10) + .milliseconds(20 * step)
            let actions = stage.meeting.audioLevels(
                [(peer: stage.peer(1), level: 20 + step % 3), (peer: stage.peer(2), level: 40)],
                now: now)
            for case .speakers(let active) in packets(actions, to: 2) {
                told += 1
                #expect(active.map(\.accountID) == ["host", "bob"])
            }
        }
        #expect((9...10).contains(told))
        let silence = stage.meeting.tick(now: .seconds(20))
        #expect(packets(silence, to: 1) == [.speakers([])])
        #expect(stage.meeting.tick(now: .seconds(30)).isEmpty)
    }

    @Test func layerOfASlotIsTold() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(2, video: 1)
        _ = stage.subscribe(2, "host")
        let bob = stage.peer(2)
        #expect(stage.meeting.deadline == nil)
        stage.meeting.slotLayer(bob, mid: "v0", layer: "h", bitrate: 400)
        #expect(stage.meeting.deadline == .zero)
        let actions = stage.meeting.tick(now: stage.now)
        let state = SlotState(
            mid: "v0", accountID: "host", source: .camera, layer: "h", bitrate: 400)
        #expect(packets(actions, to: 2) == [.slots([state])])
        stage.meeting.slotLayer(bob, mid: "v0", layer: "h", bitrate: 500)
        stage.meeting.slotLayer(bob, mid: "v9", layer: "h", bitrate: 1)
        #expect(stage.meeting.tick(now: stage.now).isEmpty)
    }
}
