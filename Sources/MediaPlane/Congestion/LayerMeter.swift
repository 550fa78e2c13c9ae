// Whether an encoding lives and how many bits it takes. SPDX-License-Identifier: Apache-2.0

/// An encoding as the choice of layers sees it.
package struct LayerState: Hashable, Sendable {
    package var isLive: Bool
    /// Measured, else nominal; bit/s. What the encoding costs now.
    package var bitrate: Int
    /// Declared, else a default; bit/s. What the encoding may cost: a still picture's full
    /// resolution is cheap, and yet no thumbnail's subscriber wants to decode it.
    package var nominal: Int

    package init(isLive: Bool, bitrate: Int, nominal: Int = 0) {
        self.isLive = isLive
        self.bitrate = bitrate
        self.nominal = nominal
    }

    /// What is compared with the most that a subscriber wants.
    package var wantedFrom: Int { max(bitrate, nominal) }
}

/// Measures one encoding from its running totals.
package struct LayerMeter: Sendable {
    /// Without packets for so long an encoding is dead.
    package static let silenceUs: UInt64 = 2_000_000
    static let sampleUs: UInt64 = 400_000
    /// For encodings 0, 1, 2 of a picture that declare nothing, and for sound.
    static let defaultsBps = [150_000, 500_000, 1_500_000]
    package static let audioBps = 40_000

    private var lastBytes: UInt64 = 0
    private var lastUs: UInt64 = 0
    private var samples = 0
    private var measuredBps = 0.0
    private var lastArrivalUs: UInt64 = 0

    package init() {}

    /// Running total of bytes and the last packet's time (0: never).
    package mutating func note(bytes: UInt64, lastArrivalUs: UInt64, nowUs: UInt64) {
        self.lastArrivalUs = lastArrivalUs
        guard lastUs != 0, bytes >= lastBytes else {
            lastBytes = bytes
            lastUs = nowUs
            return
        }
        guard nowUs >= lastUs + Self.sampleUs else { return }
        let bps = Double(bytes - lastBytes) * 8_000_000 / Double(nowUs - lastUs)
        // The first samples weigh more: an encoding's rate is wanted soon.
        measuredBps = samples == 0 ? bps : measuredBps + (bps - measuredBps) * 0.35
        samples = bytes == lastBytes ? 0 : samples + 1
        lastBytes = bytes
        lastUs = nowUs
    }

    package func isLive(nowUs: UInt64) -> Bool {
        lastArrivalUs != 0 && nowUs < lastArrivalUs + Self.silenceUs
    }

    /// Measured bit/s; nil while too little was seen.
    package var measured: Int? { samples >= 2 ? Int(measuredBps) : nil }

    /// For the choice of layers.
    package func state(index: Int, declared: Int?, nowUs: UInt64) -> LayerState {
        let nominal = declared ?? Self.defaultsBps[min(index, Self.defaultsBps.count - 1)]
        return LayerState(
            isLive: isLive(nowUs: nowUs), bitrate: measured ?? nominal, nominal: nominal)
    }
}

/// A rate from a running total of bytes, smoothed over about a second.
package struct RateMeter: Sendable {
    private var lastBytes: UInt64 = 0
    private var lastUs: UInt64 = 0
    package private(set) var bps = 0.0

    package init() {}

    package mutating func note(bytes: UInt64, nowUs: UInt64) {
        defer { (lastBytes, lastUs) = (bytes, nowUs) }
        guard lastUs != 0, nowUs > lastUs, bytes >= lastBytes else { return }
        let sample = Double(bytes - lastBytes) * 8_000_000 / Double(nowUs - lastUs)
        let weight = min(1, Double(nowUs - lastUs) / 1_000_000)
        bps += (sample - bps) * weight
    }
}
