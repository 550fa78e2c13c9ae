// The Prometheus text exposition format, version 0.0.4.
// SPDX-License-Identifier: Apache-2.0

/// Collects samples and writes them grouped by metric, as the format demands.
public struct PrometheusWriter: Sendable {
    private struct Family {
        let type: String
        let help: String
        var lines: [String] = []
    }
    private var families: [String: Family] = [:]

    public init() {}

    /// A value that only grows. `help` is one line about it.
    public mutating func counter(
        _ name: String, _ value: Double, labels: [(String, String)] = [], help: String = ""
    ) {
        add(name, type: "counter", help: help, [sample("", labels, value)])
    }

    /// A value that goes up and down.
    public mutating func gauge(
        _ name: String, _ value: Double, labels: [(String, String)] = [], help: String = ""
    ) {
        add(name, type: "gauge", help: help, [sample("", labels, value)])
    }

    /// Observations by size: `counts` has one element more than `bounds`, which are the upper
    /// bounds of the buckets in ascending order.
    public struct Buckets: Sendable {
        public var bounds: [Double]
        public var counts: [UInt64]
        public var sum: Double

        public init(bounds: [Double], counts: [UInt64], sum: Double) {
            self.bounds = bounds
            self.counts = counts
            self.sum = sum
        }
    }

    /// How observations are spread. `help` is one line about it.
    public mutating func histogram(
        _ name: String, _ value: Buckets, labels: [(String, String)] = [], help: String = ""
    ) {
        var lines: [Sample] = []
        var total: UInt64 = 0
        for (index, count) in value.counts.enumerated() {
            total += count
            let bound = index < value.bounds.count ? Self.text(value.bounds[index]) : "+Inf"
            lines.append(sample("_bucket", labels + [("le", bound)], Double(total)))
        }
        lines.append(sample("_sum", labels, value.sum))
        lines.append(sample("_count", labels, Double(total)))
        add(name, type: "histogram", help: help, lines)
    }

    /// The whole document.
    public var text: String {
        families.sorted { $0.key < $1.key }.map { name, family in
            let help = family.help.isEmpty ? "" : "# HELP \(name) \(family.help)\n"
            let lines = family.type == "histogram" ? family.lines : family.lines.sorted()
            return help + "# TYPE \(name) \(family.type)\n"
                + lines.map { $0 + "\n" }.joined()
        }.joined()
    }

    private typealias Sample = (suffix: String, rest: String)

    private func sample(_ suffix: String, _ labels: [(String, String)], _ value: Double) -> Sample {
        let pairs = labels.map { "\(Self.name($0.0))=\"\(Self.escaped($0.1))\"" }
        let braces = pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
        return (suffix, "\(braces) \(Self.text(value))")
    }

    private mutating func add(_ name: String, type: String, help: String, _ samples: [Sample]) {
        let name = Self.name(name)
        families[name, default: Family(type: type, help: help)].lines
            += samples.map { name + $0.suffix + $0.rest }
    }

    /// Whole numbers without a fraction.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return String(value)
    }

    /// Only letters, digits and underscores.
    private static func name(_ name: String) -> String {
        String(
            name.unicodeScalars.map { scalar in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
                default: "_"
                }
            })
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
