// The workers' counters as metrics.
// SPDX-License-Identifier: Apache-2.0

package import MediaPlane

/// Names, units and values of what workers count.
package enum MediaMetrics {
    /// The counters of one worker.
    package static func metrics(of counters: WorkerCounters) -> [NodeMetric] {
        let labels = [("worker", String(counters.worker))]
        var all = packets(counters).map { name, value in
            NodeMetric("roundhouse_media_\(name)_total", .counter(Double(value)), labels: labels)
        }
        all.append(
            NodeMetric(
                "roundhouse_media_busy_seconds_total",
                .counter(Double(counters.busyMicroseconds) / 1e6), labels: labels,
                help: "CPU time of a worker's thread; its rate is the load, 0 to 1."))
        all += gauges(counters).map { name, value in
            NodeMetric("roundhouse_media_\(name)", .gauge(value), labels: labels)
        }
        all += counters.drops.map { drop in
            NodeMetric(
                "roundhouse_media_dropped_packets_total", .counter(Double(drop.count)),
                labels: labels + [("reason", drop.reason)],
                help: "Received packets that were not forwarded.")
        }
        all.append(forwardLatency(counters.forwardLatency, labels: labels))
        return all
    }

    private static func packets(_ counters: WorkerCounters) -> [(String, UInt64)] {
        [
            ("received_packets", counters.receivedPackets),
            ("received_bytes", counters.receivedBytes),
            ("sent_packets", counters.sentPackets), ("sent_bytes", counters.sentBytes),
            ("forwarded_packets", counters.forwardedPackets),
            ("resent_packets", counters.resentPackets),
            ("relayed_packets", counters.relayedPackets),
            ("relay_dropped_packets", counters.relayFull),
            ("send_calls", counters.sendCalls), ("receive_calls", counters.receiveCalls),
            ("sent_messages", counters.sentMessages),
            ("segmented_messages", counters.segmentedMessages),
            ("segmented_packets", counters.segmentedPackets),
            ("coalesced_messages", counters.coalescedMessages),
            ("coalesced_packets", counters.coalescedPackets),
            ("padded_packets", counters.paddedPackets), ("padding_bytes", counters.paddingBytes),
            ("send_queue_full", counters.queueFull),
            ("send_dropped_packets", counters.sendDropped),
            ("send_errors", counters.sendErrors),
            ("kernel_dropped_packets", counters.kernelDropped),
            ("events_lost", counters.eventsLost), ("jobs", counters.jobsRun),
        ]
    }

    private static func gauges(_ counters: WorkerCounters) -> [(String, Double)] {
        [
            ("loop_lag_max_seconds", Double(counters.loopLagMaxMicroseconds) / 1e6),
            ("relay_lag_max_seconds", Double(counters.relayLagMaxMicroseconds) / 1e6),
            ("send_window_seconds", Double(counters.sendWindowMicroseconds) / 1e6),
            ("segmentation_refused", counters.isSegmentationRefused ? 1 : 0),
            ("peers", Double(counters.peers)), ("tracks", Double(counters.tracks)),
            ("slots", Double(counters.slots)), ("buffers", Double(counters.buffers)),
            ("receive_buffer_bytes", Double(counters.receiveBufferBytes)),
            ("send_buffer_bytes", Double(counters.sendBufferBytes)),
        ]
    }

    /// Buckets that double from 2 microseconds on.
    private static func forwardLatency(
        _ counts: [UInt64], labels: [(String, String)]
    ) -> NodeMetric {
        let bounds = counts.indices.dropLast().map { Double(UInt64(2) << $0) / 1e6 }
        // The core counts buckets alone; a packet is taken for three halves of the lower bound.
        let sum = counts.enumerated().reduce(0) {
            $0 + Double($1.element) * Double(UInt64(1) << $1.offset) * 1.5 / 1e6
        }
        return NodeMetric(
            "roundhouse_forward_latency_seconds",
            .histogram(bounds: bounds, counts: counts.isEmpty ? [0] : counts, sum: sum),
            labels: labels,
            help: "From a packet's receive call to the kernel's having what was made of it; "
                + "the sum is estimated from the buckets.")
    }

    /// What the Swift side of one worker counted.
    static func metrics(
        of control: ControlCounters, labels: [(String, String)]
    ) -> [NodeMetric] {
        let values: [(String, UInt64)] = [
            ("stun_requests", control.stunRequests), ("stun_refused", control.stunRefused),
            ("stun_malformed", control.stunMalformed),
            ("stun_rate_limited", control.stunRateLimited),
            ("dtls_without_peer", control.dtlsWithoutPeer),
            ("dtls_failures", control.dtlsFailures), ("rtcp_packets", control.rtcpPackets),
            ("rtcp_malformed", control.rtcpMalformed), ("nacks_received", control.nacksReceived),
            ("nacks_sent", control.nacksSent),
            ("keyframe_requests_received", control.keyframeRequestsReceived),
            ("keyframe_requests_sent", control.keyframeRequestsSent),
            ("keyframe_requests_relayed", control.keyframeRequestsRelayed),
            ("events_dropped", control.eventsDropped),
        ]
        return values.map { name, value in
            NodeMetric("roundhouse_media_\(name)_total", .counter(Double(value)), labels: labels)
        }
    }
}

