// What the kernel lost, and what the process uses, as metrics.
// SPDX-License-Identifier: Apache-2.0

package import MediaPlane

package enum MachineMetrics {
    /// Reads the machine now: some files of /proc.
    static func all() -> [NodeMetric] {
        kernel(KernelCounters.read()) + process(ProcessReadings.read())
    }

    /// Counters of the whole machine, or of its network namespace.
    package static func kernel(_ counters: KernelCounters) -> [NodeMetric] {
        func counter(
            _ name: String, _ value: UInt64, _ help: String, _ labels: [(String, String)] = []
        ) -> NodeMetric {
            NodeMetric(
                "roundhouse_kernel_\(name)_total", .counter(Double(value)), labels: labels,
                help: help)
        }
        let families = [("ipv4", counters.v4), ("ipv6", counters.v6)]
        return families.flatMap { family, udp in
            let labels = [("family", family)]
            return [
                counter(
                    "udp_receive_buffer_errors", udp.receiveBufferErrors,
                    "Datagrams dropped because a socket's receive buffer was full.", labels),
                counter(
                    "udp_send_buffer_errors", udp.sendBufferErrors,
                    "Datagrams not sent because a socket's send buffer was full.", labels),
                counter(
                    "udp_receive_errors", udp.inErrors, "Datagrams dropped for any reason.",
                    labels),
            ]
        } + [
            counter(
                "softnet_dropped_packets", counters.softnetDropped,
                "Packets dropped because a core's backlog was full."),
            counter(
                "softnet_squeezed", counters.softnetSqueezed,
                "Times a core's turn at receiving ended with packets left."),
        ]
    }

    /// Under the names that Prometheus' own client libraries use.
    static func process(_ readings: ProcessReadings) -> [NodeMetric] {
        [
            NodeMetric("process_cpu_seconds_total", .counter(readings.cpuSeconds)),
            NodeMetric(
                "process_resident_memory_bytes", .gauge(Double(readings.residentBytes))),
            NodeMetric("process_open_fds", .gauge(Double(readings.openDescriptors))),
            NodeMetric("process_max_fds", .gauge(Double(readings.descriptorsMax))),
        ]
    }
}
