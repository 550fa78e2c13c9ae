// Which meetings live here and which have ended, kept on disk across a restart.
// SPDX-License-Identifier: Apache-2.0

import Dispatch
public import Logging
import Synchronization

/// The end journal of a node. Answers come from memory; lines go to the disk on a thread of the
/// journal's own, those that wait together with one sync.
///
/// A meeting that has ended is remembered for `retention` after the meeting service has accepted
/// the news: longer than any ticket for it lives, so that it never opens again.
public final class EndJournal: Sendable {
    /// A meeting that was live when the node went down.
    public struct OpenMeeting: Sendable, Equatable {
        public var meetingID: String
        public var host: String
    }

    private struct Ended {
        var at: Int64
        var isAccepted: Bool
    }

    private struct State {
        var open: [String: (host: String, at: Int64)] = [:]
        var ended: [String: Ended] = [:]
        var waiting: [JournalRecord] = []
        var waiters: [CheckedContinuation<Void, Never>] = []
        var isWriting = false
        var linesOnDisk = 0
        var failures = 0
    }

    /// Lines in the file beyond which it is rewritten when most of them are obsolete.
    static let compactionLines = 4096

    private let state = Mutex(State())
    private let file: Mutex<JournalFile>
    private let queue = DispatchQueue(label: "rh.end-journal")
    private let retention: Int64
    private let clock: any RoutingClock
    private let logger: Logger

    /// Reads `folder`/ends.journal, or makes it.
    ///
    /// - Parameter retention: at least the longest life of a ticket.
    public init(
        folder: String, retention: Duration, clock: any RoutingClock, logger: Logger
    ) throws(JournalError) {
        try makeFolder(folder)
        var journal = try JournalFile(path: folder + "/ends.journal")
        let contents = try journal.read()
        self.retention = retention.components.seconds
        self.clock = clock
        self.logger = logger
        var state = State()
        var damaged = 0
        for line in contents.lines {
            guard let record = JournalRecord(line: line) else {
                damaged += 1
                continue
            }
            Self.apply(record, to: &state)
        }
        Self.prune(&state, before: clock.epochSeconds - self.retention)
        if contents.tornBytes > 0 || damaged > 0 {
            logger.warning(
                "the end journal was damaged",
                metadata: ["torn_bytes": "\(contents.tornBytes)", "lines": "\(damaged)"])
        }
        let snapshot = Self.snapshot(state)
        if damaged > 0 || snapshot.count < contents.lines.count {
            try journal.replace(with: snapshot.map(\.line).joined())
        }
        state.linesOnDisk = snapshot.count
        file = Mutex(journal)
        self.state.withLock { $0 = state }
    }

    private static func apply(_ record: JournalRecord, to state: inout State) {
        switch record.kind {
        case .open:
            guard state.ended[record.meetingID] == nil else { return }
            state.open[record.meetingID] = (record.host ?? "", record.at)
        case .end:
            state.open[record.meetingID] = nil
            if state.ended[record.meetingID] == nil {
                state.ended[record.meetingID] = Ended(at: record.at, isAccepted: false)
            }
        case .accepted:
            state.open[record.meetingID] = nil
            state.ended[record.meetingID] = Ended(at: record.at, isAccepted: true)
        }
    }

    private static func prune(_ state: inout State, before moment: Int64) {
        state.ended = state.ended.filter { !$0.value.isAccepted || $0.value.at >= moment }
    }

    /// The fewest records that lead to `state`.
    private static func snapshot(_ state: State) -> [JournalRecord] {
        let open = state.open.map {
            JournalRecord(kind: .open, meetingID: $0.key, at: $0.value.at, host: $0.value.host)
        }
        let ended = state.ended.map {
            JournalRecord(
                kind: $0.value.isAccepted ? .accepted : .end, meetingID: $0.key, at: $0.value.at)
        }
        return (open + ended).sorted { ($0.at, $0.meetingID) < ($1.at, $1.meetingID) }
    }

    // MARK: What is known

    public func isEnded(_ meetingID: String) -> Bool {
        state.withLock { $0.ended[meetingID] != nil }
    }

