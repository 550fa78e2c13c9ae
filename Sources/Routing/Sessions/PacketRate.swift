// How many packets a socket may send: a token bucket.
// State: 32 bytes. Owner: a socket's session.
// SPDX-License-Identifier: Apache-2.0

package struct PacketRate: Sendable {
    let perSecond: Double
    let burst: Double
    private var tokens: Double
    private var at: Duration

    /// - Parameter burst: packets that may come at once.
    package init(perSecond: Int, burst: Int, now: Duration) {
        self.perSecond = Double(perSecond)
        self.burst = Double(burst)
        tokens = Double(burst)
        at = now
    }

    /// Takes one packet; false when it is one too many.
    package mutating func take(now: Duration) -> Bool {
        let elapsed = now - at
        at = max(at, now)
        let seconds = Double(elapsed.components.seconds)
            + Double(elapsed.components.attoseconds) / 1e18
        tokens = min(burst, tokens + max(0, seconds) * perSecond)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}
