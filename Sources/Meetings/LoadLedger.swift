// What one instance of the meeting service knows about load: the sums as last read, and its own
// net changes since.
// SPDX-License-Identifier: Apache-2.0
public import Stores

/// The five pieces of state of the meeting service:
/// 1 the nodes, 2 meetings of each node, 3 users of each meeting (all as last read from the
/// store), 4 net change of meetings, 5 net change of users (both since the last write).
///
/// A write that fails may still have happened, so its batch is kept and sent again under its id
/// until it is known to be in the store; new changes gather in the next batch meanwhile.
public struct LoadLedger: Sendable {
    private var synced: [String: ServerRow] = [:]
    private var pending: [String: ServerDelta] = [:]
    private var inFlight: LoadBatch?
    /// Who was counted as joined through this instance, by meeting.
    private var present: [String: Set<String>] = [:]

    public init() {}

    // MARK: Changes

    public mutating func meetingCreated(node: String) {
        pending[node, default: ServerDelta()].meetings += 1
    }

    public mutating func meetingEnded(_ meeting: String, node: String) {
        present[meeting] = nil
        pending[node, default: ServerDelta()].meetings -= 1
        finish(meeting, node: node)
    }

    /// Forgets the users of a meeting that is over.
    public mutating func finish(_ meeting: String, node: String) {
        pending[node, default: ServerDelta()].users[meeting] = nil
        pending[node, default: ServerDelta()].finished.insert(meeting)
    }

    /// Counts a user once, however often the call is repeated.
    public mutating func userJoined(_ account: String, meeting: String, node: String) {
        guard present[meeting, default: []].insert(account).inserted else { return }
        pending[node, default: ServerDelta()].users[meeting, default: 0] += 1
    }

    /// Takes back a user who was counted here.
    public mutating func userLeft(_ account: String, meeting: String, node: String) {
        guard present[meeting]?.remove(account) != nil else { return }
        pending[node, default: ServerDelta()].users[meeting, default: 0] -= 1
    }

    /// Whether the account joined the meeting through this instance and has not left.
    public func isPresent(_ account: String, in meeting: String) -> Bool {
        present[meeting]?.contains(account) ?? false
    }

    // MARK: Exchange with the store

    /// The batch that has to be written: an unconfirmed one first. Nil when nothing changed.
    /// `newID` is used for a new batch.
    public mutating func batchToWrite(newID: String) -> LoadBatch? {
        if let inFlight { return inFlight }
        let changed = pending.filter { !$0.value.isEmpty }
        pending = [:]
        if changed.isEmpty { return nil }
        inFlight = LoadBatch(id: newID, deltas: changed)
        return inFlight
    }

    /// The batch is in the store.
    public mutating func written(_ batch: LoadBatch) {
        guard inFlight?.id == batch.id else { return }
        inFlight = nil
        for (node, delta) in batch.deltas {
            guard var row = synced[node] else { continue }
            Self.add(delta, to: &row)
            synced[node] = row
        }
    }

    /// The sums as just read from the store, after `written`.
    public mutating func adopt(_ rows: [ServerRow]) {
        synced = Dictionary(rows.map { ($0.beat.id, $0) }) { $1 }
    }

    /// Whether changes wait to be written.
    public var hasUnwritten: Bool {
        inFlight != nil || pending.contains { !$0.value.isEmpty }
    }

    // MARK: Reading

    /// Sums plus own changes. Counts below zero are another instance's changes that are yet to
    /// come, and read as zero.
    public func load(of node: String) -> (meetings: Int, users: [String: Int]) {
        let unknown = ServerBeat(id: node, address: "", capacity: 0, at: 0)
        var row = synced[node] ?? ServerRow(beat: unknown)
        if let delta = inFlight?.deltas[node] { Self.add(delta, to: &row) }
        if let delta = pending[node] { Self.add(delta, to: &row) }
        return (max(0, row.meetings), row.users.filter { $0.value > 0 })
    }

    /// Meetings that have users in the sums, with their node.
    public var meetingsWithUsers: [(meeting: String, node: String)] {
        synced.flatMap { node, row in row.users.keys.map { ($0, node) } }
    }

    private static func add(_ delta: ServerDelta, to row: inout ServerRow) {
        row.meetings += delta.meetings
        for (meeting, change) in delta.users { row.users[meeting, default: 0] += change }
        for meeting in delta.finished { row.users[meeting] = nil }
    }
}
