// Who speaks, from the levels in audio packets (RFC 6464). SPDX-License-Identifier: Apache-2.0

/// Average loudness of one audio track between two looks at its running totals.
package struct AudioMeter: Sendable {
    /// Quieter than this is nobody's speech.
    package static let quietDBov = -55

    private var lastSum: UInt64 = 0
    private var lastCount: UInt64 = 0

    package init() {}

    /// Totals of -dBov and of packets; returns dBov (-127...0), nil when no packet came.
    package mutating func take(sum: UInt64, count: UInt64) -> Int? {
        defer { (lastSum, lastCount) = (sum, count) }
        guard count > lastCount, sum >= lastSum else { return nil }
        return -Int(min(127, (sum - lastSum) / (count - lastCount)))
    }
}

/// Ranks speakers over several workers: smooths their levels and names a dominant one that keeps
/// its place against short noises. Keys are whatever the owner calls its speakers.
public struct SpeakerRanking<Key: Hashable & Sendable>: Sendable {
    /// Another speaker must be louder for so long, in updates (five a second).
    static var patience: Int { 3 }
    static var quiet: Double { -55 }

    public private(set) var dominant: Key?
    private var smoothed: [Key: Double] = [:]
    private var challenger: (key: Key, updates: Int)?

    public init() {}

    /// One round of levels in dBov; those not named are silent. Returns the speakers that are
    /// audible now, the loudest first, at most `limit`.
    public mutating func update(
        _ levels: [Key: Int], limit: Int = 10
    ) -> [(key: Key, levelDBov: Int)] {
        for key in smoothed.keys where levels[key] == nil {
            let next = (smoothed[key] ?? -127) - 12
            smoothed[key] = next < -100 ? nil : next
        }
        for (key, level) in levels {
            let clamped = Double(max(-127, min(0, level)))
            let former = smoothed[key] ?? -100
            smoothed[key] = former + (clamped - former) * (clamped > former ? 0.6 : 0.3)
        }
        let audible = smoothed.filter { $0.value > Self.quiet }.sorted { $0.value > $1.value }
        decideDominant(audible.first?.key, audible.first?.value ?? -127)
        return audible.prefix(limit).map { ($0.key, Int($0.value)) }
    }

    /// A speaker left.
    public mutating func remove(_ key: Key) {
        smoothed[key] = nil
        if dominant == key { dominant = nil }
        if challenger?.key == key { challenger = nil }
    }

    private mutating func decideDominant(_ loudest: Key?, _ level: Double) {
        guard let loudest else { return }
        guard let holder = dominant, holder != loudest else {
            dominant = loudest
            challenger = nil
            return
        }
        guard level > (smoothed[holder] ?? -127) + 3 else {
            challenger = nil
            return
        }
        let updates = challenger?.key == loudest ? (challenger?.updates ?? 0) + 1 : 1
        challenger = (loudest, updates)
        if updates >= Self.patience {
            dominant = loudest
            challenger = nil
        }
    }
}
