// Time as the node sees it, so that tests can make it pass.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A monotonic clock beside the calendar's.
public protocol RoutingClock: Sendable {
    /// Since one fixed moment; never goes back.
    var now: Duration { get }
    /// Seconds since 1970.
    var epochSeconds: Int64 { get }
    /// Throws `CancellationError` when the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// The machine's clocks.
public struct SystemClock: RoutingClock {
    private let start = ContinuousClock.now

    public init() {}

    public var now: Duration { ContinuousClock.now - start }

    public var epochSeconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }

    public func sleep(for duration: Duration) async throws {
        try await Task.sleep(for: duration)
    }
}

/// A clock that stands still until it is told to go on; for tests.
public final class ManualClock: RoutingClock {
    private let elapsed = Mutex(Duration.seconds(1000))

    public init() {}

    public var now: Duration { elapsed.withLock { $0 } }
    public var epochSeconds: Int64 { 1_700_000_000 + now.components.seconds }

    public func advance(by duration: Duration) {
        elapsed.withLock { $0 += duration }
    }

    /// Ends at once: whoever sleeps in a loop must not be run with this clock.
    public func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        await Task.yield()
    }
}
