// The report as one page without anything from elsewhere. SPDX-License-Identifier: Apache-2.0

package struct HtmlReport {
    private let report: LoadReport

    package init(_ report: LoadReport) { self.report = report }

    package var text: String {
        let state = !report.valid ? "bad" : report.thresholds_passed ? "good" : "poor"
        let rows = TextReport(report).rows.map { name, value in
            let isVerdict = name == "verdict"
            return "<tr\(isVerdict ? " class=\"\(state)\"" : "")><th>\(escaped(name))</th>"
                + "<td>\(escaped(value))</td></tr>\n"
        }.joined()
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Roundhouse load: \(escaped(report.scenario.media))</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <h1>Roundhouse load</h1>
            <table>
            \(rows)</table>
            <p class="note">Shaded: the seconds that the numbers above are about.</p>
            \(plots.filter { !$0.isEmpty }.map(\.html).joined())</body>
            </html>

            """
    }

    private var plots: [Plot] {
        let series = report.series
        let times = series.map(\.t)
        let measured = series.filter(\.measured).map(\.t)
        let window = measured.first.flatMap { first in measured.last.map { first - 1...$0 } }
        func plot(_ title: String, _ unit: String, _ lines: [PlotLine]) -> Plot {
            Plot(title, unit: unit, times: times, lines: lines, window: window)
        }
        return [
            plot(
                "RTP packets", "a second", [
                    PlotLine("to participants", series.map(\.received_pps)),
                    PlotLine("from participants", series.map(\.sent_pps)),
                ]),
            plot(
                "Bitrate", "bit/s", [
                    PlotLine("to participants", series.map(\.received_bps)),
                    PlotLine("from participants", series.map(\.sent_bps)),
                ]),
            plot("Loss", "%", [PlotLine("of packets", series.map { $0.loss * 100 })]),
            plot(
                "One-way delay", "ms", [
                    PlotLine("p50", series.map(\.delay_p50_ms)),
                    PlotLine("p99", series.map(\.delay_p99_ms)),
                ]),
            plot(
                "CPU", "cores", [
                    PlotLine("server", series.map(\.server_cores)),
                    PlotLine("load tool", series.map(\.tool_cores)),
                ]),
            plot(
                "Memory of the server", "MiB", [
                    PlotLine("resident", series.map(\.server_rss_bytes).map(Self.mebibytes))
                ]),
            plot("Participants", "joined", [PlotLine("joined", series.map { Double($0.joined) })]),
        ]
    }

    private static func mebibytes(_ bytes: UInt64?) -> Double? {
        bytes.map { Double($0) / 1_048_576 }
    }

    private static let style = """
        :root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --soft: #667; \
        --grid: #dde; --shade: #eef2f8; --c0: #1766c0; --c1: #c2570c; --c2: #2b8a3e; --c3: #9c36b5 }
        @media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #e6e7ea; \
        --soft: #9aa3b2; --grid: #343842; --shade: #20242c; --c0: #6cb0ff; --c1: #ffa05c; \
        --c2: #7bd88f; --c3: #d8a3f0 } }
        body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; \
        max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
        table { border-collapse: collapse; width: 100% }
        th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; \
        border-bottom: 1px solid var(--grid) }
        th { white-space: nowrap; font-weight: 600 }
        .good td { color: var(--c2) } .poor td, .bad td { color: var(--c1); font-weight: 600 }
        figure { margin: 1.5rem 0 } svg { width: 100%; height: auto }
        .note, .axis { color: var(--soft); fill: var(--soft); font-size: 12px }
        .grid { stroke: var(--grid) } .window { fill: var(--shade) }
        .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
        .line.c0 { stroke: var(--c0) } .line.c1 { stroke: var(--c1) }
        .line.c2 { stroke: var(--c2) } .line.c3 { stroke: var(--c3) }
        .key { margin-left: .75rem } .key::before { content: "— "; font-weight: 700 }
        .key.c0::before { color: var(--c0) } .key.c1::before { color: var(--c1) }
        .key.c2::before { color: var(--c2) } .key.c3::before { color: var(--c3) }
        """
}