/// What is taken once a second: the Swift side's counters, and shares over the last interval.
/// Owner: `WorkerMediaNode`.
package struct MediaMeasurements: Sendable {
    private var control: [ControlCounters] = []
    private var former: [WorkerCounters] = []
    private var takenAt: Duration?
    /// By worker.
    package private(set) var shares: [WorkerShares] = []

    package init() {}

    /// Shares of one worker over the last interval.
    package struct WorkerShares: Sendable, Equatable {
        /// Of the time, running.
        package var busy = 0.0
        /// Packets a kernel message; 0 while nothing was sent.
        package var packetsPerMessage = 0.0
        /// Of the sent packets, in messages with `UDP_SEGMENT`.
        package var segmented = 0.0
        /// Of the received packets, in messages that `UDP_GRO` put together.
        package var coalesced = 0.0

        package init() {}
    }

    package mutating func take(
        _ counters: [WorkerCounters], _ control: [ControlCounters], now: Duration
    ) {
        self.control = control
        defer { (former, takenAt) = (counters, now) }
        guard let takenAt, former.count == counters.count, now > takenAt else { return }
        let microseconds = (now - takenAt) / .microseconds(1)
        shares = zip(former, counters).map { Self.shares($0, $1, microseconds) }
    }

    private static func shares(
        _ old: WorkerCounters, _ new: WorkerCounters, _ microseconds: Double
    ) -> WorkerShares {
        func growth(_ path: KeyPath<WorkerCounters, UInt64>) -> Double {
            Double(new[keyPath: path] &- old[keyPath: path])
        }
        func share(_ part: Double, of whole: Double) -> Double { whole > 0 ? part / whole : 0 }
        let sent = growth(\.sentPackets)
        var shares = WorkerShares()
        shares.busy = min(1, growth(\.busyMicroseconds) / microseconds)
        shares.packetsPerMessage = share(sent, of: growth(\.sentMessages))
        shares.segmented = min(1, share(growth(\.segmentedPackets), of: sent))
        shares.coalesced = min(
            1, share(growth(\.coalescedPackets), of: growth(\.receivedPackets)))
        return shares
    }

    package var metrics: [NodeMetric] {
        var all: [NodeMetric] = []
        for (worker, control) in control.enumerated() {
            all += MediaMetrics.metrics(of: control, labels: [("worker", String(worker))])
        }
        for (worker, shares) in shares.enumerated() {
            let labels = [("worker", String(worker))]
            func gauge(_ name: String, _ value: Double, _ help: String) {
                all.append(
                    NodeMetric(
                        "roundhouse_media_" + name, .gauge(value), labels: labels, help: help))
            }
            gauge("busy_ratio", shares.busy, "Share of the last second that a worker's thread ran.")
            gauge(
                "packets_per_message", shares.packetsPerMessage,
                "Packets a kernel message held in the last second.")
            gauge(
                "segmented_ratio", shares.segmented,
                "Share of the packets of the last second that left by UDP_SEGMENT.")
            gauge(
                "coalesced_ratio", shares.coalesced,
                "Share of the packets of the last second that came by UDP_GRO.")
        }
        return all
    }
}
