// What every load store must do. A new implementation is added to `loadStores`.
// SPDX-License-Identifier: Apache-2.0
import Stores
import Testing

let loadStores: [StoreKind<any ServerLoadStore>] = [
    StoreKind(name: "SQLite") { try SQLiteServerLoadStore(path: temporaryPath("load.sqlite")) }
]

private func beat(_ id: String, at: Int, capacity: Int = 100) -> ServerBeat {
    ServerBeat(id: id, address: "ws://\(id)/ws", capacity: capacity, at: at)
}

private func delta(
    meetings: Int = 0, users: [String: Int] = [:], finished: Set<String> = []
) -> ServerDelta {
    var delta = ServerDelta()
    delta.meetings = meetings
    delta.users = users
    delta.finished = finished
    return delta
}

@Suite struct ServerLoadStoreConformance {
    @Test(arguments: loadStores)
    func beatRegistersAndRenews(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        try await store.apply(LoadBatch(id: "b", deltas: ["n1": delta(meetings: 3)]), now: 10)
        var later = beat("n1", at: 20, capacity: 50)
        later.draining = true
        later.load = 0.25
        later.liveMeetings = 2
        later.liveUsers = 9
        try await store.beat(later)
        #expect(try await store.servers(since: 0) == [ServerRow(beat: later, meetings: 3)])
        #expect(try await store.servers(since: 21).isEmpty)
        try await store.check()
    }

    @Test(arguments: loadStores)
    func deltasAddUp(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        let first = delta(meetings: 2, users: ["abc-defg-hij": 3, "m2": 1])
        let second = delta(meetings: -1, users: ["abc-defg-hij": -1, "m3": -2])
        try await store.apply(LoadBatch(id: "1", deltas: ["n1": first]), now: 10)
        try await store.apply(LoadBatch(id: "2", deltas: ["n1": second]), now: 10)
        let row = try #require(try await store.servers(since: 0).first)
        #expect(row.meetings == 1)
        #expect(row.users == ["abc-defg-hij": 2, "m2": 1, "m3": -2])
    }

    @Test(arguments: loadStores)
    func repeatedBatchCountsOnce(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        let batch = LoadBatch(id: "1", deltas: ["n1": delta(meetings: 2, users: ["m": 3])])
        for _ in 0..<3 { try await store.apply(batch, now: 10) }
        let row = try #require(try await store.servers(since: 0).first)
        #expect(row.meetings == 2)
        #expect(row.users == ["m": 3])
    }

    @Test(arguments: loadStores)
    func instancesAtOnceLoseNothing(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        await withTaskGroup { group in
            for number in 0..<50 {
                group.addTask {
                    let change = delta(meetings: 1, users: ["m": 2, "m\(number)": 1])
                    try? await store.apply(
                        LoadBatch(id: "b\(number)", deltas: ["n1": change]), now: 10)
                }
            }
        }
        let row = try #require(try await store.servers(since: 0).first)
        #expect(row.meetings == 50)
        #expect(row.users["m"] == 100)
        #expect(row.users.count == 51)
    }

    @Test(arguments: loadStores)
    func finishedMeetingsAreForgotten(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        let first = delta(meetings: 1, users: ["m": 3, "k": 1])
        let second = delta(meetings: -1, users: ["m": 1], finished: ["m", "x"])
        try await store.apply(LoadBatch(id: "1", deltas: ["n1": first]), now: 10)
        try await store.apply(LoadBatch(id: "2", deltas: ["n1": second]), now: 10)
        #expect(try await store.servers(since: 0).first?.users == ["k": 1])
    }

    @Test(arguments: loadStores)
    func unknownNodeIsSkipped(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("n1", at: 10))
        let batch = LoadBatch(
            id: "1", deltas: ["gone": delta(meetings: 1), "n1": delta(meetings: 1)])
        try await store.apply(batch, now: 10)
        #expect(try await store.servers(since: 0).map(\.meetings) == [1])
    }

    @Test(arguments: loadStores)
    func recordersBeatAndFallSilent(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        let old = RecorderBeat(
            id: "r", address: "http://r", capacity: 4, jobs: 1, draining: false, at: 10)
        var new = old
        new.jobs = 2
        new.at = 20
        try await store.beat(recorder: old)
        try await store.beat(recorder: new)
        #expect(try await store.recorders(since: 15) == [new])
        #expect(try await store.recorders(since: 21).isEmpty)
    }

    @Test(arguments: loadStores)
    func pruneRemovesTheSilent(_ kind: StoreKind<any ServerLoadStore>) async throws {
        let store = try await kind.make()
        try await store.beat(beat("old", at: 10))
        try await store.beat(beat("new", at: 20))
        try await store.prune(before: 15)
        #expect(try await store.servers(since: 0).map(\.beat.id) == ["new"])
    }
}

@Suite struct SQLiteFiles {
    @Test func dataSurvivesReopening() async throws {
        let path = temporaryPath("accounts.sqlite")
        try await SQLiteAccountStore(path: path).create(account("a", "a@example.org"))
        #expect(try await SQLiteAccountStore(path: path).account(id: "a") != nil)
    }

    @Test func unusableFileIsAnError() {
        #expect(throws: StoreError.self) { try SQLiteAccountStore(path: "/proc/no/such.sqlite") }
    }
}
