// Statistics, verdict and report of the load tool. SPDX-License-Identifier: Apache-2.0

import Foundation
import LoadTool
import Testing

@Suite struct StatisticsTests {
    @Test func percentilesAreNearestRanks() {
        let all = Percentiles((1...100).map(Double.init).shuffled())
        #expect((all.p50, all.p90, all.p99, all.max) == (50, 90, 99, 100))
        #expect(Percentiles([3]).p99 == 3)
        #expect(Percentiles([]).count == 0)
    }

    @Test(arguments: [
        (0.0, 2, "0.00"), (1.005, 1, "1.0"), (12.345, 2, "12.35"), (-1.5, 0, "-2"),
        (0.999, 2, "1.00"), (-0.001, 2, "0.00"), (1234567, 0, "1234567"), (.infinity, 1, "–"),
    ])
    func numbers(value: Double, digits: Int, text: String) {
        #expect(decimal(value, digits) == text)
    }

    @Test func processTimes() throws {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 100 1000 10"
        let usage = try #require(
            ProcessProbe.parse(
                stat: stat, statm: "900 25 3 1 0 2 0", ticksPerSecond: 100, pageBytes: 4096))
        #expect((usage.user, usage.system) == (1.5, 0.5))
        #expect(usage.residentBytes == 25 * 4096)
        #expect(
            ProcessProbe.parse(stat: "42 (x) S", statm: "", ticksPerSecond: 1, pageBytes: 1) == nil)
        #expect(ProcessProbe.own.read() != nil)
    }

    @Test func listeningPortsAreFoundInTheKernelsTable() {
        let table = """
            sl local_address rem_address st queues timer retrnsmt uid timeout inode
            0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 777 1
            1: 0100007F:1F90 0100007F:9999 01 0:0 0:0 0 0 0 778 1
            2: 0100007F:1F91 00000000:0000 0A 0:0 0:0 0 0 0 779 1
            """
        #expect(ProcessProbe.listeners(in: table, port: 8080) == ["777"])
    }
}

@Suite struct VerdictTests {
    private func joined(_ count: Int) -> LoadReport.Joins {
        var joins = LoadReport.Joins()
        joins.count = count
        return joins
    }

    @Test func aCalmToolIsValid() {
        #expect(ToolBounds().faults(LoadReport.Tool(), joins: joined(1)).isEmpty)
    }

    @Test(arguments: [
        ("late", { @Sendable (tool: inout LoadReport.Tool) in tool.lag_p99_us = 10_001 }),
        ("dropped", { tool in tool.kernel_drops = 1 }),
        ("--threads", { tool in tool.busiest_thread = 0.91 }),
        ("frames", { tool in tool.skipped_frames = 1 }),
        ("kernel", { tool in tool.send_would_block = 1 }),
        ("refused", { tool in tool.refused_commands = 1 }),
    ] as [(String, @Sendable (inout LoadReport.Tool) -> Void)])
    func aBottleneckMakesItInvalid(
        word: String, change: @Sendable (inout LoadReport.Tool) -> Void
    ) {
        var tool = LoadReport.Tool()
        change(&tool)
        let faults = ToolBounds().faults(tool, joins: joined(1))
        #expect(faults.count == 1)
        #expect(faults.first?.contains(word) == true, "\(faults)")
    }

    private func sound() -> LoadReport {
        var report = LoadReport()
        report.join_ms = joined(2)
        report.packets.sent = 10
        report.packets.received = 10
        report.packets.expected = 10
        report.feeds.wanted = 2
        report.feeds.bound = 2
        report.one_way_us.count = 5
        report.one_way_us.p99 = 4000
        return report
    }

    @Test func thresholds() {
        let report = sound()
        #expect(Thresholds().failures(report).isEmpty)
        #expect(Thresholds(loss: 0, p99Milliseconds: 4).failures(report).isEmpty)
        #expect(Thresholds(p99Milliseconds: 3.9).failures(report).count == 1)
        var lossy = report
        lossy.loss = 0.02
        #expect(Thresholds(loss: 0.02).failures(lossy).isEmpty)
        #expect(Thresholds(loss: 0.01).failures(lossy).count == 1)
        #expect(Thresholds().failures(lossy).isEmpty)
    }

    @Test func whatNobodyAskedForFailsToo() {
        var failed = sound()
        failed.join_ms.failed = 1
        #expect(Thresholds().failures(failed).count == 1)
        var unbound = sound()
        unbound.feeds.bound = 1
        #expect(Thresholds().failures(unbound).count == 1)
        var silent = sound()
        silent.packets.received = 0
        #expect(Thresholds().failures(silent).count == 1)
        var blind = sound()
        blind.one_way_us.count = 0
        #expect(Thresholds(p99Milliseconds: 1).failures(blind).count == 1)
    }

