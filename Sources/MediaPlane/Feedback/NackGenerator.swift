// Asking a publisher for lost packets (RFC 4585 section 6.2.1). SPDX-License-Identifier: Apache-2.0

/// What one encoding's missing packets call for.
package struct NackDecision: Equatable, Sendable {
    /// To be asked for now, ascending.
    package var sequences: [UInt16] = []
    /// Packets were given up: pictures cannot be whole without a keyframe.
    package var wantsKeyframe = false
    package init() {}
}

/// The missing packets of one encoding. At most `missingMax` of them, 32 bytes each.
package struct NackGenerator: Sendable {
    static let triesMax = 10
    static let missingMax = 512
    /// A packet that comes later than this is of no use any more.
    static let ageUsMax: UInt64 = 1_500_000
    static let spacingUsMin: UInt64 = 20_000

    private struct Missing: Sendable {
        var seq64: UInt64
        var sinceUs: UInt64
        var dueUs: UInt64
        var tries: Int
    }

    /// Ascending.
    private var missing: [Missing] = []
    private var hasOverflowed = false

    package init() {}

    package var missingCount: Int { missing.count }

    /// `count` packets from `first` on have not arrived.
    package mutating func note(first: UInt64, count: UInt32, nowUs: UInt64) {
        guard count <= Self.missingMax else {
            missing.removeAll()
            hasOverflowed = true
            return
        }
        for seq64 in first..<(first + UInt64(count)) {
            if let last = missing.last, last.seq64 >= seq64 { continue }
            missing.append(Missing(seq64: seq64, sinceUs: nowUs, dueUs: nowUs, tries: 0))
        }
        if missing.count > Self.missingMax {
            missing.removeFirst(missing.count - Self.missingMax)
            hasOverflowed = true
        }
    }

    /// What to ask for now. `rttUs`: of the publisher. `has`: true for a packet that came.
    package mutating func collect(
        nowUs: UInt64, rttUs: UInt64, has: (UInt64) -> Bool
    ) -> NackDecision {
        var decision = NackDecision()
        decision.wantsKeyframe = hasOverflowed
        hasOverflowed = false
        guard !missing.isEmpty else { return decision }
        let spacingUs = max(Self.spacingUsMin, rttUs + rttUs / 4)
        missing = missing.compactMap { entry in
            guard !has(entry.seq64) else { return nil }
            let isTooOld = nowUs - min(nowUs, entry.sinceUs) > Self.ageUsMax
            if isTooOld || (entry.tries == Self.triesMax && nowUs >= entry.dueUs) {
                decision.wantsKeyframe = true
                return nil
            }
            guard nowUs >= entry.dueUs else { return entry }
            var asked = entry
            asked.tries += 1
            asked.dueUs = nowUs + spacingUs
            decision.sequences.append(UInt16(truncatingIfNeeded: entry.seq64))
            return asked
        }
        return decision
    }

    /// Nobody wants the encoding any more.
    package mutating func reset() {
        missing.removeAll()
        hasOverflowed = false
    }
}
