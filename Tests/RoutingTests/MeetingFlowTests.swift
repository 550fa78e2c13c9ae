// Whole meetings over fake sockets and a fake media plane.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Routing
import Signaling
import Testing

/// An offer of Chromium with a microphone, a simulcast camera, two video and two audio slots.
let offerText: String = {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let file = tests.appending(path: "Vectors/sdp/chromium-simulcast-2x2.sdp")
    return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
}()

@Suite(.timeLimit(.minutes(1))) struct MeetingFlowTests {
    @Test func joinIsToldToAllOthersInOrder() async throws {
        let stage = try Stage()
        let anna = stage.connect()
        anna.say("m", .initiate(host: "anna", ticket: PlainTickets.make("m", "anna")))
        guard case .meetingUsers(let first) = try await anna.next("MEETING_USERS") else { return }
        #expect(first.users == ["anna"])
        #expect(first.session?.count == 32)
        let bob = try await stage.join("bob")
        let carol = try await stage.join("carol")
        for expected in ["bob", "carol"] {
            guard case .join(let news) = try await anna.next("JOIN") else { return }
            #expect(news.accountID == expected && news.name == expected.uppercased())
        }
        try await bob.next("JOIN")
        carol.say("m", .leave(accountID: "carol"))
        #expect(try await bob.next("LEAVE") == .leave(accountID: "carol"))
        #expect(try await anna.next("LEAVE") == .leave(accountID: "carol"))
        #expect(stage.core.participants == 2)
    }

    @Test func relaysReachAllInTheSameOrder() async throws {
        let stage = try Stage { $0.limits.packetBurst = 1000 }
        let names = ["anna", "bob", "carol"]
        var clients: [Client] = []
        for name in names { clients.append(try await stage.join(name)) }
        let listener = try await stage.join("dave")
        let other = try await stage.join("erin")
        for round in 0..<50 {
            for (name, client) in zip(names, clients) {
                client.say("m", .chat(Chat(text: "\(name) \(round)")))
            }
        }
        var heard: [String] = []
        var others: [String] = []
        while heard.count < 150 {
            guard case .chat(let chat) = try await listener.skip(to: "CHAT") else { return }
            heard.append(chat.text)
        }
        while others.count < 150 {
            guard case .chat(let chat) = try await other.skip(to: "CHAT") else { return }
            others.append(chat.text)
        }
        #expect(heard == others)
        for name in names {
            let own = heard.filter { $0.hasPrefix(name) }
            #expect(own == (0..<50).map { "\(name) \($0)" })
        }
    }

    @Test func endClosesAllAndIsReported() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        let bob = try await stage.join("bob")
        bob.say("m", .end)
        #expect(try await bob.error().contains("host"))
        anna.say("m", .end)
        #expect(await bob.rest() == ["END"])
        #expect(await anna.rest() == ["JOIN", "END"])
        #expect(anna.socket.closed == .normal && bob.socket.closed == .normal)
        #expect(stage.core.openMeetings == 0)
        await stage.core.report()
        #expect(stage.service.ends == ["m"])
        let late = stage.connect()
        late.say("m", .join(Join(accountID: "bob", ticket: PlainTickets.make("m", "bob"))))
        #expect(try await late.denial() == "ended")
    }

    @Test func endedStaysEndedAfterRestart() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        anna.say("m", .end)
        _ = await anna.rest()
        await stage.core.journal.flush()
        let restarted = try Stage(in: stage.folder, clock: stage.clock)
        let late = restarted.connect()
        late.say("m", .join(Join(accountID: "anna", ticket: PlainTickets.make("m", "anna"))))
        #expect(try await late.denial() == "ended")
        await restarted.core.report()
        #expect(restarted.service.ends == ["m"])
    }

    @Test func emptyMeetingEndsByItself() async throws {
        let stage = try Stage()
        let bob = try await stage.join("bob")
        bob.say("m", .leave(accountID: "bob"))
        await bob.leave()
        stage.clock.advance(by: .seconds(59))
        await stage.core.tick()
        #expect(stage.core.openMeetings == 1)
        stage.clock.advance(by: .seconds(1))
        await stage.core.tick()
        #expect(stage.core.openMeetings == 0)
        await stage.core.report()
        #expect(stage.service.ends == ["m"])
    }

    @Test func meetingThatNobodyComesBackToAfterRestartEnds() async throws {
        let stage = try Stage()
        _ = try await stage.join("bob", meeting: "left")
        _ = try await stage.join("bob", meeting: "kept")
        await stage.core.journal.flush()
        let restarted = try Stage(in: stage.folder, clock: stage.clock)
        _ = try await restarted.join("bob", meeting: "kept")
        stage.clock.advance(by: .seconds(61))
        await restarted.core.tick()
        await restarted.core.report()
        #expect(restarted.service.ends == ["left"])
    }

    @Test func droppedSocketResumesWithinTheWindow() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        let bob = stage.connect()
        bob.say("m", .join(Join(accountID: "bob", ticket: PlainTickets.make("m", "bob"))))
        guard case .meetingUsers(let users) = try await bob.next("MEETING_USERS") else { return }
        try await anna.next("JOIN")
        await bob.leave()
        stage.clock.advance(by: .seconds(19))
        await stage.core.tick()
        let again = stage.connect()
        again.say("m", .resume(session: try #require(users.session)))
        try await again.next("MEETING_USERS")
        again.say("m", .chat(Chat(text: "back")))
        // Neither LEAVE nor JOIN was shown.
        try await anna.next("CHAT")
        await again.leave()
        stage.clock.advance(by: .seconds(20))
        await stage.core.tick()
        #expect(try await anna.next("LEAVE") == .leave(accountID: "bob"))
    }

    @Test func secondSocketReplacesTheFirst() async throws {
        let stage = try Stage()
        let first = try await stage.join("bob")
        let second = try await stage.join("bob")
        #expect(await first.rest() == ["ERROR"])
        #expect(first.socket.closed == .policyViolation)
        #expect(second.socket.closed == nil)
        #expect(stage.core.participants == 1)
    }

    @Test func recorderIsAGhost() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        let recorder = try await stage.join("rec", role: "recorder")
        #expect(stage.core.participants == 1)
        anna.say("m", .chat(Chat(text: "hi")))
        try await recorder.next("CHAT")
        recorder.say("m", .chat(Chat(text: "hi")))
        try await recorder.next("ERROR")
    }

    @Test func waitingRoomAdmits() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        anna.say("m", .lock(Lock(isLocked: false, hasWaitingRoom: true)))
        try await anna.next("LOCK")
        let bob = stage.connect()
        bob.say("m", .join(Join(accountID: "bob", ticket: PlainTickets.make("m", "bob"))))
        #expect(try await bob.denial() == "waiting")
        try await anna.next("JOIN")
        anna.say("m", .admit(accountID: "bob"))
        try await bob.next("MEETING_USERS")
        #expect(bob.socket.frameLimit == 1024 * 1024)
        bob.say("m", .chat(Chat(text: "in")))
        try await anna.skip(to: "CHAT")
        anna.say("m", .kick(accountID: "bob"))
        #expect(await bob.rest() == ["KICK"])
        #expect(bob.socket.closed == .policyViolation)
    }

    @Test func beatTellsTheLoad() async throws {
        let stage = try Stage()
        _ = try await stage.join("anna")
        #expect(await stage.core.beat())
        stage.core.drain()
        stage.service.answer(503)
        #expect(await stage.core.beat() == false)
        let beats = stage.service.beats
        #expect(
            beats.first
                == NodeBeat(
                    address: "ws://127.0.0.1/ws", capacity: 1000, load: 0.25, meetings: 1,
                    users: 1, draining: false))
        #expect(beats.last?.draining == true)
    }
}
