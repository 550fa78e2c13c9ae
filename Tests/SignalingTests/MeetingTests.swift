// The meeting's rules, packet by packet (Component 8 of the requirements).
// SPDX-License-Identifier: Apache-2.0
import Signaling
import Testing

/// A meeting of which one can ask what each socket was sent.
private struct Room {
    var meeting: Meeting
    var now: Duration = .zero

    init(_ configuration: MeetingConfiguration = MeetingConfiguration()) {
        meeting = Meeting(
            id: "m", host: "host", configuration: configuration,
            makeSecret: { "secret" })
    }

    static func claims(_ account: String, _ role: TicketClaims.Role = .participant) -> Admission {
        .verified(
            TicketClaims(meetingID: "m", accountID: account, host: "host", role: role))
    }

    mutating func say(
        _ socket: UInt64, _ body: PacketBody, _ admission: Admission = .notNeeded
    ) -> [MeetingAction] {
        meeting.receive(Packet("m", body), from: SocketID(socket), admission: admission, now: now)
    }

    mutating func join(_ socket: UInt64, _ account: String) -> [MeetingAction] {
        let role: TicketClaims.Role = account == "host" ? .host : .participant
        return say(socket, .join(Join(accountID: account)), Self.claims(account, role))
    }
}

/// What a socket gets to read, in order.
private func heard(_ actions: [MeetingAction], by socket: UInt64) -> [PacketBody] {
    actions.flatMap { action -> [PacketBody] in
        switch action {
        case .send(let packet, let to): to.value == socket ? [packet.body] : []
        case .relay(let packet, let to):
            to.contains(SocketID(socket)) ? [packet.body] : []
        default: []
        }
    }
}

private func types(_ actions: [MeetingAction], by socket: UInt64) -> [String] {
    heard(actions, by: socket).map(\.contentType)
}

@Suite struct MeetingTests {
    @Test func newcomerGetsUsersAndOthersGetJoin() {
        var room = Room()
        _ = room.join(1, "host")
        let actions = room.join(2, "bob")
        guard case .meetingUsers(let users)? = heard(actions, by: 2).first else {
            Issue.record("no MEETING_USERS")
            return
        }
        #expect(users.users == ["host", "bob"])
        #expect(types(actions, by: 1).contains("JOIN"))
    }

    @Test func refusedTicketIsDenied() {
        var room = Room()
        let actions = room.say(
            1, .join(Join(accountID: "bob")), .refused(.ticketExpired))
        #expect(heard(actions, by: 1) == [.joinDenied(reason: "ticket_expired")])
        #expect(room.meeting.participantCount == 0)
    }

    @Test func ticketOfAnotherAccountIsDenied() {
        var room = Room()
        let actions = room.say(1, .join(Join(accountID: "bob")), Room.claims("eve"))
        #expect(types(actions, by: 1) == ["JOIN_DENIED"])
        #expect(room.meeting.participantCount == 0)
    }

