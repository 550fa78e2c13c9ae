// When to try again what has failed: exponential back-off with full jitter.
// State: 40 bytes an entry. Owner: `EndReporter`.
// SPDX-License-Identifier: Apache-2.0

/// Keys that wait for an attempt each.
package struct RetrySchedule: Sendable {
    private struct Entry {
        var attempts = 0
        var next: Duration
        var isRunning = false
    }

    private var entries: [String: Entry] = [:]
    let first: Duration
    let longest: Duration

    /// - Parameters:
    ///   - first: the longest wait after the first failure; it doubles with each.
    ///   - longest: beyond which no wait grows.
    package init(first: Duration = .milliseconds(500), longest: Duration = .seconds(60)) {
        self.first = first
        self.longest = longest
    }

    package var isEmpty: Bool { entries.isEmpty }
    package var count: Int { entries.count }

    /// Adds a key that is due at once; a known one stays as it is.
    package mutating func add(_ key: String, now: Duration) {
        if entries[key] == nil { entries[key] = Entry(next: now) }
    }

    /// Takes at most `limit` keys that are due and none of whose attempts is running.
    package mutating func takeDue(now: Duration, limit: Int) -> [String] {
        let due = entries.filter { !$0.value.isRunning && $0.value.next <= now }
            .sorted { ($0.value.next, $0.key) < ($1.value.next, $1.key) }
            .prefix(limit).map(\.key)
        for key in due { entries[key]?.isRunning = true }
        return due
    }

    package mutating func succeeded(_ key: String) { entries[key] = nil }

    /// - Parameter random: 0 to 1, places the next attempt between a tenth of the wait and all
    ///   of it.
    package mutating func failed(_ key: String, now: Duration, random: Double) {
        guard var entry = entries[key] else { return }
        var wait = first
        for _ in 0..<min(entry.attempts, 20) where wait < longest { wait *= 2 }
        entry.attempts += 1
        entry.isRunning = false
        entry.next = now + min(wait, longest) * (0.1 + 0.9 * min(max(random, 0), 1))
        entries[key] = entry
    }

    /// The moment at which something is due; nil while nothing waits.
    package var deadline: Duration? {
        entries.values.filter { !$0.isRunning }.map(\.next).min()
    }
}
