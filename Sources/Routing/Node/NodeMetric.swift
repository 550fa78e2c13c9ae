// One number about a node, as Prometheus wants it.
// SPDX-License-Identifier: Apache-2.0

public import ServiceKit

/// A metric with its value now. Names follow Prometheus' rules: base units, `_total` for what only
/// grows.
public struct NodeMetric: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        /// Only grows while the process lives.
        case counter(Double)
        case gauge(Double)
        /// `counts` has one element more than `bounds`, the upper bounds of the buckets.
        case histogram(bounds: [Double], counts: [UInt64], sum: Double)
    }

    public var name: String
    public var labels: [(String, String)]
    public var value: Value
    /// One line; "" for none.
    public var help: String

    public init(
        _ name: String, _ value: Value, labels: [(String, String)] = [], help: String = ""
    ) {
        self.name = name
        self.value = value
        self.labels = labels
        self.help = help
    }

    public static func == (a: NodeMetric, b: NodeMetric) -> Bool {
        a.name == b.name && a.value == b.value && a.labels.elementsEqual(b.labels, by: ==)
    }

    package func write(to writer: inout PrometheusWriter) {
        switch value {
        case .counter(let value): writer.counter(name, value, labels: labels, help: help)
        case .gauge(let value): writer.gauge(name, value, labels: labels, help: help)
        case .histogram(let bounds, let counts, let sum):
            let buckets = PrometheusWriter.Buckets(bounds: bounds, counts: counts, sum: sum)
            writer.histogram(name, buckets, labels: labels, help: help)
        }
    }
}
