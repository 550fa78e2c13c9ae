// Which worker a new participant lives on. SPDX-License-Identifier: Apache-2.0

/// A worker as the placement sees it.
public struct WorkerLoad: Sendable, Equatable {
    public var index: Int
    /// Share of the time in which the worker's thread ran, 0 to 1: an average of the last
    /// seconds, and what participants that came since are expected to add.
    public var busy = 0.0
    /// In use, and at most. `slots` counts those that recent participants are yet to make.
    public var peers = 0, peersMax = 4096
    public var tracks = 0, tracksMax = 8192
    public var slots = 0, slotsMax = 49_152

    public init(index: Int) { self.index = index }
}

/// The rule of placement, a pure function.
///
/// A track with subscribers on another worker is copied there once a packet. That is cheap beside
/// a large meeting's forwarding and dear beside a small one's, therefore:
/// 1. A worker that is full (no peer, too few tracks or slots for one more participant, or busy
///    for `busyMax` of its time) is passed over. When all are, there is no place.
/// 2. A meeting stays on the workers it lives on while one of them has fewer than `togetherMax`
///    of its participants and is not loaded; of several the one with the most of them is taken.
/// 3. Otherwise it goes to the least loaded worker: a new branch, or, when it lives everywhere,
///    the worker that has most to spare.
public enum Placement {
    /// Participants of one meeting that stay together before it spreads. Its forwarding grows
    /// with their square: at 16, one relayed copy stands beside 15 forwarded packets.
    public static let togetherMax = 16
    /// A worker that is busier than this share of its time takes newcomers only when no other is
    /// less loaded.
    public static let loadedBusy = 0.6
    /// A worker that is busier than this share of its time takes nobody.
    public static let busyMax = 0.95
    /// Microphone, camera and screen.
    public static let tracksPerParticipant = 3
    /// 49 feeds and 50 voices.
    public static let slotsPerParticipant = 99

    /// The index of the chosen worker; nil when all are full.
    ///
    /// - Parameter meeting: participants of the newcomer's meeting by worker; empty for none.
    public static func choose(
        _ workers: [WorkerLoad], meeting: [Int: Int], togetherMax: Int = togetherMax
    ) -> Int? {
        let open = workers.filter { !isFull($0) }
        let home = open.filter { worker in
            let members = meeting[worker.index] ?? 0
            return members > 0 && members < togetherMax && pressure(worker) < loadedBusy
        }.max { first, second in
            let members = (meeting[first.index] ?? 0, meeting[second.index] ?? 0)
            return members.0 != members.1 ? members.0 < members.1 : isLess(second, first)
        }
        return (home ?? open.min(by: isLess))?.index
    }

    /// Whether the worker takes nobody.
    public static func isFull(_ worker: WorkerLoad) -> Bool {
        worker.peers >= worker.peersMax
            || worker.tracks + tracksPerParticipant > worker.tracksMax
            || worker.slots + slotsPerParticipant > worker.slotsMax
            || worker.busy >= busyMax
    }

    /// What is used of the scarcest thing, 0 to 1.
    public static func pressure(_ worker: WorkerLoad) -> Double {
        func share(_ used: Int, _ most: Int) -> Double { Double(used) / Double(max(1, most)) }
        return max(
            worker.busy, share(worker.peers, worker.peersMax),
            share(worker.tracks, worker.tracksMax), share(worker.slots, worker.slotsMax))
    }

    /// Load is compared in steps of a twentieth: measurements are never equal, and within a step
    /// the worker with fewer participants is the better one.
    private static func isLess(_ first: WorkerLoad, _ second: WorkerLoad) -> Bool {
        let steps = (step(first), step(second))
        if steps.0 != steps.1 { return steps.0 < steps.1 }
        if first.peers != second.peers { return first.peers < second.peers }
        return first.index < second.index
    }

    private static func step(_ worker: WorkerLoad) -> Int { Int(pressure(worker) * 20) }
}
