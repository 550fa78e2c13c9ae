// Health and load of the routing nodes, shared by all instances of the meeting service.
// SPDX-License-Identifier: Apache-2.0

/// What a node says about itself.
public struct ServerBeat: Sendable, Equatable {
    public var id: String
    /// Base WebSocket URL.
    public var address: String
    /// Participants it is willing to carry.
    public var capacity: Int
    /// Share of the workers' capacity in use, 0 to 1; 1: full, refuses newcomers.
    public var load: Double
    public var liveMeetings: Int
    public var liveUsers: Int
    /// Takes no new meetings.
    public var draining: Bool
    /// Seconds since 1970.
    public var at: Int

    public init(id: String, address: String, capacity: Int, at: Int) {
        self.id = id
        self.address = address
        self.capacity = capacity
        self.at = at
        load = 0
        liveMeetings = 0
        liveUsers = 0
        draining = false
    }
}

/// A row of the table: the last beat and the sums of all instances' changes.
public struct ServerRow: Sendable, Equatable {
    public var beat: ServerBeat
    public var meetings: Int
    /// Users of each meeting, by meeting id. Sums of changes: may be below zero for a while.
    public var users: [String: Int]

    public init(beat: ServerBeat, meetings: Int = 0, users: [String: Int] = [:]) {
        self.beat = beat
        self.meetings = meetings
        self.users = users
    }
}

/// Net changes of one instance for one node.
public struct ServerDelta: Sendable, Equatable {
    public var meetings = 0
    public var users: [String: Int] = [:]
    /// Meetings that are over: their users are forgotten.
    public var finished: Set<String> = []

    public init() {}

    public var isEmpty: Bool { meetings == 0 && users.isEmpty && finished.isEmpty }
}

/// Net changes of one instance since its last exchange. The id makes a repetition harmless.
public struct LoadBatch: Sendable, Equatable {
    public let id: String
    /// By node id.
    public var deltas: [String: ServerDelta]

    public init(id: String, deltas: [String: ServerDelta]) {
        self.id = id
        self.deltas = deltas
    }
}

/// A recorder that beats.
public struct RecorderBeat: Sendable, Equatable {
    public var id: String
    /// Base HTTP URL.
    public var address: String
    /// Jobs it is willing to do at once.
    public var capacity: Int
    public var jobs: Int
    public var draining: Bool
    /// Seconds since 1970.
    public var at: Int

    public init(
        id: String, address: String, capacity: Int, jobs: Int, draining: Bool, at: Int
    ) {
        self.id = id
        self.address = address
        self.capacity = capacity
        self.jobs = jobs
        self.draining = draining
        self.at = at
    }
}

/// Where load lives. All calls are atomic and may be made from many processes at once.
public protocol ServerLoadStore: Sendable {
    /// Registers a node or renews what it said; its sums stay.
    func beat(_ beat: ServerBeat) async throws(StoreError)

    /// All nodes whose last beat is not older than `since`.
    func servers(since: Int) async throws(StoreError) -> [ServerRow]

    /// Adds a batch (`n = n + delta`, never an overwrite) unless a batch with its id was added
    /// before. A node that was never seen is skipped.
    func apply(_ batch: LoadBatch, now: Int) async throws(StoreError)

    /// Registers a recorder or renews what it said.
    func beat(recorder: RecorderBeat) async throws(StoreError)

    /// All recorders whose last beat is not older than `since`.
    func recorders(since: Int) async throws(StoreError) -> [RecorderBeat]

    /// Removes nodes, recorders and remembered batches older than `before`.
    func prune(before: Int) async throws(StoreError)

    /// Throws when the store cannot be used now.
    func check() async throws(StoreError)
}