    @Test func statusTellsTheWorstFirst() {
        var report = sound()
        #expect(report.status == 0)
        report.thresholds_passed = false
        #expect(report.status == 1)
        report.valid = false
        #expect(report.status == 3)
    }
}

@Suite struct ReportTests {
    /// Ten measured seconds: 1000 packets a second in, one lost.
    private func record() -> RunRecord {
        var record = RunRecord()
        record.begin.ns = 5_000_000_000
        record.end.ns = 15_000_000_000
        record.begin.counts.video.packets = 100
        record.end.counts.video.packets = 10_099
        record.begin.counts.audio.lost = 3
        record.end.counts.audio.lost = 6
        record.settledLost = 4
        record.begin.counts.receivedBytes = 1000
        record.end.counts.receivedBytes = 1_251_000
        record.begin.counts.threadCpuNs = [1_000_000_000, 0]
        record.end.counts.threadCpuNs = [2_000_000_000, 5_000_000_000]
        var before = ProcessUsage()
        before.user = 1
        before.residentBytes = 100
        var after = before
        after.user = 3
        after.system = 0.5
        after.residentBytes = 90
        record.begin.server = before
        record.end.server = after
        record.serverPID = 7
        var times = JoinTimes()
        times.total = 12
        record.joins = [times]
        record.feeds = FeedState(wanted: 3, bound: 3)
        for second in 0..<4 {
            var sample = Sample()
            sample.at = Double(second)
            sample.isMeasured = second > 1
            sample.receivedPackets = Double(second) * 1000
            sample.serverBytes = second == 3 ? 200 : 100
            record.samples.append(sample)
        }
        return record
    }

    private var report: LoadReport { ReportBuilder(LoadOptions(), record()).build() }

    @Test func differencesOverTheWindow() throws {
        let report = report
        #expect(report.window_s == 10)
        #expect(report.packets.received == 9999)
        #expect(report.packets.lost == 1, "stragglers are no loss")
        #expect(report.packets.expected == 10_000)
        #expect(report.loss == 0.0001)
        #expect(report.bits_per_second_in == 1_000_000)
        #expect(report.join_ms.p99 == 12)
        #expect(report.tool.busiest_thread == 0.5)
        let server = try #require(report.server)
        #expect((server.cpu_user_s, server.cpu_system_s, server.cores) == (2, 0.5, 0.25))
        #expect((server.rss_begin_bytes, server.rss_max_bytes) == (100, 200))
        #expect(server.rss_end_bytes == 90)
        #expect(report.valid && report.status == 0)
    }

    @Test func jsonHasWhatBenchmarksRead() throws {
        let text = try report.json()
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let packets = try #require(object["packets"] as? [String: Any])
        #expect(packets["lost"] as? Int == 1)
        for key in ["valid", "invalid_reasons", "window_s", "one_way_us", "join_ms",
            "first_packet_ms", "first_frame_ms", "server", "tool", "series", "bytes_received"] {
            #expect(object[key] != nil, "\(key)")
        }
    }

    @Test func theTextNamesTheVerdict() {
        var report = report
        #expect(TextReport(report).text.contains("within all thresholds"))
        report.threshold_failures = ["too slow"]
        report.thresholds_passed = false
        #expect(TextReport(report).text.contains("FAILED: too slow"))
        report.valid = false
        report.invalid_reasons = ["too busy"]
        #expect(TextReport(report).text.contains("INVALID: too busy"))
    }

    @Test func thePageIsWholeAndEscaped() {
        var report = report
        report.losses = ["<script>alert(1)</script>": 1]
        let page = HtmlReport(report).text
        #expect(page.hasPrefix("<!DOCTYPE html>"))
        #expect(page.contains("<svg"))
        #expect(page.contains("prefers-color-scheme: dark"))
        #expect(!page.contains("<script>"))
        #expect(!page.contains("http"), "nothing from elsewhere")
    }

    @Test func plotsScaleAndLeaveGaps() {
        let plot = Plot(
            "Delay", unit: "ms", times: [0, 1, 2, 3],
            lines: [PlotLine("p50", [1, nil, 3, 4])], window: 1...2)
        #expect(!plot.isEmpty)
        #expect(plot.html.components(separatedBy: "class=\"line").count == 2)
        let path = plot.html.components(separatedBy: " d=\"").last ?? ""
        #expect(path.prefix { $0 != "\"" }.count { $0 == "M" } == 2)
        let blank = Plot(
            "Delay", unit: "ms", times: [0, 1], lines: [PlotLine("p50", [nil, nil])], window: nil)
        #expect(blank.isEmpty)
    }
}
