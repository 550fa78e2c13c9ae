// The report for a terminal, and its JSON form. SPDX-License-Identifier: Apache-2.0

import Foundation

extension LoadReport {
    /// As the file of `--json` has it.
    package func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}

package struct TextReport {
    private let report: LoadReport

    package init(_ report: LoadReport) { self.report = report }

    package var text: String {
        let rows = rows
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { name, value in
            name + String(repeating: " ", count: width - name.count + 2) + value
        }.joined(separator: "\n") + "\n"
    }

    /// Name and value of each line.
    var rows: [(String, String)] {
        var rows: [(String, String)] = [("scenario", scenario), ("joins", joins)]
        if report.feeds.wanted > 0 { rows.append(("subscriptions", feeds)) }
        if report.first_packet_ms.count > 0 { rows.append(("after subscribing", firsts)) }
        rows.append(("packets", packets))
        rows.append(("rates", rates))
        rows.append(("loss", loss))
        rows.append(("one-way delay", delay))
        if let server = report.server { rows.append(("server", describe(server))) }
        rows.append(("tool", tool))
        for (reason, count) in report.join_ms.failures.sorted(by: { $0.key < $1.key }) {
            rows.append(("join failed", "\(count)× \(reason)"))
        }
        for (reason, count) in report.losses.sorted(by: { $0.key < $1.key }) {
            rows.append(("trouble", "\(count)× \(reason)"))
        }
        rows.append(("verdict", verdict))
        return rows
    }

    private var scenario: String {
        let scenario = report.scenario
        var text = "\(scenario.meetings) × \(scenario.participants) participants, "
            + "\(scenario.publishers) publish \(scenario.media), up to \(scenario.feeds) feeds"
        if scenario.layers > 1 { text += ", \(scenario.layers) layers" }
        if let churn = scenario.churn_s { text += ", remap each \(decimal(churn, 1)) s" }
        return text + ", \(decimal(report.window_s, 1)) s"
            + (report.interrupted ? " (ended early)" : "")
    }

    private var joins: String {
        let joins = report.join_ms
        return "\(joins.count) ok, \(joins.failed) failed; p50 \(decimal(joins.p50, 0)) ms, p99 "
            + "\(decimal(joins.p99, 0)) ms (grant \(decimal(joins.grant_p50, 0)), enter "
            + "\(decimal(joins.enter_p50, 0)), negotiate \(decimal(joins.negotiate_p50, 0)), "
            + "connect \(decimal(joins.connect_p50, 0)))"
    }

    private var feeds: String {
        var text = "\(report.feeds.bound) of \(report.feeds.wanted) carried"
        if report.feeds.without_frame > 0 {
            text += ", \(report.feeds.without_frame) without frame"
        }
        if report.feeds.remaps > 0 { text += "; \(report.feeds.remaps) remaps" }
        return text
    }

    private var firsts: String {
        let (packet, frame) = (report.first_packet_ms, report.first_frame_ms)
        return "packet p50 \(decimal(packet.p50, 1)) ms, p99 \(decimal(packet.p99, 1)) ms; "
            + "whole frame p50 \(decimal(frame.p50, 1)) ms, p99 \(decimal(frame.p99, 1)) ms"
    }

    private var packets: String {
        let packets = report.packets
        return "\(packets.received) received, \(packets.lost) lost, "
            + "\(packets.recovered) recovered, \(packets.reordered) reordered, "
            + "\(packets.duplicate) duplicate; \(packets.sent) sent"
    }

    private var rates: String {
        "in \(decimal(report.packets_per_second_in, 0)) packets/s, "
            + "\(rate(report.bits_per_second_in)); out "
            + "\(decimal(report.packets_per_second_out, 0)) packets/s, "
            + rate(report.bits_per_second_out)
    }

    private var loss: String {
        let (audio, video) = (report.audio, report.video)
        func share(_ media: LoadReport.Media) -> String {
            percent(media.expected > 0 ? Double(media.lost) / Double(media.expected) : 0)
        }
        return percent(report.loss)
            + (report.loss > 0 ? ": audio \(share(audio)), video \(share(video))" : "")
            + (report.packets.impaired > 0
                ? " (\(report.packets.impaired) datagrams dropped on purpose)" : "")
    }

    private var delay: String {
        let delay = report.one_way_us
        guard delay.count > 0 else { return "not measured" }
        func ms(_ microseconds: Double) -> String { decimal(microseconds / 1000, 2) }
        return "p50 \(ms(delay.p50)) ms, p90 \(ms(delay.p90)) ms, p99 \(ms(delay.p99)) ms, max "
            + "\(ms(delay.max)) ms"
    }

    private func describe(_ server: LoadReport.Server) -> String {
        "\(decimal(server.cores, 2)) cores, \(decimal(server.cpu_ns_per_packet, 0)) ns a packet; "
            + "RSS \(decimal(Double(server.rss_end_bytes) / 1_048_576, 0)) MiB"
    }

    private var tool: String {
        let tool = report.tool
        return "\(decimal(tool.cores, 2)) cores, "
            + "busiest thread \(percent(tool.busiest_thread)); lag p99 "
            + "\(decimal(tool.lag_p99_us / 1000, 2)) ms, max "
            + "\(decimal(tool.lag_max_us / 1000, 2)) ms"
    }

    private var verdict: String {
        guard report.valid else {
            return "INVALID: " + report.invalid_reasons.joined(separator: "; ")
        }
        guard report.thresholds_passed else {
            return "FAILED: " + report.threshold_failures.joined(separator: "; ")
        }
        return "valid, within all thresholds"
    }
}
