// What the placement of participants remembers: who lives where, how busy each worker is, and who
// came too recently to show in its load.
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Owner: `WorkerPool`; workers tell it who left. Safe from anywhere.
final class PlacementBook: Sendable {
    /// Between two measurements of the load.
    static let intervalUs: UInt64 = 1_000_000
    /// Weight of the newest measurement in the average.
    static let weight = 0.3
    /// What a participant is expected to cost before anyone has been measured.
    static let leastCost = 0.0005

    private struct WorkerRecord {
        var busy = 0.0
        var busyUs: UInt64 = 0
        /// Participants now.
        var peers = 0
        /// Came since the last measurement, and in the interval before it.
        var fresh = 0
        var recent = 0
    }

    private struct State {
        var workers: [WorkerRecord]
        /// Participants of each meeting by worker.
        var meetings: [String: [Int: Int]] = [:]
        var measuredUs: UInt64?
        var refusals: UInt64 = 0
    }

    private let state: Mutex<State>
    private let limits: WorkerLoad
    private let branchSize: Int

    /// - Parameter limits: the capacities of each worker.
    init(workers: Int, limits: WorkerLoad, branchSize: Int) {
        self.branchSize = branchSize
        state = Mutex(State(workers: Array(repeating: WorkerRecord(), count: workers)))
        self.limits = limits
    }

    /// Newcomers that found no place.
    var refusals: UInt64 { state.withLock { $0.refusals } }

    /// Chooses a worker and writes the newcomer down there; `leave` takes them off again. Nil when
    /// all workers but those in `except` are full.
    func place(
        _ meeting: String, _ counters: [WorkerCounters], except: Set<Int> = [], nowUs: UInt64
    ) -> Int? {
        state.withLock { state in
            let loads = loads(&state, counters, nowUs: nowUs)
            let open = loads.filter { !except.contains($0.index) }
            let branches = state.meetings[meeting] ?? [:]
            guard let chosen = Placement.choose(open, meeting: branches, togetherMax: branchSize)
            else {
                state.refusals += 1
                return nil
            }
            enter(meeting, chosen, &state)
            return chosen
        }
    }

    /// Writes somebody down whose worker was chosen elsewhere.
    func enter(_ meeting: String, worker: Int) {
        state.withLock { enter(meeting, worker, &$0) }
    }

    func leave(_ meeting: String, worker: Int) {
        state.withLock { state in
            state.workers[worker].peers -= 1
            state.workers[worker].fresh = max(0, state.workers[worker].fresh - 1)
            guard !meeting.isEmpty else { return }
            let left = (state.meetings[meeting]?[worker] ?? 0) - 1
            state.meetings[meeting]?[worker] = left > 0 ? left : nil
            if state.meetings[meeting]?.isEmpty ?? false { state.meetings[meeting] = nil }
        }
    }

    /// The workers as the next placement would see them.
    func loads(_ counters: [WorkerCounters], nowUs: UInt64) -> [WorkerLoad] {
        state.withLock { loads(&$0, counters, nowUs: nowUs) }
    }

    private func enter(_ meeting: String, _ worker: Int, _ state: inout State) {
        state.workers[worker].peers += 1
        state.workers[worker].fresh += 1
        if !meeting.isEmpty { state.meetings[meeting, default: [:]][worker, default: 0] += 1 }
    }

    private func loads(
        _ state: inout State, _ counters: [WorkerCounters], nowUs: UInt64
    ) -> [WorkerLoad] {
        measure(&state, counters, nowUs: nowUs)
        let busy = state.workers.reduce(0) { $0 + $1.busy }
        let peers = state.workers.reduce(0) { $0 + $1.peers }
        let cost = peers > 0 ? max(Self.leastCost, busy / Double(peers)) : Self.leastCost
        return zip(counters, state.workers).map { counters, record in
            // Those that came during the last interval show in part; they count in full, which
            // errs towards the other workers.
            let coming = record.fresh + record.recent
            var load = limits
            load.index = counters.worker
            load.busy = min(1, record.busy + Double(coming) * cost)
            load.peers = record.peers
            load.tracks = Int(clamping: counters.tracks) + record.fresh
                * Placement.tracksPerParticipant
            load.slots = Int(clamping: counters.slots) + record.fresh
                * Placement.slotsPerParticipant
            return load
        }
    }

    /// Takes the workers' busy time once an interval.
    private func measure(_ state: inout State, _ counters: [WorkerCounters], nowUs: UInt64) {
        let measuredUs = state.measuredUs ?? nowUs
        let passedUs = nowUs &- measuredUs
        guard state.measuredUs == nil || passedUs >= Self.intervalUs else { return }
        state.measuredUs = nowUs
        // After a pause the average is worth less the longer it is.
        let intervals = Double(passedUs) / Double(Self.intervalUs)
        let weight = min(1, Self.weight * max(1, intervals))
        for (index, counters) in counters.enumerated() where state.workers.indices.contains(index) {
            let grownUs = counters.busyMicroseconds &- state.workers[index].busyUs
            state.workers[index].busyUs = counters.busyMicroseconds
            guard passedUs > 0 else { continue }
            let share = min(1, Double(grownUs) / Double(passedUs))
            state.workers[index].busy += (share - state.workers[index].busy) * weight
            state.workers[index].recent = intervals < 2 ? state.workers[index].fresh : 0
            state.workers[index].fresh = 0
        }
    }
}
