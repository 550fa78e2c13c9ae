// Whether a result says something about the server. SPDX-License-Identifier: Apache-2.0

/// Bounds within which the tool itself was not what limited the result.
package struct ToolBounds: Sendable {
    /// 99th percentile of how late a packet thread woke up.
    package var lagP99Us = 10_000.0
    /// CPU share of the busiest packet thread.
    package var threadShare = 0.9

    package init() {}

    /// Why the result is not one of the server; empty: it is.
    package func faults(_ tool: LoadReport.Tool, joins: LoadReport.Joins) -> [String] {
        var faults: [String] = []
        if tool.lag_p99_us > lagP99Us {
            faults.append(
                "the tool's packet threads woke up late: p99 \(ms(tool.lag_p99_us)) ms is above "
                    + "\(ms(lagP99Us)) ms")
        }
        if tool.kernel_drops > 0 {
            faults.append("the tool's own sockets dropped \(tool.kernel_drops) datagrams")
        }
        if tool.busiest_thread > threadShare {
            faults.append(
                "a packet thread of the tool used \(percent(tool.busiest_thread)) of a core; give "
                    + "it more --threads")
        }
        if tool.skipped_frames > 0 {
            faults.append("the tool came too late for \(tool.skipped_frames) of its own frames")
        }
        if tool.send_would_block + tool.send_errors > 0 {
            faults.append(
                "the kernel took \(tool.send_would_block + tool.send_errors) of the tool's "
                    + "datagrams not")
        }
        if tool.refused_commands > 0 {
            faults.append("the tool's packet threads refused \(tool.refused_commands) commands")
        }
        if joins.count == 0 { faults.append("nobody joined") }
        return faults
    }

    private func ms(_ microseconds: Double) -> String { decimal(microseconds / 1000, 1) }
}

/// What the user demands.
package struct Thresholds: Sendable {
    /// Share of 1.
    package var loss: Double?
    package var p99Milliseconds: Double?

    package init(loss: Double? = nil, p99Milliseconds: Double? = nil) {
        self.loss = loss
        self.p99Milliseconds = p99Milliseconds
    }

    /// What is not kept; empty: all is.
    package func failures(_ report: LoadReport) -> [String] {
        var failures: [String] = []
        if report.join_ms.failed > 0 {
            failures.append("\(report.join_ms.failed) joins failed")
        }
        if report.feeds.bound < report.feeds.wanted {
            failures.append(
                "\(report.feeds.wanted - report.feeds.bound) of \(report.feeds.wanted) "
                    + "subscriptions got no slot")
        }
        if report.packets.received == 0, report.packets.sent > 0, report.feeds.wanted > 0 {
            failures.append("nothing was received")
        }
        if let loss, report.loss > loss {
            failures.append("loss \(percent(report.loss)) is above \(percent(loss))")
        }
        if let p99Milliseconds {
            let found = report.one_way_us.p99 / 1000
            if report.one_way_us.count == 0 {
                failures.append("no delay was measured: --decrypt none, or nothing was received")
            } else if found > p99Milliseconds {
                failures.append(
                    "delay p99 \(decimal(found, 2)) ms is above \(decimal(p99Milliseconds, 2)) ms")
            }
        }
        return failures
    }
}

/// A number with so many digits after the point.
package func decimal(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "–" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = (abs(value) * scale).rounded()
    let whole = (rounded / scale).rounded(.down)
    let sign = value < 0 && rounded > 0 ? "-" : ""
    guard whole < 1e15 else { return "\(value)" }
    if digits == 0 { return sign + String(Int(whole)) }
    let rest = String(Int(rounded - whole * scale))
    let zeros = String(repeating: "0", count: max(0, digits - rest.count))
    return "\(sign)\(Int(whole)).\(zeros)\(rest)"
}

/// A share of 1, as a percentage.
package func percent(_ share: Double) -> String {
    share == 0 ? "0 %" : decimal(share * 100, share < 0.001 ? 4 : 2) + " %"
}
