// Moderation and conversation, sessions that are replaced or resumed, and the end of a meeting.
// SPDX-License-Identifier: Apache-2.0
import Signaling
import Testing

@Suite struct ModerationTests {
    private func denied(_ actions: [MeetingAction], _ socket: UInt64) -> String? {
        guard case .joinDenied(let reason)? = packets(actions, to: socket).first else { return nil }
        return reason
    }

    @Test func lockedMeetingTurnsNewcomersAway() {
        var stage = Stage(["host", "bob"])
        _ = stage.say(1, .lock(Lock(isLocked: true)))
        #expect(denied(stage.join(3, "eve"), 3) == "locked")
        #expect(denied(stage.join(4, "bob"), 4) == nil)
    }

    @Test func waitingRoomAsksTheHost() {
        var stage = Stage(["host", "bob"])
        _ = stage.say(1, .lock(Lock(isLocked: false, hasWaitingRoom: true)))
        let knock = stage.join(3, "eve")
        #expect(denied(knock, 3) == "waiting")
        #expect(packets(knock, to: 1) == [.join(Join(accountID: "eve", isWaiting: true))])
        #expect(packets(knock, to: 2).isEmpty)
        #expect(hasError(stage.say(2, .admit(accountID: "eve"))))
        let admitted = stage.say(1, .admit(accountID: "eve"))
        #expect(packets(admitted, to: 3).first?.contentType == "MEETING_USERS")
        #expect(packets(admitted, to: 2) == [.join(Join(accountID: "eve"))])
    }

    @Test func deniedGuestIsSentAway() {
        var stage = Stage(["host"])
        _ = stage.say(1, .lock(Lock(isLocked: false, hasWaitingRoom: true)))
        _ = stage.join(3, "eve")
        let actions = stage.say(1, .deny(accountID: "eve"))
        #expect(denied(actions, 3) == "denied")
        #expect(actions.last == .close(SocketID(3), .removed))
        #expect(hasError(stage.say(1, .deny(accountID: "eve"))))
    }

    @Test func openingTheDoorLetsGuestsIn() {
        var stage = Stage(["host"])
        _ = stage.say(1, .lock(Lock(isLocked: false, hasWaitingRoom: true)))
        _ = stage.join(3, "eve")
        _ = stage.join(4, "bob")
        _ = stage.meeting.socketClosed(SocketID(4), now: stage.now)
        let actions = stage.say(1, .lock(Lock(isLocked: false, hasWaitingRoom: false)))
        #expect(packets(actions, to: 3).first?.contentType == "MEETING_USERS")
        #expect(stage.meeting.participantCount == 2)
    }

    @Test func removedAccountStaysOut() {
        var stage = Stage(["host", "bob", "eve"])
        let actions = stage.say(1, .kick(accountID: "bob"))
        #expect(packets(actions, to: 2).first == .kick(accountID: "bob"))
        #expect(actions.contains(.close(SocketID(2), .removed)))
        #expect(packets(actions, to: 3) == [.leave(accountID: "bob")])
        #expect(denied(stage.join(7, "bob"), 7) == "removed")
        #expect(hasError(stage.say(1, .kick(accountID: "host"))))
    }

