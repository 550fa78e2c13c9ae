// Token buckets per client, with bounded memory.
// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Allows `burst` calls at once and `ratePerSecond` in the long run, for each key apart.
///
/// Memory: at most two generations of `keysMax` buckets (about 100 bytes each). When a generation
/// is full it becomes the old one; buckets that nobody touches are forgotten with it, and by then
/// have refilled unless an attacker uses more than `keysMax` addresses.
public final class RateLimiter: Sendable {
    private struct Bucket {
        var tokens: Double
        var updated: Duration
    }
    private struct State {
        var young: [String: Bucket] = [:]
        var old: [String: Bucket] = [:]
    }

    private let state = Mutex(State())
    private let ratePerSecond: Double
    private let burst: Double
    private let keysMax: Int
    private let clock: @Sendable () -> Duration

    /// `clock` gives monotonic time since any fixed moment.
    public init(
        ratePerSecond: Double, burst: Int, keysMax: Int = 65_536,
        clock: @escaping @Sendable () -> Duration = RateLimiter.uptime
    ) {
        precondition(ratePerSecond > 0 && burst >= 1 && keysMax >= 1)
        self.ratePerSecond = ratePerSecond
        self.burst = Double(burst)
        self.keysMax = keysMax
        self.clock = clock
    }

    /// Monotonic time since the first use in this process.
    public static let uptime: @Sendable () -> Duration = {
        let start = ContinuousClock.now
        return { start.duration(to: .now) }
    }()

    /// Takes one call of `key`. Returns nil when it is allowed, else the seconds to wait.
    public func take(_ key: String) -> Int? {
        let now = clock()
        return state.withLock { state in
            var bucket = state.young[key] ?? state.old[key]
                ?? Bucket(tokens: burst, updated: now)
            bucket.tokens = min(
                burst, bucket.tokens + (now - bucket.updated).inSeconds * ratePerSecond)
            bucket.updated = now
            let isAllowed = bucket.tokens >= 1
            let wait = isAllowed ? nil : Int(((1 - bucket.tokens) / ratePerSecond).rounded(.up))
            if isAllowed { bucket.tokens -= 1 }
            if state.young[key] == nil && state.young.count >= keysMax {
                state.old = state.young
                state.young = [:]
            }
            state.young[key] = bucket
            return wait
        }
    }

    /// Takes one call or throws 429 with `Retry-After`.
    public func require(_ key: String, _ detail: String) throws(Problem) {
        if let seconds = take(key) {
            throw Problem.retry(.tooManyRequests, after: seconds, detail)
        }
    }

    /// Buckets that are held now.
    package var count: Int { state.withLock { $0.young.count + $0.old.count } }
}

extension Duration {
    /// The duration in seconds.
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
