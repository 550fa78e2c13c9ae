// Sender reports to subscribers, in sync with the publisher's clock.
// SPDX-License-Identifier: Apache-2.0

/// NTP time on the monotonic clock: read once at the start of the process and never set back.
package struct NtpClock: Sendable {
    private let baseNtp: UInt64
    private let baseUs: UInt64

    /// `unixUs`: microseconds since 1970 at monotonic time `monotonicUs`.
    package init(unixUs: UInt64, monotonicUs: UInt64) {
        let seconds = unixUs / 1_000_000 + 2_208_988_800
        baseNtp = seconds << 32 | ((unixUs % 1_000_000) << 32) / 1_000_000
        baseUs = monotonicUs
    }

    /// 32.32 fixed point, seconds since 1900.
    package func ntp(atUs nowUs: UInt64) -> UInt64 {
        let elapsed = nowUs &- baseUs
        return baseNtp &+ (elapsed / 1_000_000) << 32 &+ ((elapsed % 1_000_000) << 32) / 1_000_000
    }
}

/// A publisher's clock against ours: one offset for all its sources, so that its audio and video
/// stay in sync.
package struct PublisherClock: Sendable {
    /// Ours minus theirs, 32.32 s; nil before the first sender report.
    package private(set) var offset: Int64?
    /// A difference beyond this means that the publisher's clock was set: 0.5 s.
    static let jumpMax: Int64 = 1 << 31

    package init() {}

    /// A sender report with this NTP time came in at our NTP time `ntpNow`.
    package mutating func note(ntp: UInt64, ntpNow: UInt64) {
        let measured = Int64(bitPattern: ntpNow &- ntp)
        guard let former = offset else {
            offset = measured
            return
        }
        let difference = measured &- former
        // Transit times vary; drift is slow.
        let isJump = difference > Self.jumpMax || difference < -Self.jumpMax
        offset = isJump ? measured : former &+ difference / 64
    }
}

/// An encoding's newest sender report, with the publisher's offset at that time.
package struct SourceTime: Hashable, Sendable {
    package var ntp: UInt64
    package var rtp: UInt32
    package var offset: Int64

    package init(ntp: UInt64, rtp: UInt32, offset: Int64) {
        self.ntp = ntp
        self.rtp = rtp
        self.offset = offset
    }
}

/// What a slot's report needs of the slot.
package struct SlotTime: Sendable {
    package var ssrc: UInt32
    package var packets: UInt64
    package var octets: UInt64
    package var lastTimestamp: UInt32
    /// Outgoing minus incoming of the carried encoding.
    package var timestampOffset: UInt32
    package var lastSentUs: UInt64
    package var clockRate: UInt32

    package init(
        ssrc: UInt32, packets: UInt64, octets: UInt64, lastTimestamp: UInt32,
        timestampOffset: UInt32, lastSentUs: UInt64, clockRate: UInt32
    ) {
        self.ssrc = ssrc
        self.packets = packets
        self.octets = octets
        self.lastTimestamp = lastTimestamp
        self.timestampOffset = timestampOffset
        self.lastSentUs = lastSentUs
        self.clockRate = clockRate
    }
}

package enum SenderReports {
    /// How often a slot reports.
    package static let intervalUs: UInt64 = 1_000_000

    /// The sender information for now; nil for a slot that never sent. Without a source's report
    /// the last packet's timestamp and time stand in.
    package static func info(
        _ slot: SlotTime, source: SourceTime?, nowUs: UInt64, clock: NtpClock
    ) -> SenderInfo? {
        guard slot.lastSentUs != 0 else { return nil }
        let ntpNow = clock.ntp(atUs: nowUs)
        let timestamp: UInt32
        if let source {
            let ours = source.ntp &+ UInt64(bitPattern: source.offset)
            let elapsed = Int64(bitPattern: ntpNow &- ours)
            timestamp = source.rtp &+ slot.timestampOffset
                &+ ticks(Double(elapsed) / 4_294_967_296, slot.clockRate)
        } else {
            let elapsed = Double(nowUs &- slot.lastSentUs) / 1_000_000
            timestamp = slot.lastTimestamp &+ ticks(elapsed, slot.clockRate)
        }
        return SenderInfo(
            ssrc: slot.ssrc, ntp: ntpNow, rtp: timestamp,
            packets: UInt32(truncatingIfNeeded: slot.packets),
            octets: UInt32(truncatingIfNeeded: slot.octets))
    }

    private static func ticks(_ seconds: Double, _ clockRate: UInt32) -> UInt32 {
        // A hostile publisher's report must not trap: beyond a day it means nothing.
        guard seconds.magnitude < 86_400 else { return 0 }
        return UInt32(truncatingIfNeeded: Int64((seconds * Double(clockRate)).rounded()))
    }
}
