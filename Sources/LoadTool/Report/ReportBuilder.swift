// Makes the report from what was counted. SPDX-License-Identifier: Apache-2.0

/// Everything that a run gathers.
package struct RunRecord: Sendable {
    package var begin = Snapshot(), end = Snapshot()
    /// Lost packets when stragglers had had their time.
    package var settledLost: UInt64 = 0
    package var samples: [Sample] = []
    package var joins: [JoinTimes] = []
    package var failures: [String: Int] = [:]
    package var feeds = FeedState()
    package var remaps = 0
    package var firstPacket = Histogram(), firstFrame = Histogram()
    package var delayAudio = Histogram(), delayVideo = Histogram()
    package var tickLag = Histogram(), receiveLag = Histogram()
    package var losses: [String: Int] = [:]
    package var serverPID: Int32?
    package var isInterrupted = false

    package init() {}
}

package struct ReportBuilder: Sendable {
    private let options: LoadOptions
    private let record: RunRecord

    package init(_ options: LoadOptions, _ record: RunRecord) {
        self.options = options
        self.record = record
    }

    package func build() -> LoadReport {
        var report = LoadReport()
        report.scenario = scenario()
        report.interrupted = record.isInterrupted
        report.window_s = seconds
        report.packets = packets()
        report.audio = media(\.audio)
        report.video = media(\.video)
        let packets = report.packets
        report.loss = packets.expected > 0 ? Double(packets.lost) / Double(packets.expected) : 0
        report.bytes_sent = difference(\.sentBytes)
        report.bytes_received = difference(\.receivedBytes)
        report.packets_per_second_in = Double(packets.received) / seconds
        report.packets_per_second_out = Double(packets.sent) / seconds
        report.bits_per_second_in = Double(report.bytes_received) * 8 / seconds
        report.bits_per_second_out = Double(report.bytes_sent) * 8 / seconds
        report.one_way_us = Percentiles(record.delayAudio + record.delayVideo, unit: 1000)
        report.one_way_audio_us = Percentiles(record.delayAudio, unit: 1000)
        report.one_way_video_us = Percentiles(record.delayVideo, unit: 1000)
        report.first_packet_ms = Percentiles(record.firstPacket, unit: 1e6)
        report.first_frame_ms = Percentiles(record.firstFrame, unit: 1e6)
        report.join_ms = joins()
        report.feeds.wanted = record.feeds.wanted
        report.feeds.bound = record.feeds.bound
        report.feeds.without_frame = record.end.counts.markedSlots
        report.feeds.remaps = record.remaps
        report.server = server(received: packets.received)
        report.tool = tool()
        report.losses = record.losses
        report.series = record.samples.map(point)
        judge(&report)
        return report
    }

    private func judge(_ report: inout LoadReport) {
        report.invalid_reasons = ToolBounds().faults(report.tool, joins: report.join_ms)
        report.valid = report.invalid_reasons.isEmpty
        report.threshold_failures = Thresholds(
            loss: options.maxLoss, p99Milliseconds: options.maxP99Milliseconds
        ).failures(report)
        report.thresholds_passed = report.threshold_failures.isEmpty
    }

    private var seconds: Double {
        max(1e-6, Double(record.end.ns &- min(record.end.ns, record.begin.ns)) / 1e9)
    }

    private func difference(_ path: KeyPath<PacketCounts, UInt64>) -> UInt64 {
        let (end, begin) = (record.end.counts[keyPath: path], record.begin.counts[keyPath: path])
        return end &- min(end, begin)
    }

    private func scenario() -> LoadReport.Scenario {
        var scenario = LoadReport.Scenario()
        scenario.url = options.url
        scenario.media = options.media.description
        scenario.decrypt = options.decrypt.description
        scenario.meetings = options.meetings
        scenario.participants = options.participants
        scenario.publishers = options.publisherCount
        scenario.feeds = options.feeds
        scenario.layers = options.layers
        scenario.threads = options.threads
        scenario.loss = options.loss
        scenario.churn_s = options.churn
        scenario.seed = options.seed
        return scenario
    }

    private func packets() -> LoadReport.Packets {
        var packets = LoadReport.Packets()
        packets.sent = difference(\.sentPackets)
        packets.received = difference(\.slotPackets)
        let lost = min(record.end.counts.lost, record.settledLost)
        packets.lost = lost &- min(lost, record.begin.counts.lost)
        packets.expected = packets.received + packets.lost
        packets.recovered = difference(\.recovered)
        packets.reordered = difference(\.reordered)
        packets.duplicate = difference(\.duplicates)
        packets.decrypted = difference(\.decrypted)
        packets.unauthentic = difference(\.unauthentic)
        packets.unknown = difference(\.unknown)
        packets.malformed = difference(\.malformed)
        packets.impaired = difference(\.impairedIn) + difference(\.impairedOut)
        packets.nacks_sent = difference(\.nacksSent)
        packets.nacks_received = difference(\.nacksReceived)
        packets.resent = difference(\.resentPackets)
        packets.keyframe_requests = difference(\.keyframeRequests)
        return packets
    }

    private func media(_ path: KeyPath<PacketCounts, MediaTotals>) -> LoadReport.Media {
        let end = record.end.counts[keyPath: path], begin = record.begin.counts[keyPath: path]
        var media = LoadReport.Media()
        media.sent = end.sentPackets &- begin.sentPackets
        media.received = end.packets &- begin.packets
        media.lost = end.lost &- min(end.lost, begin.lost)
        media.expected = media.received + media.lost
        media.recovered = end.recovered &- begin.recovered
        media.frames = end.frames &- begin.frames
        return media
    }

    private func joins() -> LoadReport.Joins {
        var joins = LoadReport.Joins()
        let total = Percentiles(record.joins.map(\.total))
        joins.count = total.count
        (joins.p50, joins.p90, joins.p99, joins.max) = (total.p50, total.p90, total.p99, total.max)
        joins.grant_p50 = Percentiles(record.joins.map(\.grant)).p50
        joins.enter_p50 = Percentiles(record.joins.map(\.enter)).p50
        joins.negotiate_p50 = Percentiles(record.joins.map(\.negotiate)).p50
        joins.connect_p50 = Percentiles(record.joins.map(\.connect)).p50
        joins.failed = record.failures.values.reduce(0, +)
        joins.failures = record.failures
        return joins
    }

    private func server(received: UInt64) -> LoadReport.Server? {
        guard let pid = record.serverPID, let begin = record.begin.server,
            let end = record.end.server
        else { return nil }
        var server = LoadReport.Server()
        server.pid = pid
        server.cpu_user_s = end.user - begin.user
        server.cpu_system_s = end.system - begin.system
        let total = end.total - begin.total
        server.cores = total / seconds
        server.cpu_ns_per_packet = received > 0 ? total * 1e9 / Double(received) : 0
        server.rss_begin_bytes = begin.residentBytes
        server.rss_end_bytes = end.residentBytes
        server.rss_max_bytes = record.samples.filter(\.isMeasured).compactMap(\.serverBytes)
            .reduce(max(begin.residentBytes, end.residentBytes), max)
        return server
    }

    private func tool() -> LoadReport.Tool {
        var tool = LoadReport.Tool()
        tool.cpu_s = record.end.tool.total - record.begin.tool.total
        tool.cores = tool.cpu_s / seconds
        let threads = zip(record.end.counts.threadCpuNs, record.begin.counts.threadCpuNs)
        tool.busiest_thread = threads.map { Double($0 &- min($0, $1)) / 1e9 / seconds }.max() ?? 0
        tool.lag_p50_us = (record.tickLag.quantile(0.5) ?? 0) / 1000
        tool.lag_p99_us = (record.tickLag.quantile(0.99) ?? 0) / 1000
        tool.lag_max_us = Double(record.end.counts.tickLagMaxNs) / 1000
        tool.receive_lag_p99_us = (record.receiveLag.quantile(0.99) ?? 0) / 1000
        tool.kernel_drops = difference(\.kernelDrops)
        tool.send_errors = difference(\.sendErrors)
        tool.send_would_block = difference(\.sendWouldBlock)
        tool.skipped_frames = difference(\.skippedFrames)
        tool.refused_commands = record.end.counts.refusedCommands
        let messages = difference(\.receivedMessages)
        tool.datagrams_per_receive =
            messages > 0 ? Double(difference(\.receivedDatagrams)) / Double(messages) : 0
        tool.segmentation = record.end.counts.isSegmenting
        return tool
    }

    private func point(_ sample: Sample) -> LoadReport.Point {
        var point = LoadReport.Point()
        point.t = sample.at
        point.sent_pps = sample.sentPackets
        point.received_pps = sample.receivedPackets
        point.sent_bps = sample.sentBits
        point.received_bps = sample.receivedBits
        point.loss = sample.loss
        point.tool_cores = sample.toolCores
        point.delay_p50_ms = sample.delayP50
        point.delay_p99_ms = sample.delayP99
        point.server_cores = sample.serverCores
        point.server_rss_bytes = sample.serverBytes
        point.joined = sample.joined
        point.measured = sample.isMeasured
        return point
    }
}

extension MediaChoice: CustomStringConvertible {
    public var description: String {
        switch self {
        case .synthetic(.gallery): "gallery"
        case .synthetic(.stage): "stage"
        case .synthetic(let shape): "synthetic \(shape)"
        case .vp8: "vp8"
        case .vp9: "vp9"
        case .files(let files): "file:" + files.joined(separator: ",")
        }
    }
}
