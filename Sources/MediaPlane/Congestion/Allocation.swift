// Which encoding each slot carries within the estimate. SPDX-License-Identifier: Apache-2.0

/// One bound slot's claim on the downlink.
package struct AllocationDemand: Sendable {
    package var kind: MediaKind
    package var priority: SlotPriority
    /// The most wanted, bit/s.
    package var wantedBps: Int
    /// The track's encodings, lowest first.
    package var layers: [LayerState]
    /// The encoding aimed at until now; nil: none or paused.
    package var current: Int?

    package init(
        kind: MediaKind, priority: SlotPriority = .normal, wantedBps: Int, layers: [LayerState],
        current: Int? = nil
    ) {
        self.kind = kind
        self.priority = priority
        self.wantedBps = wantedBps
        self.layers = layers
        self.current = current
    }
}

/// Shares an estimate among slots: audio first, then the lowest encoding for every video slot by
/// priority, then one notch more at a time. Pure: the same demands give the same answer.
package enum Allocation {
    /// A measured encoding may exceed what is wanted by so much.
    static let tolerance = 1.25
    /// Raising needs so much room beyond its cost; what is carried already does not.
    static let headroom = 1.15

    /// For each demand the encoding to aim at, nil: pause. `estimateBps` nil: nothing limits.
    package static func decide(_ demands: [AllocationDemand], estimateBps: Double?) -> [Int?] {
        var chosen: [Int?] = demands.map { $0.kind == .audio ? 0 : nil }
        var budget = estimateBps ?? .infinity
        for demand in demands where demand.kind == .audio {
            budget -= Double(demand.layers.first?.bitrate ?? 0)
        }
        let video = demands.indices.filter { demands[$0].kind == .video }
            .sorted { (demands[$1].priority, $0) < (demands[$0].priority, $1) }
        for (rank, index) in video.enumerated() {
            let lowest = ladder(demands[index])[0]
            let cost = cost(demands[index], to: lowest)
            // The most important picture stays whatever the estimate says.
            guard rank == 0 || cost <= budget else { continue }
            chosen[index] = lowest
            budget -= Double(demands[index].layers[lowest].bitrate)
        }
        raise(demands, video, &chosen, &budget)
        return chosen
    }

    private static func raise(
        _ demands: [AllocationDemand], _ video: [Int], _ chosen: inout [Int?],
        _ budget: inout Double
    ) {
        var isRaising = true
        var ladders: [Int: ArraySlice<Int>] = [:]
        for index in video { ladders[index] = ladder(demands[index]).dropFirst() }
        while isRaising {
            isRaising = false
            for index in video {
                guard let from = chosen[index], let next = ladders[index]?.first else { continue }
                let demand = demands[index]
                let step = demand.layers[next].bitrate - demand.layers[from].bitrate
                let isCarried = demand.current.map { next <= $0 } ?? false
                guard Double(step) * (isCarried ? 1 : headroom) <= budget else {
                    ladders[index] = []
                    continue
                }
                chosen[index] = next
                ladders[index]?.removeFirst()
                budget -= Double(step)
                isRaising = true
            }
        }
    }

    /// Encodings that live and fit what is wanted, lowest first; never empty: the lowest that
    /// lives, or encoding 0 while none does.
    private static func ladder(_ demand: AllocationDemand) -> [Int] {
        let live = demand.layers.indices.filter { demand.layers[$0].isLive }
        guard let lowest = live.first else { return [0] }
        let most = Double(demand.wantedBps) * tolerance
        return [lowest] + live.dropFirst().filter { Double(demand.layers[$0].wantedFrom) <= most }
    }

    private static func cost(_ demand: AllocationDemand, to index: Int) -> Double {
        Double(demand.layers[index].bitrate) * (demand.current == nil ? headroom : 1)
    }
}
