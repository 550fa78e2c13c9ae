// The meeting service through its HTTP routes.
// SPDX-License-Identifier: Apache-2.0
import Meetings
import ServiceKit
import Stores
import Testing

@Suite struct MeetingServiceTests {
    @Test func createJoinLeaveEnd() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        try await stage.run { caller in
            let made = try await caller.call(.post, "/meeting", token: "token-ann")
            #expect(made.status == 201)
            let id = try #require(made.text("meeting_id"))
            #expect(made.text("server") == "ws://n1/ws")
            let verifier = await TicketVerifier(key: stage.ticketKey.publicKey) { stage.time.now }
            let host = try await verifier.verify(try #require(made.text("ticket")))
            #expect(host.role == .host && host.accountID == "ann" && host.host == "ann")
            #expect(host.meetingID == id && host.node == "n1" && host.name == "Name of ann")
            let joined = try await caller.call(.post, "/meeting/join/\(id)", token: "token-bo")
            let guest = try await verifier.verify(try #require(joined.text("ticket")))
            #expect(guest.role == .participant && guest.accountID == "bo" && guest.host == "ann")
            #expect(guest.expires == stage.time.now + 300)
            let record = try await caller.call(.get, "/meeting/\(id)", token: "token-bo")
            #expect(record.text("host") == "ann")
            #expect(record.body["recording"] == .bool(false))
            let left = try await caller.call(.post, "/meeting/leave/\(id)", token: "token-bo")
            #expect(left.status == 204)
            let router = try await stage.credential(.router)
            for _ in 0..<2 {
                let ended = try await caller.call(.post, "/meeting/end/\(id)", token: router)
                #expect(ended.status == 204)
            }
            let late = try await caller.call(.post, "/meeting/join/\(id)", token: "token-bo")
            #expect(late.status == 404)
        }
    }

    @Test func withoutANodeThereIsNoMeeting() async throws {
        let stage = try await MeetingStage()
        try await stage.node("draining", draining: true)
        try await stage.run { caller in
            let refused = try await caller.call(.post, "/meeting", token: "token-ann")
            #expect(refused.status == 503)
            #expect(refused.headers[.retryAfter] != nil)
        }
    }

    @Test func silentNodesGetNoMeetings() async throws {
        let stage = try await MeetingStage()
        try await stage.node("silent")
        stage.time.advance(16)
        try await stage.node("alive")
        try await stage.run { caller in
            for _ in 0..<10 {
                let made = try await caller.call(.post, "/meeting", token: "token-ann")
                #expect(made.text("server") == "ws://alive/ws")
            }
        }
    }

    @Test func nodesThatBeatAtAnotherInstanceAreUsed() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        let neighbour = await stage.neighbour()
        let host = VerifiedAccount(accountID: "ann", name: "", expires: 0)
        #expect(try await neighbour.create(host).server == "ws://n1/ws")
    }

    @Test func tokensAndCredentialsAreNeeded() async throws {
        let stage = try await MeetingStage()
        let router = try await stage.credential(.router)
        let recorder = try await stage.credential(.recorder)
        try await stage.run { caller in
            #expect(try await caller.call(.post, "/meeting").status == 401)
            #expect(try await caller.call(.post, "/meeting", token: "bad").status == 401)
            #expect(try await caller.call(.post, "/meeting", token: router).status == 401)
            let end = "/meeting/end/abc-defg-hij"
            #expect(try await caller.call(.post, end).status == 401)
            #expect(try await caller.call(.post, end, token: "token-ann").status == 401)
            #expect(try await caller.call(.post, end, token: recorder).status == 403)
            #expect(try await caller.call(.post, end, token: router).status == 204)
            let delete = try await caller.call(.delete, "/meeting/abc-defg-hij", token: router)
            #expect(delete.status == 403)
        }
    }

    @Test func unknownMeetingsAre404() async throws {
        try await MeetingStage().run { caller in
            for path in ["/meeting/join/abc-defg-hij", "/meeting/leave/none"] {
                let answer = try await caller.call(.post, path, token: "token-ann")
                #expect(answer.status == 404)
            }
            #expect(try await caller.call(.get, "/meeting/x", token: "token-ann").status == 404)
        }
    }

    @Test func beatsAreChecked() async throws {
        let stage = try await MeetingStage()
        let router = try await stage.credential(.router)
        try await stage.run { caller in
            let good = #"{"address":"ws://n/ws","capacity":10,"load":0.5,"meetings":1,"users":2}"#
            let noted = try await caller.call(.put, "/meeting/server/n", token: router, good)
            #expect(noted.status == 204)
            for bad in [
                "{}", #"{"address":"http://n","capacity":1}"#, #"{"address":"ws://","capacity":1}"#,
                #"{"address":"ws://n","capacity":-1}"#, #"{"address":"ws://n","capacity":1.5}"#,
                #"{"address":"ws://n","capacity":1,"load":2}"#,
                #"{"address":"ws://n","capacity":1,"draining":"no"}"#,
            ] {
                let answer = try await caller.call(.put, "/meeting/server/n", token: router, bad)
                #expect(answer.status == 400, "\(bad)")
            }
            let name = try await caller.call(.put, "/meeting/server/a%20b", token: router, good)
            #expect(name.status == 400)
        }
    }

    @Test func routesAreThoseOfTheDocument() async throws {
        let stage = try await MeetingStage()
        let documented = try OpenAPIDocument.operations().filter { $0.contains(" /meeting") }
        #expect(Set(stage.routes.map(\.name)) == documented)
    }

    // MARK: Load