    @Test func onlyTheHostEnds() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        #expect(types(room.say(2, .end), by: 2) == ["ERROR"])
        #expect(!room.meeting.isEnded)
        let actions = room.say(1, .end)
        #expect(types(actions, by: 2) == ["END"] && types(actions, by: 1) == ["END"])
        #expect(actions.contains(.reportEnd(.host)))
        #expect(room.meeting.isEnded)
        #expect(heard(room.join(3, "late"), by: 3) == [.joinDenied(reason: "ended")])
    }

    @Test func nothingIsObeyedBeforeJoin() {
        var room = Room()
        let bodies: [PacketBody] = [
            .end, .leave(accountID: "bob"), .subscribe([]), .unsubscribe([]),
            .chat(Chat(text: "x")), .offer(Offer(sdp: "v=0")),
        ]
        for body in bodies { #expect(types(room.say(1, body), by: 1) == ["ERROR"]) }
    }

    @Test func onlyTheNodeSaysWhatTheNodeSays() {
        var room = Room()
        _ = room.join(1, "host")
        let bodies: [PacketBody] = [
            .meetingUsers(MeetingUsers(users: [])), .answer(sdp: "v=0"), .slots([]),
            .speakers([]), .joinDenied(reason: nil), .feeds(accountID: "host", feeds: []),
        ]
        for body in bodies { #expect(types(room.say(1, body), by: 1) == ["ERROR"]) }
    }

    @Test func leaveOfAnotherAccountIsRefused() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        #expect(types(room.say(2, .leave(accountID: "host")), by: 2) == ["ERROR"])
        #expect(room.meeting.participantCount == 2)
    }

    @Test func droppedSocketLeavesAfterTheResumeWindow() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        #expect(room.meeting.socketClosed(SocketID(2), now: .seconds(1)).isEmpty)
        #expect(types(room.meeting.tick(now: .seconds(20)), by: 1).isEmpty)
        #expect(heard(room.meeting.tick(now: .seconds(21)), by: 1) == [.leave(accountID: "bob")])
    }

    @Test func resumeIsNotShownToOthers() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        _ = room.meeting.socketClosed(SocketID(2), now: .seconds(1))
        room.now = .seconds(5)
        let wrong = room.say(3, .resume(session: "guess"))
        #expect(heard(wrong, by: 3) == [.joinDenied(reason: "session_unknown")])
    }

    @Test func secondSocketOfAnAccountReplacesTheFirst() {
        var room = Room()
        _ = room.join(1, "host")
        let actions = room.join(2, "host")
        #expect(types(actions, by: 1).contains("ERROR"))
        #expect(actions.contains(.close(SocketID(1), .replaced)))
        #expect(room.meeting.participantCount == 1)
    }

    @Test func emptyMeetingEnds() {
        var room = Room()
        _ = room.join(1, "bob")
        _ = room.say(1, .leave(accountID: "bob"))
        #expect(room.meeting.tick(now: .seconds(59)).isEmpty)
        #expect(room.meeting.tick(now: .seconds(60)).contains(.reportEnd(.empty)))
        #expect(room.meeting.isEnded)
    }

    @Test func recorderIsAGhost() {
        var room = Room()
        _ = room.join(1, "host")
        let actions = room.say(9, .recordJoin(ticket: nil), Room.claims("recorder", .recorder))
        #expect(types(actions, by: 9).first == "MEETING_USERS")
        #expect(types(actions, by: 1).isEmpty)
        guard case .meetingUsers(let users)? = heard(room.join(2, "bob"), by: 2).first else {
            Issue.record("no MEETING_USERS")
            return
        }
        #expect(users.users == ["host", "bob"])
        #expect(room.meeting.ghostCount == 1)
    }

    @Test func atMost49FeedsAreSubscribed() {
        var room = Room()
        _ = room.join(1, "host")
        for index in 0..<51 { _ = room.join(UInt64(index + 10), "user\(index)") }
        let wanted = (0..<51).map { FeedRequest(accountID: "user\($0)", bitrate: 100_000) }
        #expect(types(room.say(1, .subscribe(Array(wanted[..<50]))), by: 1) == ["ERROR"])
        #expect(!types(room.say(1, .subscribe(Array(wanted[..<49]))), by: 1).contains("ERROR"))
        #expect(types(room.say(1, .subscribe([wanted[49]])), by: 1) == ["ERROR"])
        let swap = room.say(
            1, .unsubscribeSubscribe(unsubscribe: [wanted[0]], subscribe: [wanted[49]]))
        #expect(!types(swap, by: 1).contains("ERROR"))
    }

    @Test func refusedRemapChangesNothing() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        let bob = FeedRequest(accountID: "bob", bitrate: 1)
        _ = room.say(1, .subscribe([bob]))
        let refused = room.say(
            1,
            .unsubscribeSubscribe(
                unsubscribe: [bob], subscribe: [FeedRequest(accountID: "nobody", bitrate: 1)]))
        #expect(types(refused, by: 1) == ["ERROR"])
        #expect(!types(room.say(1, .unsubscribe([bob])), by: 1).contains("ERROR"))
    }

    @Test func onlyTheHostMutesOthersKicksAndLocks() {
        var room = Room()
        _ = room.join(1, "host")
        _ = room.join(2, "bob")
        let bodies: [PacketBody] = [
            .mute(Mute(accountID: "host", kind: .audio, isMuted: true)),
            .kick(accountID: "host"), .lock(Lock(isLocked: true)), .admit(accountID: "x"),
        ]
        for body in bodies { #expect(types(room.say(2, body), by: 2) == ["ERROR"]) }
        _ = room.say(1, .lock(Lock(isLocked: true)))
        #expect(heard(room.join(3, "eve"), by: 3) == [.joinDenied(reason: "locked")])
        let kick = room.say(1, .kick(accountID: "bob"))
        #expect(kick.contains(.close(SocketID(2), .removed)))
        #expect(room.meeting.participantCount == 1)
    }
}