    /// Meetings of which the meeting service does not know yet that they ended.
    public var pending: [String] {
        state.withLock { state in
            state.ended.filter { !$0.value.isAccepted }
                .sorted { ($0.value.at, $0.key) < ($1.value.at, $1.key) }.map(\.key)
        }
    }

    public var open: [OpenMeeting] {
        state.withLock { state in
            state.open.map { OpenMeeting(meetingID: $0.key, host: $0.value.host) }
                .sorted { $0.meetingID < $1.meetingID }
        }
    }

    /// Failed writes since the start. What they should have written is tried again with the next.
    public var writeFailures: Int { state.withLock { $0.failures } }

    // MARK: What happens

    /// A meeting lives here from now on.
    public func markOpen(_ meetingID: String, host: String) {
        add(.open, meetingID, host: host) { state in
            state.open[meetingID] == nil && state.ended[meetingID] == nil
        }
    }

    /// A meeting has ended. `isEnded` is true at once; `flush` waits for the disk.
    public func markEnded(_ meetingID: String) {
        add(.end, meetingID) { $0.ended[meetingID] == nil }
    }

    /// The meeting service knows.
    public func markAccepted(_ meetingID: String) {
        add(.accepted, meetingID) { $0.ended[meetingID]?.isAccepted == false }
    }

    private func add(
        _ kind: JournalRecord.Kind, _ meetingID: String, host: String? = nil,
        when isNews: (State) -> Bool
    ) {
        let record = JournalRecord(
            kind: kind, meetingID: meetingID, at: clock.epochSeconds, host: host)
        let mustStart = state.withLock { state in
            guard isNews(state) else { return false }
            Self.apply(record, to: &state)
            state.waiting.append(record)
            return Self.startWriting(&state)
        }
        if mustStart { queue.async { self.write() } }
    }

    private static func startWriting(_ state: inout State) -> Bool {
        guard !state.isWriting else { return false }
        state.isWriting = true
        return true
    }

    /// Returns when everything that was marked before is on the disk, or a write failed.
    public func flush() async {
        await withCheckedContinuation { continuation in
            let (isDone, mustStart) = state.withLock { state in
                if state.waiting.isEmpty && !state.isWriting { return (true, false) }
                state.waiters.append(continuation)
                return (false, Self.startWriting(&state))
            }
            if isDone { continuation.resume() }
            if mustStart { queue.async { self.write() } }
        }
    }

    /// On the journal's thread: writes until nothing waits.
    private func write() {
        while true {
            let (batch, waiters) = state.withLock { state in
                defer {
                    state.waiting = []
                    state.waiters = []
                }
                return (state.waiting, state.waiters)
            }
            let isWritten = batch.isEmpty || write(batch)
            for waiter in waiters { waiter.resume() }
            let isDone = state.withLock { state in
                if !isWritten {
                    state.waiting = batch + state.waiting
                    state.failures += 1
                }
                // After a failure the next mark or flush tries again.
                guard isWritten, !(state.waiting.isEmpty && state.waiters.isEmpty) else {
                    state.isWriting = false
                    return true
                }
                return false
            }
            if isDone { return }
        }
    }

    private func write(_ batch: [JournalRecord]) -> Bool {
        let old = clock.epochSeconds - retention
        let replacement: [JournalRecord]? = state.withLock { state in
            state.linesOnDisk += batch.count
            guard state.linesOnDisk > Self.compactionLines else { return nil }
            Self.prune(&state, before: old)
            let snapshot = Self.snapshot(state)
            guard snapshot.count * 2 < state.linesOnDisk else { return nil }
            state.linesOnDisk = snapshot.count
            return snapshot
        }
        do {
            // A snapshot holds the batch too.
            try file.withLock { file throws(JournalError) in
                if let replacement {
                    try file.replace(with: replacement.map(\.line).joined())
                } else {
                    try file.append(batch.map(\.line).joined())
                }
            }
            return true
        } catch {
            logger.error("the end journal can't be written", metadata: ["error": "\(error)"])
            return false
        }
    }
}