    @Test func nothingIsLostOrCountedTwiceWhenWritesFail() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        let host = VerifiedAccount(accountID: "ann", name: "", expires: 0)
        let first = try await stage.service.create(host)
        stage.loads.fail(.before)
        await #expect(throws: StoreError.self) { try await stage.service.syncLoad() }
        _ = try await stage.service.create(host)
        stage.loads.fail(.after)
        await #expect(throws: StoreError.self) { try await stage.service.syncLoad() }
        _ = try await stage.service.join(first.meetingID, host)
        await #expect(throws: StoreError.self) { try await stage.service.syncLoad() }
        stage.loads.fail(.none)
        try await stage.service.syncLoad()
        #expect(!stage.service.hasUnwrittenLoad)
        let row = try #require(try await stage.loads.servers(since: 0).first)
        #expect(row.meetings == 2)
        #expect(row.users == [first.meetingID: 1])
    }

    @Test func instancesAddUp() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        let neighbour = await stage.neighbour()
        let host = VerifiedAccount(accountID: "ann", name: "", expires: 0)
        let guest = VerifiedAccount(accountID: "bo", name: "", expires: 0)
        let meeting = try await stage.service.create(host).meetingID
        _ = try await stage.service.join(meeting, host)
        _ = try await neighbour.join(meeting, guest)
        try await stage.service.syncLoad()
        try await neighbour.syncLoad()
        #expect(try await stage.loads.servers(since: 0).first?.users == [meeting: 2])
        try await neighbour.end(meeting)
        try await neighbour.syncLoad()
        await #expect(throws: Problem.self) { try await stage.service.leave(meeting, host) }
        try await stage.service.syncLoad()
        let row = try #require(try await stage.loads.servers(since: 0).first)
        #expect(row.meetings == 0 && row.users.isEmpty)
    }

    @Test func usersOfVanishedMeetingsAreTidiedAway() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        var delta = ServerDelta()
        delta.users = ["abc-defg-hij": 3]
        try await stage.loads.apply(LoadBatch(id: "x", deltas: ["n1": delta]), now: 0)
        try await stage.service.syncLoad()
        try await stage.service.tidy()
        try await stage.service.syncLoad()
        #expect(try await stage.loads.servers(since: 0).first?.users.isEmpty == true)
    }
}

@Suite struct RecordingTests {
    @Test func firstCallFindsARecorderLaterOnesJoin() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        let recorder = try await stage.credential(.recorder)
        stage.recorders.allow(["r2"])
        try await stage.run { caller in
            let made = try await caller.call(.post, "/meeting", token: "token-ann")
            let id = try #require(made.text("meeting_id"))
            let none = try await caller.call(.post, "/meeting/record/\(id)", token: "token-ann")
            #expect(none.status == 503)
            #expect(none.headers[.retryAfter] == "30")
            for (name, jobs) in [("full", 2), ("r1", 0), ("r2", 1)] {
                let beat = #"{"address":"http://\#(name)","capacity":2,"jobs":\#(jobs)}"#
                let answer = try await caller.call(
                    .put, "/meeting/recorder/\(name)", token: recorder, beat)
                #expect(answer.status == 204)
            }
            for _ in 0..<2 {
                let answer = try await caller.call(
                    .post, "/meeting/record/\(id)", token: "token-ann")
                #expect(answer.status == 202)
            }
            #expect(stage.recorders.asked == ["r1", "r2"])
            let path = "/meeting/record/\(id)"
            #expect(try await caller.call(.post, path, token: "token-eve").status == 403)
            _ = try await caller.call(.post, "/meeting/join/\(id)", token: "token-bo")
            #expect(try await caller.call(.post, path, token: "token-bo").status == 202)
            let recipients = try await caller.call(
                .get, "/meeting/record/recipients/\(id)", token: recorder)
            guard case .array(let list) = recipients.body["recipients"] else {
                Issue.record("no recipients")
                return
            }
            #expect(list.count == 2)
            let router = try await stage.credential(.router)
            #expect(try await caller.call(.post, "/meeting/end/\(id)", token: router).status == 204)
            let record = try await caller.call(.get, "/meeting/\(id)", token: "token-bo")
            #expect(record.text("server") == "")
            let late = try await caller.call(.post, "/meeting/join/\(id)", token: "token-bo")
            #expect(late.status == 410)
            #expect(try await caller.call(.post, path, token: "token-bo").status == 410)
            let gone = try await caller.call(.delete, "/meeting/\(id)", token: recorder)
            #expect(gone.status == 204)
            let again = try await caller.call(.delete, "/meeting/\(id)", token: recorder)
            #expect(again.status == 404)
        }
    }

    @Test func ticketProvesWhoJoinedElsewhere() async throws {
        let stage = try await MeetingStage()
        try await stage.node("n1")
        stage.recorders.allow(["r"])
        try await stage.service.beat(
            recorder: RecorderBeat(
                id: "r", address: "http://r", capacity: 1, jobs: 0, draining: false,
                at: stage.time.now))
        let neighbour = await stage.neighbour()
        let meeting = try await neighbour.create(
            VerifiedAccount(accountID: "ann", name: "", expires: 0)
        ).meetingID
        let grant = try await neighbour.join(
            meeting, VerifiedAccount(accountID: "bo", name: "", expires: 0))
        try await stage.run { caller in
            let path = "/meeting/record/\(meeting)"
            let bare = try await caller.call(.post, path, token: "token-bo")
            #expect(bare.status == 403)
            let forged = #"{"ticket":"x.y.z"}"#
            #expect(try await caller.call(.post, path, token: "token-bo", forged).status == 403)
            let proof = #"{"ticket":"\#(grant.ticket)"}"#
            #expect(try await caller.call(.post, path, token: "token-eve", proof).status == 403)
            #expect(try await caller.call(.post, path, token: "token-bo", proof).status == 202)
        }
    }
}
