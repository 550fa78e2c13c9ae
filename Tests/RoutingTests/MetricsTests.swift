// What a node tells Prometheus. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Routing
import ServiceKit
import Testing

@Suite struct MetricsTests {
    private static func text(_ metrics: [NodeMetric]) -> String {
        var writer = PrometheusWriter()
        for metric in metrics { metric.write(to: &writer) }
        return writer.text
    }

    @Test func forwardLatencyIsAHistogramInSeconds() {
        var counters = WorkerCounters()
        counters.worker = 3
        counters.forwardLatency = Array(repeating: 0, count: 20)
        counters.forwardLatency[0] = 5
        counters.forwardLatency[10] = 2
        counters.forwardLatency[19] = 1
        let lines = Self.text(MediaMetrics.metrics(of: counters)).split(separator: "\n")
        func value(_ le: String) -> Substring? {
            let start = "roundhouse_forward_latency_seconds_bucket{worker=\"3\",le=\"\(le)\"} "
            return lines.first { $0.hasPrefix(start) }?.dropFirst(start.count)
        }
        #expect(lines.contains("# TYPE roundhouse_forward_latency_seconds histogram"))
        #expect(value("2e-06") == "5")
        #expect(value("0.001024") == "5")
        #expect(value("0.002048") == "7")
        #expect(value("+Inf") == "8")
        #expect(lines.contains("roundhouse_forward_latency_seconds_count{worker=\"3\"} 8"))
        #expect(lines.count { $0.hasPrefix("roundhouse_forward_latency_seconds_bucket") } == 20)
    }

    @Test func namesFollowPrometheusRules() {
        var counters = WorkerCounters()
        counters.drops = [("malformed", 1)]
        var measured = MediaMeasurements()
        measured.take([counters], [ControlCounters()], now: .seconds(1))
        measured.take([counters], [ControlCounters()], now: .seconds(2))
        let all = MediaMetrics.metrics(of: counters) + measured.metrics
            + MachineMetrics.kernel(KernelCounters())
        #expect(all.count > 60)
        for metric in all {
            let isCounter = if case .counter = metric.value { true } else { false }
            #expect(metric.name.hasSuffix("_total") == isCounter, "\(metric.name)")
            #expect(metric.name.hasPrefix("roundhouse_"))
            for unit in ["microseconds", "_us", "milliseconds", "_ms", "kilobytes"] {
                #expect(!metric.name.contains(unit))
            }
        }
    }

    @Test func sharesAreOfTheLastInterval() {
        var measured = MediaMeasurements()
        var counters = WorkerCounters()
        counters.busyMicroseconds = 700_000
        counters.sentPackets = 1000
        counters.sentMessages = 1000
        measured.take([counters], [], now: .seconds(1))
        #expect(measured.shares.isEmpty)
        counters.busyMicroseconds += 500_000
        counters.sentPackets += 800
        counters.sentMessages += 100
        counters.segmentedPackets += 600
        counters.receivedPackets += 10
        counters.coalescedPackets += 5
        measured.take([counters], [], now: .seconds(3))
        var shares = MediaMeasurements.WorkerShares()
        (shares.busy, shares.packetsPerMessage) = (0.25, 8)
        (shares.segmented, shares.coalesced) = (0.75, 0.5)
        #expect(measured.shares == [shares])
        measured.take([counters], [], now: .seconds(4))
        #expect(measured.shares == [MediaMeasurements.WorkerShares()])
    }

    @Test func aNodeTellsWhatItAndTheMachineDo() async throws {
        let stage = try Stage()
        _ = try await stage.join("anna")
        let text = Self.text(stage.core.readMetrics())
        let wanted = [
            "roundhouse_participants 1", "roundhouse_sockets 1", "roundhouse_meetings 1",
            "# TYPE roundhouse_kernel_udp_receive_buffer_errors_total counter",
            "# TYPE process_cpu_seconds_total counter", "# TYPE process_open_fds gauge",
        ]
        for line in wanted {
            #expect(text.split(separator: "\n").contains { $0 == line }, "\(line)")
        }
    }
}
