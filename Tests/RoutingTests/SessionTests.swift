// What a socket may do, and what happens when it does something else.
// SPDX-License-Identifier: Apache-2.0

import Routing
import Signaling
import Testing

@Suite(.timeLimit(.minutes(1))) struct SessionTests {
    private func join(_ meeting: String, _ account: String, _ ticket: String?) -> PacketBody {
        .join(Join(accountID: account, ticket: ticket))
    }

    @Test func notJSONClosesWithError() async throws {
        let client = try Stage().connect()
        client.socket.say("hello")
        #expect(try await client.error().contains("not JSON"))
        await client.finish()
        #expect(client.socket.closed == .policyViolation)
    }

    @Test(arguments: [
        #"{"meeting_id":"m","content_type":"NOPE"}"#, #"{"meeting_id":"m"}"#,
        #"{"content_type":"JOIN","account_id":"a"}"#,
        #"{"meeting_id":"m","content_type":"SUBSCRIBE","num_actions":2,"subscriptions":[]}"#,
        #"{"meeting_id":"m","content_type":"JOIN","account_id":7}"#,
        #"{"meeting_id":"m","content_type":"CHAT","text":"hi"}"#,
        #"{"meeting_id":"m","content_type":"END"}"#,
    ])
    func refusedPacketLeavesSocketOpen(_ text: String) async throws {
        let stage = try Stage()
        let client = stage.connect()
        client.socket.say(text)
        _ = try await client.error()
        client.say("m", .join(Join(accountID: "bob", ticket: PlainTickets.make("m", "bob"))))
        try await client.next("MEETING_USERS")
        #expect(client.socket.closed == nil)
    }

    @Test func tooManyPacketsClose() async throws {
        let client = try Stage { $0.limits.packetBurst = 5 }.connect()
        for _ in 0..<6 { client.socket.say(#"{"meeting_id":"m"}"#) }
        #expect(await client.rest().count == 6)
        #expect(client.socket.closed == .policyViolation)
    }

    @Test func packetsOverTimeAreFine() async throws {
        let stage = try Stage {
            $0.limits.packetBurst = 1
            $0.limits.packetsPerSecond = 10
        }
        let client = stage.connect()
        for _ in 0..<5 {
            client.socket.say(#"{"meeting_id":"m"}"#)
            _ = try await client.error()
            stage.clock.advance(by: .milliseconds(100))
        }
    }

    @Test func silentSocketIsClosed() async throws {
        let stage = try Stage()
        let (silent, speaking) = (stage.connect(), stage.connect())
        speaking.socket.say(#"{"meeting_id":"m"}"#)
        _ = try await speaking.error()
        silent.socket.say(#"{"meeting_id":"m"}"#)
        _ = try await silent.error()
        let late = stage.connect()
        while stage.core.openSockets < 3 { await Task.yield() }
        stage.clock.advance(by: .milliseconds(9999))
        await stage.core.tick()
        #expect(late.socket.closed == nil)
        stage.clock.advance(by: .milliseconds(1))
        await stage.core.tick()
        await late.finish()
        #expect(late.socket.closed == .policyViolation)
        #expect(speaking.socket.closed == nil && silent.socket.closed == nil)
    }

    @Test func socketsOfAnAddressAreLimited() async throws {
        let stage = try Stage { $0.limits.socketsPerAddress = 2 }
        let first = stage.connect()
        _ = stage.connect()
        while stage.core.openSockets < 2 { await Task.yield() }
        let third = stage.connect()
        await third.finish()
        #expect(third.socket.closed == .policyViolation)
        let other = stage.connect(from: "192.0.2.2")
        while stage.core.openSockets < 3 { await Task.yield() }
        #expect(other.socket.closed == nil)
        await first.leave()
        let again = stage.connect()
        while stage.core.openSockets < 3 { await Task.yield() }
        #expect(again.socket.closed == nil)
    }

    @Test func frameLimitIsRaisedByJoining() async throws {
        let stage = try Stage()
        let client = stage.connect()
        client.say("m", join("m", "bob", nil))
        _ = try await client.denial()
        #expect(client.socket.frameLimit == 0)
        client.say("m", join("m", "bob", PlainTickets.make("m", "bob")))
        try await client.next("MEETING_USERS")
        #expect(client.socket.frameLimit == 1024 * 1024)
    }

    @Test(arguments: [
        (nil, DenialReason.ticketMissing), ("", .ticketMissing), ("x", .ticketInvalid),
        ("expired", .ticketExpired), (PlainTickets.make("other", "bob"), .ticketForeign),
        (PlainTickets.make("m", "carol"), .ticketForeign),
        (PlainTickets.make("m", "bob", node: "n2"), .ticketForeign),
        (PlainTickets.make("m", "bob", role: "recorder"), .ticketForeign),
    ] as [(String?, DenialReason)])
    func badTicketIsDenied(_ ticket: String?, _ reason: DenialReason) async throws {
        let stage = try Stage()
        let client = stage.connect()
        // An empty ticket is a malformed packet; the header may hold one.
        client.say("m", join("m", "bob", ticket == "" ? nil : ticket))
        #expect(try await client.denial() == reason.rawValue)
        #expect(stage.core.openMeetings == 0)
        #expect(client.socket.closed == nil)
    }

    @Test(arguments: ["", "n1", "ws://127.0.0.1/ws"])
    func ticketOfThisNodeIsGood(_ node: String) async throws {
        let client = try Stage().connect()
        client.say("m", join("m", "bob", PlainTickets.make("m", "bob", node: node)))
        try await client.next("MEETING_USERS")
    }

    @Test func ticketMayComeWithTheUpgrade() async throws {
        let client = try Stage().connect(bearer: PlainTickets.make("m", "bob"))
        client.say("m", join("m", "bob", nil))
        try await client.next("MEETING_USERS")
    }

    @Test func nodeThatIsFullSaysSo() async throws {
        let stage = try Stage { $0.capacity = 1 }
        _ = try await stage.join("anna")
        let client = stage.connect()
        client.say("m", join("m", "bob", PlainTickets.make("m", "bob")))
        #expect(try await client.denial() == "node_full")
    }

    @Test func workersThatAreFullRefuseNewcomersButNobodyWhoIsIn() async throws {
        let stage = try Stage()
        let anna = try await stage.join("anna")
        stage.media.refuse(true)
        let bob = stage.connect()
        bob.say("m", join("m", "bob", PlainTickets.make("m", "bob")))
        #expect(try await bob.denial() == "node_full")
        // A second connection of an account takes the place of the first.
        _ = try await stage.join("anna")
        #expect(try await anna.error().contains("took over"))
        #expect(await stage.core.beat())
        #expect(stage.service.beats.last?.load == 1)
        stage.media.refuse(false)
        bob.say("m", join("m", "bob", PlainTickets.make("m", "bob")))
        try await bob.next("MEETING_USERS")
        #expect(await stage.core.beat())
        #expect(stage.service.beats.last?.load == 0.25)
    }

    @Test func resumeOfUnknownSessionIsDenied() async throws {
        let stage = try Stage()
        let client = stage.connect()
        client.say("m", .resume(session: "x"))
        #expect(try await client.denial() == "session_unknown")
        stage.core.journal.markEnded("over")
        client.say("over", .resume(session: "x"))
        #expect(try await client.denial() == "ended")
    }

    @Test func foreignMeetingIsRefusedWhileInOne() async throws {
        let stage = try Stage()
        let bob = try await stage.join("bob")
        bob.say("other", join("other", "bob", PlainTickets.make("other", "bob")))
        #expect(try await bob.error().contains("meeting_id"))
        bob.say("m", .leave(accountID: "bob"))
        bob.say("other", join("other", "bob", PlainTickets.make("other", "bob")))
        try await bob.next("MEETING_USERS")
    }

    @Test func deniedMeetingIsForgotten() async throws {
        let stage = try Stage()
        let client = stage.connect()
        // A good ticket of somebody else's makes a meeting that nobody is in.
        client.say("m", join("m", "bob", PlainTickets.make("m", "carol")))
        _ = try await client.denial()
        client.say("m", .chat(Chat(text: "?")))
        #expect(try await client.error().contains("CHAT"))
        client.say("m", join("m", "bob", PlainTickets.make("m", "bob")))
        try await client.next("MEETING_USERS")
        #expect(stage.core.openMeetings == 1)
    }
}

@Suite struct PacketRateTests {
    @Test func burstThenRate() {
        var rate = PacketRate(perSecond: 10, burst: 3, now: .zero)
        func take(_ milliseconds: Int) -> Bool { rate.take(now: .milliseconds(milliseconds)) }
        var taken = [0, 0, 0, 0, 100, 150].map { take($0) }
        #expect(taken == [true, true, true, false, true, false])
        // A clock that goes back gives nothing.
        taken = [0, 100_000, 100_000, 100_000, 100_000].map { take($0) }
        #expect(taken == [false, true, true, true, false])
    }
}
