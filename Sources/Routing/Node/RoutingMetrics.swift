// What a routing node counts about packets and sockets.
// SPDX-License-Identifier: Apache-2.0

import Metrics
import Signaling
import Synchronization

/// Counters by name and label, made once. Owner: `NodeCore`.
final class RoutingMetrics: Sendable {
    private let received: [String: Counter]
    private let sent: [String: Counter]
    private let others = Mutex<[String: Counter]>([:])

    init() {
        func counters(_ direction: String) -> [String: Counter] {
            var all: [String: Counter] = [:]
            for type in Packet.contentTypes + ["invalid"] {
                all[type] = Counter(
                    label: "roundhouse_signaling_packets_total",
                    dimensions: [("direction", direction), ("type", type)])
            }
            return all
        }
        received = counters("in")
        sent = counters("out")
    }

    func received(_ type: String) { received[type]?.increment() }

    func sent(_ type: String, _ count: Int = 1) { sent[type]?.increment(by: count) }

    /// A packet, join or offer that was refused. `reason` is one of a fixed set.
    func refused(_ reason: String) { count("roundhouse_signaling_errors_total", reason) }

    func remapFailed(_ reason: String) { count("roundhouse_slot_remap_failures_total", reason) }

    /// A socket that was closed or turned away.
    func closed(_ reason: String) { count("roundhouse_sockets_closed_total", reason) }

    private func count(_ label: String, _ reason: String) {
        let counter = others.withLock { counters in
            let key = label + "/" + reason
            if let known = counters[key] { return known }
            let new = Counter(label: label, dimensions: [("reason", reason)])
            counters[key] = new
            return new
        }
        counter.increment()
    }
}
