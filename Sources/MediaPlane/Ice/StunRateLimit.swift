// A limit on answers to those who have proved nothing. SPDX-License-Identifier: Apache-2.0

/// Token buckets by address: refused STUN requests are answered a few times a second, so that the
/// node is of no use as a reflector. A fixed table of 1024 cells of 16 bytes; addresses that share
/// a cell share its tokens. All addresses together have a budget too.
package struct StunRateLimit: Sendable {
    static let cellCount = 1024
    static let burst = 10
    static let refillUs: UInt64 = 100_000
    static let totalBurst = 500
    static let totalRefillUs: UInt64 = 2_000

    private struct Bucket {
        var tokens: Int32
        var lastUs: UInt64

        mutating func take(nowUs: UInt64, refillUs: UInt64, burst: Int) -> Bool {
            let refill = (nowUs &- lastUs) / refillUs
            if refill > 0 {
                tokens = Int32(min(UInt64(burst), UInt64(tokens) + min(refill, UInt64(burst))))
                lastUs = nowUs
            }
            guard tokens > 0 else { return false }
            tokens -= 1
            return true
        }
    }

    private var cells: [Bucket]
    private var total: Bucket
    private let seed: UInt64

    /// seed: random, so that nobody can choose whose cell to share.
    package init(seed: UInt64, nowUs: UInt64) {
        self.seed = seed
        let bucket = Bucket(tokens: Int32(Self.burst), lastUs: nowUs)
        cells = [Bucket](repeating: bucket, count: Self.cellCount)
        total = Bucket(tokens: Int32(Self.totalBurst), lastUs: nowUs)
    }

    /// True when a refusal may be answered now.
    package mutating func allow(_ address: IPAddress, nowUs: UInt64) -> Bool {
        var hash = (address.high ^ seed) &* 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ hash >> 29 ^ address.low) &* 0xbf58_476d_1ce4_e5b9
        let cell = Int(truncatingIfNeeded: hash >> 32) & (Self.cellCount - 1)
        guard cells[cell].take(nowUs: nowUs, refillUs: Self.refillUs, burst: Self.burst) else {
            return false
        }
        return total.take(nowUs: nowUs, refillUs: Self.totalRefillUs, burst: Self.totalBurst)
    }
}
