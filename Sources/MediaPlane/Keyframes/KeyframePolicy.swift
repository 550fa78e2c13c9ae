// When to ask a publisher for a keyframe (RFC 4585 section 6.3.1).
// SPDX-License-Identifier: Apache-2.0

/// One encoding's requests, from every subscriber on every worker, made into few: the first goes
/// out at once, the next not before `intervalUs`, again while slots wait and none came. 40 bytes.
package struct KeyframePolicy: Sendable {
    /// A keyframe costs the publisher several pictures' worth of bits.
    package static let intervalUs: UInt64 = 400_000
    /// Between repetitions after `quickTries` without an answer.
    static let slowIntervalUs: UInt64 = 1_000_000
    static let quickTries = 5

    private var isWanted = false
    private var lastRequestUs: UInt64?
    private var tries = 0

    package init() {}

    /// Someone cannot decode without a keyframe.
    package mutating func want() { isWanted = true }

    /// The first packet of a keyframe came in.
    package mutating func noteKeyframe() {
        isWanted = false
        tries = 0
    }

    /// True when a request is to be sent now. `isAwaited`: slots still wait for a keyframe.
    package mutating func decide(nowUs: UInt64, isAwaited: Bool) -> Bool {
        guard isWanted || isAwaited else { return false }
        let interval = tries < Self.quickTries ? Self.intervalUs : Self.slowIntervalUs
        if let lastRequestUs, nowUs < lastRequestUs + interval { return false }
        lastRequestUs = nowUs
        tries += 1
        isWanted = false
        return true
    }
}