    @Test func hostMutesButNeverUnmutes() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(2, feeds: [.microphone])
        let mute = stage.say(1, .mute(Mute(accountID: "bob", kind: .audio, isMuted: true)))
        #expect(mute.contains(.setMuted(stage.peer(2), .microphone, true)))
        #expect(packets(mute, to: 2).map(\.contentType) == ["MUTE"])
        let unmute = stage.say(1, .mute(Mute(accountID: "bob", kind: .audio, isMuted: false)))
        #expect(hasError(unmute))
        let own = stage.say(2, .mute(Mute(accountID: "bob", kind: .audio, isMuted: false)))
        #expect(own.contains(.setMuted(stage.peer(2), .microphone, false)))
    }

    @Test func chatCarriesItsAuthorAndStaysPrivate() {
        var stage = Stage(["host", "bob", "eve"])
        let forged = Chat(accountID: "eve", text: "hello")
        let toAll = stage.say(2, .chat(forged))
        #expect(packets(toAll, to: 1) == [.chat(Chat(accountID: "bob", text: "hello"))])
        let secret = stage.say(2, .chat(Chat(to: "eve", text: "psst")))
        #expect(packets(secret, to: 1).isEmpty)
        #expect(packets(secret, to: 3).count == 1)
        #expect(hasError(stage.say(2, .chat(Chat(to: "nobody", text: "?")))))
    }

    @Test func raisedHandIsShownToLateComers() {
        var stage = Stage(["host", "bob"])
        _ = stage.say(2, .hand(Hand(accountID: nil, isRaised: true)))
        let hand = PacketBody.hand(Hand(accountID: "bob", isRaised: true))
        #expect(packets(stage.join(3, "eve"), to: 3).contains(hand))
        #expect(hasError(stage.say(3, .hand(Hand(accountID: "bob", isRaised: false)))))
        #expect(!hasError(stage.say(1, .hand(Hand(accountID: "bob", isRaised: false)))))
    }

    @Test func resumedSessionHearsWhatThereIs() throws {
        var stage = Stage(["host", "bob"])
        let welcome = packets(stage.join(3, "eve"), to: 3).first
        guard case .meetingUsers(let users)? = welcome else {
            Issue.record("no MEETING_USERS")
            return
        }
        _ = stage.negotiate(1, feeds: [.camera])
        _ = stage.negotiate(3, video: 1)
        let eve = stage.peer(3)
        _ = stage.meeting.socketClosed(SocketID(3), now: stage.now)
        stage.now += .seconds(10)
        let session = try #require(users.session)
        let actions = stage.say(9, .resume(session: session))
        let told = packets(actions, to: 9).map(\.contentType)
        #expect(told == ["MEETING_USERS", "FEEDS", "SLOTS"])
        #expect(packets(actions, to: 1).isEmpty)
        #expect(stage.peer(9) == eve)
        #expect(denied(stage.say(10, .resume(session: "wrong")), 10) == "session_unknown")
    }

    @Test func resumeAfterTheWindowIsTooLate() throws {
        var stage = Stage(["host"])
        guard case .meetingUsers(let users)? = packets(stage.join(2, "bob"), to: 2).first else {
            Issue.record("no MEETING_USERS")
            return
        }
        _ = stage.meeting.socketClosed(SocketID(2), now: stage.now)
        let left = stage.meeting.tick(now: stage.now + .seconds(20))
        #expect(packets(left, to: 1) == [.leave(accountID: "bob")])
        let session = try #require(users.session)
        #expect(denied(stage.say(3, .resume(session: session)), 3) == "session_unknown")
    }

    @Test func replacedConnectionKeepsItsSubscribers() {
        var stage = Stage(["host", "bob"])
        _ = stage.negotiate(1, video: 1)
        _ = stage.negotiate(2, feeds: [.camera])
        _ = stage.subscribe(1, "bob")
        let actions = stage.join(5, "bob")
        #expect(actions.contains(.close(SocketID(2), .replaced)))
        #expect(!packets(actions, to: 1).map(\.contentType).contains("LEAVE"))
        #expect(remaps(actions, of: stage.peer(1)) == [[.unbind(mid: "v0")]])
        let again = stage.negotiate(5, feeds: [.camera])
        #expect(remaps(again, of: stage.peer(1)).first?.count == 1)
    }

    @Test func endReachesEverySocketThenClosesIt() {
        var stage = Stage(["host", "bob"])
        let actions = stage.say(1, .end)
        #expect(packets(actions, to: 1) == [.end])
        #expect(packets(actions, to: 2) == [.end])
        #expect(actions.contains(.close(SocketID(2), .ended)))
        #expect(actions.last == .reportEnd(.host))
        #expect(denied(stage.join(3, "eve"), 3) == "ended")
        #expect(stage.meeting.tick(now: .seconds(1000)).isEmpty)
        #expect(stage.meeting.deadline == nil)
    }

    @Test func unopenedMeetingNeverEndsByItself() {
        var stage = Stage([])
        let actions = stage.say(1, .initiate(host: "host", ticket: nil), stage.claims("eve"))
        #expect(hasError(actions))
        #expect(stage.meeting.isUnused)
        #expect(stage.meeting.deadline == nil)
        #expect(stage.meeting.tick(now: .seconds(10_000)).isEmpty)
    }

    @Test func initIsForTheHostAlone() {
        var stage = Stage([])
        let wrongName = stage.say(1, .initiate(host: "bob", ticket: nil), stage.claims("host"))
        #expect(hasError(wrongName))
        let opened = stage.say(1, .initiate(host: "host", ticket: nil), stage.claims("host"))
        #expect(packets(opened, to: 1).first?.contentType == "MEETING_USERS")
        #expect(!hasError(stage.join(1, "host")))
    }

    /// Any packets in any order keep the machine's books consistent.
    @Test(arguments: 1...20) func anyOrderOfPacketsKeepsTheBooks(seed: Int) {
        var random = Seeded(state: UInt64(seed))
        var stage = Stage([])
        let accounts = ["host", "a", "b", "c", "d"]
        for _ in 0..<400 {
            stage.now += .milliseconds(Int.random(in: 0...3000, using: &random))
            let socket = UInt64.random(in: 1...8, using: &random)
            let account = accounts.randomElement(using: &random) ?? "host"
            let actions = stage.act(socket, account, using: &random)
            for case .remap(let peer, let changes) in actions {
                #expect(!changes.isEmpty)
                #expect(stage.meeting.accountID(of: peer) != nil)
            }
            if stage.meeting.isEnded { stage = Stage([]) }
            #expect(stage.meeting.participantCount <= accounts.count)
        }
    }
}

/// A small generator with a seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension Stage {
    /// One random step.
    mutating func act(
        _ socket: UInt64, _ account: String, using random: inout Seeded
    ) -> [MeetingAction] {
        switch Int.random(in: 0...11, using: &random) {
        case 0...2: join(socket, account)
        case 3: meeting.socketClosed(SocketID(socket), now: now)
        case 4: meeting.tick(now: now)
        case 5: say(socket, .leave(accountID: account))
        case 6: negotiate(socket, feeds: [.microphone, .camera], video: 2, audio: 2)
        case 7: negotiate(socket, feeds: [.camera], video: 3, isNew: false)
        case 8: subscribe(socket, account)
        case 9: say(socket, .mute(Mute(accountID: account, kind: .audio, isMuted: true)))
        case 10: say(socket, .kick(accountID: account))
        default: meeting.audioLevels([(peer: peer(socket), level: 10)], now: now)
        }
    }
}
