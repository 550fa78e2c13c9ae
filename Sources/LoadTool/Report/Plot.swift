// Line plots as SVG. SPDX-License-Identifier: Apache-2.0

/// One line of a plot. Gaps where a value is nil.
package struct PlotLine: Sendable {
    package var name: String
    package var values: [Double?]

    package init(_ name: String, _ values: [Double?]) {
        self.name = name
        self.values = values
    }
}

/// A plot over seconds; colours come from the page's style.
package struct Plot: Sendable {
    static let width = 720.0, height = 220.0
    private static let left = 64.0, right = 12.0, top = 12.0, bottom = 28.0
    private static let steps = 4

    package var title: String
    package var unit: String
    package var times: [Double]
    package var lines: [PlotLine]
    /// Seconds that the report is about.
    package var window: ClosedRange<Double>?

    package init(
        _ title: String, unit: String, times: [Double], lines: [PlotLine],
        window: ClosedRange<Double>?
    ) {
        self.title = title
        self.unit = unit
        self.times = times
        self.lines = lines
        self.window = window
    }

    /// Nothing to draw.
    package var isEmpty: Bool {
        times.count < 2 || !lines.contains { $0.values.contains { $0 != nil } }
    }

    /// The figure; its title is its caption.
    package var html: String {
        guard let first = times.first, let last = times.last, last > first else { return "" }
        let peak = Self.ceiling(lines.flatMap(\.values).compactMap { $0 }.max() ?? 0)
        func x(_ time: Double) -> Double {
            Self.left + (time - first) / (last - first) * (Self.width - Self.left - Self.right)
        }
        func y(_ value: Double) -> Double {
            Self.height - Self.bottom
                - value / peak * (Self.height - Self.top - Self.bottom)
        }
        var svg = ""
        if let window {
            let (from, to) = (x(max(first, window.lowerBound)), x(min(last, window.upperBound)))
            svg += "<rect class=\"window\" x=\"\(point(from))\" y=\"\(point(Self.top))\" "
                + "width=\"\(point(max(0, to - from)))\" "
                + "height=\"\(point(Self.height - Self.top - Self.bottom))\"/>"
        }
        for step in 0...Self.steps {
            let value = peak * Double(step) / Double(Self.steps)
            svg += "<line class=\"grid\" x1=\"\(point(Self.left))\" "
                + "x2=\"\(point(Self.width - Self.right))\" "
                + "y1=\"\(point(y(value)))\" y2=\"\(point(y(value)))\"/>"
            svg += "<text class=\"axis\" x=\"\(point(Self.left - 6))\" "
                + "y=\"\(point(y(value) + 4))\" "
                + "text-anchor=\"end\">\(Self.short(value))</text>"
        }
        for step in 0...Self.steps {
            let time = first + (last - first) * Double(step) / Double(Self.steps)
            svg += "<text class=\"axis\" x=\"\(point(x(time)))\" y=\"\(point(Self.height - 8))\" "
                + "text-anchor=\"middle\">\(decimal(time, 0)) s</text>"
        }
        for (index, line) in lines.enumerated() {
            svg += "<path class=\"line c\(index % 4)\" d=\"\(path(line, x, y))\"/>"
        }
        return figure(svg)
    }

    private func figure(_ svg: String) -> String {
        let legend = lines.enumerated().map { index, line in
            "<span class=\"key c\(index % 4)\">\(escaped(line.name))</span>"
        }.joined(separator: " ")
        return "<figure><figcaption><b>\(escaped(title))</b> (\(escaped(unit))) \(legend)"
            + "</figcaption><svg viewBox=\"0 0 \(point(Self.width)) \(point(Self.height))\" "
            + "role=\"img\" aria-label=\"\(escaped(title))\">\(svg)</svg></figure>\n"
    }

    private func path(
        _ line: PlotLine, _ x: (Double) -> Double, _ y: (Double) -> Double
    ) -> String {
        var path = ""
        var isDown = false
        for (time, value) in zip(times, line.values) {
            guard let value else {
                isDown = false
                continue
            }
            path += "\(isDown ? "L" : "M")\(point(x(time))) \(point(y(value)))"
            isDown = true
        }
        return path
    }

    private func point(_ value: Double) -> String { decimal(value, 1) }

    /// The next of 1, 2, 2.5, 5 times a power of ten.
    static func ceiling(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        var scale = 1.0
        while scale * 10 <= value { scale *= 10 }
        while scale > value { scale /= 10 }
        return [1, 2, 2.5, 5, 10].map { $0 * scale }.first { $0 >= value } ?? value
    }

    /// A number on an axis.
    static func short(_ value: Double) -> String {
        if value >= 1e9 { return decimal(value / 1e9, 1) + " G" }
        if value >= 1e6 { return decimal(value / 1e6, 1) + " M" }
        if value >= 1e4 { return decimal(value / 1e3, 0) + " k" }
        if value >= 100 || value == value.rounded() { return decimal(value, 0) }
        return decimal(value, value >= 1 ? 1 : 3)
    }
}

/// For HTML.
func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
        switch character {
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "&": result += "&amp;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
    return result
}
