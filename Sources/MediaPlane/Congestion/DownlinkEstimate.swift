// How much a subscriber's link takes: REMB and loss. SPDX-License-Identifier: Apache-2.0

/// A first estimate of a participant's downlink. Nothing limits it until there is evidence:
/// receivers report at most one and a half times what they receive, so a low report of an idle
/// receiver says nothing. Evidence is a report that fell below what was sent, or loss above 10 %.
/// Afterwards the limit grows while the link bears it; a raise that fails makes the next one wait
/// longer.
///
/// A later send-side estimation replaces the inside: numbers in, `limitBps` out.
package struct DownlinkEstimate: Sendable {
    package static let floorBps = 100_000.0
    static let ceilingBps = 100_000_000.0
    static let lossHigh = 0.10
    static let lossLow = 0.02
    static let windowPacketsMin = 100.0
    /// Growth a second while the link is well.
    static let growth = 1.08
    static let holdUsMin: UInt64 = 2_000_000
    static let holdUsMax: UInt64 = 30_000_000
    /// Limits above this multiple of what is sent no longer limit: they are forgotten.
    static let forgetRatio = 3.0

    /// Bit/s; nil: nothing limits.
    package private(set) var limitBps: Double?
    /// Smoothed over the receiver's reports, 0...1.
    package private(set) var lossFraction = 0.0
    private var lastRemb: Double?
    private var sentBps = 0.0
    private var lastUs: UInt64?
    private var growAfterUs: UInt64 = 0
    private var holdUs = DownlinkEstimate.holdUsMin
    private var windowLost = 0.0
    private var windowPackets = 0.0
    private var windowStartUs: UInt64?
    /// Where this spell of loss began; nil: no loss to speak of.
    private var firstLoss: (fraction: Double, sentBps: Double)?

    package init() {}

    /// What is being sent to the participant now, bit/s, smoothed over about a second.
    package mutating func noteSent(bps: Double) { sentBps = bps }

    /// The receiver's own estimate.
    package mutating func noteRemb(bps: UInt64, nowUs: UInt64) {
        let value = min(Double(bps), Self.ceilingBps)
        defer { lastRemb = value }
        guard let former = lastRemb else { return }
        if value < former * 0.97, value < sentBps { cut(to: value, nowUs: nowUs) }
    }

    /// Loss in one report, over all its streams.
    ///
    /// A report covers some dozen packets, so that one loss in it reads as ten percent: reports are
    /// added up over a second and `windowPacketsMin` packets, and a window cuts only when chance
    /// does not explain that it lies above `lossHigh` (three standard deviations).
    /// - Parameter fraction: of `packets` expected, 0...1.
    package mutating func noteLoss(_ fraction: Double, packets: Int = 1000, nowUs: UInt64) {
        windowLost += min(1, max(0, fraction)) * Double(packets)
        windowPackets += Double(packets)
        let start = windowStartUs ?? nowUs
        windowStartUs = start
        guard windowPackets >= Self.windowPacketsMin, nowUs >= start + 1_000_000 else { return }
        let loss = windowLost / windowPackets
        let deviation = (loss * (1 - loss) / windowPackets).squareRoot()
        (windowLost, windowPackets, windowStartUs) = (0, 0, nowUs)
        lossFraction += (loss - lossFraction) * (loss < lossFraction ? 0.6 : 0.3)
        if lossFraction < Self.lossLow { firstLoss = nil }
        guard loss - 3 * deviation > Self.lossHigh, lossFraction > Self.lossHigh else { return }
        // Sending much less did not help: the loss is not ours.
        if let first = firstLoss, sentBps < first.sentBps * 0.6, loss > first.fraction * 0.8 {
            return
        }
        if firstLoss == nil { firstLoss = (loss, sentBps) }
        let base = min(limitBps ?? .infinity, max(sentBps, Self.floorBps))
        // Much loss says what the link takes; a little says only that it is too much.
        cut(to: base * (loss > 0.3 ? 1 - loss : 1 - 0.5 * loss), nowUs: nowUs)
    }

    private mutating func cut(to bps: Double, nowUs: UInt64) {
        let hasJustGrown = limitBps != nil && nowUs < growAfterUs + 4 * holdUs
        holdUs = hasJustGrown ? min(holdUs * 2, Self.holdUsMax) : Self.holdUsMin
        limitBps = max(Self.floorBps, bps)
        growAfterUs = nowUs + holdUs
    }

    /// Growth; call a few times a second.
    package mutating func onTick(nowUs: UInt64) {
        defer { lastUs = nowUs }
        guard let limit = limitBps, let lastUs, nowUs >= growAfterUs, lossFraction < Self.lossHigh
        else { return }
        let seconds = min(1, Double(nowUs - lastUs) / 1_000_000)
        let isWell = lossFraction < Self.lossLow
        let isInvited = isWell && (lastRemb ?? 0) > limit * 1.2
        let rate = (Self.growth - 1) * (isInvited ? 2 : isWell ? 1 : 0.25)
        let grown = limit * (1 + rate * seconds)
        let isFree = grown > max(sentBps * Self.forgetRatio, 5_000_000)
        limitBps = isFree || grown > Self.ceilingBps ? nil : grown
    }
}
