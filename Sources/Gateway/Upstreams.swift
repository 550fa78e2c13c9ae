// The instances of one service behind the gateway: which one is next, and which ones rest.
// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Chooses among the instances of a service, in turn; one that failed rests, longer each time.
///
/// The clock is an argument, so that the rule can be tested without waiting.
public final class Upstreams: Sendable {
    private struct Instance {
        let url: String
        var failures = 0
        var restsUntil: ContinuousClock.Instant?
    }

    private struct State {
        var instances: [Instance]
        var next = 0
    }

    /// The first rest after a failure; each further failure doubles it, up to `restMax`.
    static let restMin: Duration = .milliseconds(500)
    static let restMax: Duration = .seconds(30)

    private let state: Mutex<State>

    /// - Parameter urls: base URLs without a trailing slash, at least one.
    public init(urls: [String]) {
        precondition(!urls.isEmpty)
        state = Mutex(State(instances: urls.map { Instance(url: $0) }))
    }

    /// All instances in the order in which they should be tried: those at rest come last, so that a
    /// service whose instances all failed is still asked.
    public func order(now: ContinuousClock.Instant) -> [String] {
        state.withLock { state in
            let count = state.instances.count
            let turn = (0..<count).map { state.instances[(state.next + $0) % count] }
            state.next = (state.next + 1) % count
            let ready = turn.filter { ($0.restsUntil ?? now) <= now }
            let resting = turn.filter { ($0.restsUntil ?? now) > now }
            return (ready + resting).map(\.url)
        }
    }

    public func succeeded(_ url: String) {
        update(url) { instance in
            instance.failures = 0
            instance.restsUntil = nil
        }
    }

    public func failed(_ url: String, now: ContinuousClock.Instant) {
        update(url) { instance in
            let rest = Self.restMin * (1 << min(instance.failures, 10))
            instance.failures += 1
            instance.restsUntil = now + min(rest, Self.restMax)
        }
    }

    /// True when at least one instance is not at rest.
    public func isAvailable(now: ContinuousClock.Instant) -> Bool {
        state.withLock { $0.instances.contains { ($0.restsUntil ?? now) <= now } }
    }

    private func update(_ url: String, _ change: (inout Instance) -> Void) {
        state.withLock { state in
            guard let place = state.instances.firstIndex(where: { $0.url == url }) else { return }
            change(&state.instances[place])
        }
    }
}
