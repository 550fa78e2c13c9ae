// What is seen each second. SPDX-License-Identifier: Apache-2.0

/// One second of a run.
package struct Sample: Sendable, Equatable {
    /// Seconds since the run's begin.
    package var at = 0.0
    /// True inside the window that the report is about.
    package var isMeasured = false
    package var joined = 0
    /// RTP packets a second and payload bits a second.
    package var sentPackets = 0.0, receivedPackets = 0.0
    package var sentBits = 0.0, receivedBits = 0.0
    /// Share of 1.
    package var loss = 0.0
    /// One-way delay of this second, milliseconds; nil: nothing was stamped.
    package var delayP50: Double?, delayP99: Double?
    /// Cores; nil: the server isn't on this machine.
    package var serverCores: Double?
    package var serverBytes: UInt64?
    package var toolCores = 0.0

    package init() {}
}

/// Counters at one moment.
package struct Snapshot: Sendable {
    package var ns: UInt64 = 0
    package var counts = PacketCounts()
    package var delay = Histogram()
    package var server: ProcessUsage?
    package var tool = ProcessUsage()

    package init() {}

    package static func take(_ loops: PacketLoops, server: ProcessProbe?) -> Snapshot {
        var snapshot = Snapshot()
        snapshot.ns = monotonicNs()
        snapshot.counts = loops.counts()
        snapshot.delay = loops.histogram(.delayAudio) + loops.histogram(.delayVideo)
        snapshot.server = server?.read()
        snapshot.tool = ProcessProbe.own.read() ?? ProcessUsage()
        return snapshot
    }

    /// What happened since an earlier one.
    package func sample(since earlier: Snapshot) -> Sample {
        var sample = Sample()
        let seconds = max(1e-6, Double(ns &- earlier.ns) / 1e9)
        func rate(_ path: KeyPath<PacketCounts, UInt64>) -> Double {
            let (now, before) = (counts[keyPath: path], earlier.counts[keyPath: path])
            return Double(now &- min(now, before)) / seconds
        }
        sample.sentPackets = rate(\.sentPackets)
        sample.receivedPackets = rate(\.receivedPackets)
        sample.sentBits = rate(\.sentBytes) * 8
        sample.receivedBits = rate(\.receivedBytes) * 8
        let lost = rate(\.lost)
        let expected = rate(\.slotPackets) + lost
        sample.loss = expected > 0 ? lost / expected : 0
        let delays = delay - earlier.delay
        sample.delayP50 = delays.quantile(0.5).map { $0 / 1e6 }
        sample.delayP99 = delays.quantile(0.99).map { $0 / 1e6 }
        if let server, let before = earlier.server {
            sample.serverCores = max(0, server.total - before.total) / seconds
            sample.serverBytes = server.residentBytes
        }
        sample.toolCores = max(0, tool.total - earlier.tool.total) / seconds
        return sample
    }
}
