// Reception reports to publishers (RFC 3550 section 6.4.1). SPDX-License-Identifier: Apache-2.0

/// What a source's counters say now.
package struct ReceptionCounts: Sendable {
    package var ssrc: UInt32
    package var receivedPackets: UInt64
    package var firstSeq64: UInt64
    package var highestSeq64: UInt64
    package var jitter: UInt32

    package init(
        ssrc: UInt32, receivedPackets: UInt64, firstSeq64: UInt64, highestSeq64: UInt64,
        jitter: UInt32
    ) {
        self.ssrc = ssrc
        self.receivedPackets = receivedPackets
        self.firstSeq64 = firstSeq64
        self.highestSeq64 = highestSeq64
        self.jitter = jitter
    }
}

/// The state behind one source's report blocks: 48 bytes.
package struct ReceptionReporter: Sendable {
    private var ssrc: UInt32 = 0
    private var expectedPrior: UInt64 = 0
    private var receivedPrior: UInt64 = 0
    private var senderReportMiddle: UInt32 = 0
    private var senderReportUs: UInt64 = 0

    package init() {}

    /// A sender report of the source came in.
    package mutating func noteSenderReport(ntp: UInt64, nowUs: UInt64) {
        senderReportMiddle = UInt32(truncatingIfNeeded: ntp >> 16)
        senderReportUs = nowUs
    }

    /// The block for now; fraction lost counts from the former call (RFC 3550 appendix A.3).
    package mutating func block(_ counts: ReceptionCounts, nowUs: UInt64) -> ReportBlock {
        if counts.ssrc != ssrc {
            // Another source took the encoding over: its numbers begin anew.
            if ssrc != 0 { senderReportMiddle = 0 }
            ssrc = counts.ssrc
            expectedPrior = 0
            receivedPrior = 0
        }
        let expected = counts.highestSeq64 &- counts.firstSeq64 &+ 1
        var block = ReportBlock(ssrc: counts.ssrc)
        let lost = Int64(bitPattern: expected) - Int64(bitPattern: counts.receivedPackets)
        block.cumulativeLost = Int32(clamping: max(-0x80_0000, min(0x7f_ffff, lost)))
        let expectedNow = Int64(bitPattern: expected &- expectedPrior)
        let receivedNow = Int64(bitPattern: counts.receivedPackets &- receivedPrior)
        if expectedNow > 0, expectedNow > receivedNow {
            block.fractionLost = UInt8(min(255, (expectedNow - receivedNow) * 256 / expectedNow))
        }
        expectedPrior = expected
        receivedPrior = counts.receivedPackets
        // The packet path's numbers begin one cycle up.
        block.highestSequence = UInt32(truncatingIfNeeded: counts.highestSeq64 &- 0x1_0000)
        block.jitter = counts.jitter
        if senderReportMiddle != 0 {
            block.lastSenderReport = senderReportMiddle
            let delay = (nowUs &- senderReportUs) &* 65_536 / 1_000_000
            block.delaySinceLastSenderReport = UInt32(truncatingIfNeeded: delay)
        }
        return block
    }
}

/// Round-trip time from the blocks that a peer sends about our streams (RFC 3550 section 6.4.1).
package struct RoundTripTime: Sendable {
    /// Smoothed; nil before the first measurement.
    package private(set) var us: UInt64?

    package init() {}

    /// `ntpNow`: our NTP time at which the block came.
    package mutating func note(_ block: ReportBlock, ntpNow: UInt64) {
        guard block.lastSenderReport != 0 else { return }
        let middle = UInt32(truncatingIfNeeded: ntpNow >> 16)
        let trip = Int32(
            bitPattern: middle &- block.lastSenderReport &- block.delaySinceLastSenderReport)
        // Up to 10 s; slightly negative values come from rounding.
        guard trip > -655, trip < 655_360 else { return }
        let measured = UInt64(max(0, trip)) * 1_000_000 / 65_536
        us = us.map { ($0 * 7 + measured) / 8 } ?? measured
    }
}
