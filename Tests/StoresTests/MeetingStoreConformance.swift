// What every meeting store must do. A new implementation is added to `meetingStores`.
// SPDX-License-Identifier: Apache-2.0
import Stores
import Testing

let meetingStores: [StoreKind<any MeetingStore>] = [
    StoreKind(name: "SQLite") { try SQLiteMeetingStore(path: temporaryPath("meetings.sqlite")) }
]

private func meeting(_ id: String, created: Int = 5) -> MeetingRecord {
    MeetingRecord(
        meetingID: id, host: "host", server: "ws://127.0.0.1:1/ws", node: "n1", created: created)
}

@Suite struct MeetingStoreConformance {
    @Test(arguments: meetingStores)
    func createdMeetingIsFound(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await store.meeting(id: "m") == meeting("m"))
        #expect(try await store.meeting(id: "x") == nil)
        await #expect(throws: StoreError.duplicate) { try await store.create(meeting("m")) }
        try await store.check()
    }

    @Test(arguments: meetingStores)
    func endWithoutRecordingDeletes(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await store.end(id: "m", now: 9) == .deleted)
        #expect(try await store.end(id: "m", now: 9) == .unknown)
        #expect(try await store.meeting(id: "m") == nil)
    }

    @Test(arguments: meetingStores)
    func endWithRecordingKeepsTheRecord(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await request(store, "m", "a", now: 6) == .started)
        try await store.recordingTaken(id: "m", recorder: "r")
        #expect(try await store.end(id: "m", now: 9) == .kept)
        #expect(try await store.end(id: "m", now: 10) == .alreadyEnded)
        let kept = try #require(try await store.meeting(id: "m"))
        #expect(kept.server.isEmpty && kept.hasEnded)
        #expect(kept.ended == 9)
        #expect(kept.recording)
        #expect(kept.recordingStarted == 6)
        #expect(kept.recordRecipients == ["a"])
        #expect(try await request(store, "m", "b", now: 11) == .ended)
        #expect(try await store.delete(id: "m"))
        #expect(try await !store.delete(id: "m"))
    }

    @Test(arguments: meetingStores)
    func recipientsAreListedOnceInOrder(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await request(store, "m", "c", now: 1) == .started)
        #expect(try await request(store, "m", "b", now: 2) == .pending)
        try await store.recordingTaken(id: "m", recorder: "r")
        #expect(try await request(store, "m", "b", now: 3) == .running)
        #expect(try await request(store, "m", "a", now: 3) == .running)
        #expect(try await request(store, "m", "b", now: 4) == .running)
        #expect(try await store.meeting(id: "m")?.recordRecipients == ["c", "b", "a"])
        #expect(try await store.meeting(id: "m")?.recorder == "r")
        #expect(try await request(store, "x", "a", now: 4) == .unknown)
    }

    @Test(arguments: meetingStores)
    func raceForARecordingStartsItOnce(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        let answers = await withTaskGroup(of: RecordingRequest?.self) { group in
            for number in 0..<20 {
                group.addTask { try? await request(store, "m", "a\(number)", now: 1) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.count { $0 == .started } == 1)
        #expect(answers.count { $0 == .pending } == 19)
    }

    @Test(arguments: meetingStores)
    func failedRecordingIsAsIfNobodyHadAsked(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await request(store, "m", "a", now: 1) == .started)
        try await store.recordingFailed(id: "m")
        #expect(try await store.meeting(id: "m") == meeting("m"))
        #expect(try await request(store, "m", "b", now: 2) == .started)
        #expect(try await store.end(id: "m", now: 3) == .kept)
        try await store.recordingFailed(id: "m")
        #expect(try await store.meeting(id: "m") == nil)
    }

    @Test(arguments: meetingStores)
    func longPendingRequestIsTakenOver(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        #expect(try await request(store, "m", "a", now: 100) == .started)
        #expect(try await request(store, "m", "b", now: 130) == .pending)
        #expect(try await request(store, "m", "b", now: 131) == .started)
        #expect(try await store.meeting(id: "m")?.recordRecipients == ["a", "b"])
    }

    @Test(arguments: meetingStores)
    func recordingOfNobodyCannotBeTaken(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        try await store.create(meeting("m"))
        await #expect(throws: StoreError.unknown) {
            try await store.recordingTaken(id: "m", recorder: "r")
        }
    }

    @Test(arguments: meetingStores)
    func oldMeetingsArePrunedUnlessRecorded(_ kind: StoreKind<any MeetingStore>) async throws {
        let store = try await kind.make()
        for (id, created) in [("old", 1), ("recorded", 1), ("young", 10)] {
            try await store.create(meeting(id, created: created))
        }
        _ = try await request(store, "recorded", "a", now: 2)
        #expect(try await store.prune(createdBefore: 5).map(\.meetingID) == ["old"])
        #expect(
            try await store.live(among: ["old", "recorded", "young"]) == ["recorded", "young"])
        #expect(try await store.live(among: []).isEmpty)
    }

    private func request(
        _ store: any MeetingStore, _ id: String, _ account: String, now: Int
    ) async throws -> RecordingRequest {
        try await store.requestRecording(id: id, recipient: account, now: now, pendingMax: 30)
    }
}
