// A backend for swift-metrics that keeps everything in memory for Prometheus to read.
// SPDX-License-Identifier: Apache-2.0
public import Metrics
import Synchronization

/// Holds counters, gauges and histograms by name and labels. One per process.
public final class MetricsRegistry: MetricsFactory, Sendable {
    public static let shared = MetricsRegistry()

    struct Key: Hashable, Sendable {
        let name: String
        let labels: [String]
    }
    private struct State {
        var counters: [Key: MetricCounter] = [:]
        var gauges: [Key: MetricGauge] = [:]
        var histograms: [Key: MetricHistogram] = [:]
        var collectors: [@Sendable (inout PrometheusWriter) -> Void] = []
    }
    private let state = Mutex(State())
    /// Label sets of one kind of metric; more are all counted in one that is not shown.
    private let seriesMax = 10_000

    public init() {}

    /// Adds values that are read when somebody asks for the metrics.
    public func addCollector(_ collector: @escaping @Sendable (inout PrometheusWriter) -> Void) {
        state.withLock { $0.collectors.append(collector) }
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    public func exposition() -> String {
        let snapshot = state.withLock { $0 }
        var writer = PrometheusWriter()
        for (key, counter) in snapshot.counters {
            writer.counter(key.name, counter.value, labels: key.pairs)
        }
        for (key, gauge) in snapshot.gauges {
            writer.gauge(key.name, gauge.value, labels: key.pairs)
        }
        for (key, histogram) in snapshot.histograms {
            writer.histogram(key.name, histogram.buckets, labels: key.pairs)
        }
        for collector in snapshot.collectors { collector(&writer) }
        return writer.text
    }

    private func find<Handler>(
        _ label: String, _ dimensions: [(String, String)],
        in path: any WritableKeyPath<State, [Key: Handler]> & Sendable,
        make: @Sendable () -> Handler
    ) -> Handler where Handler: Sendable {
        let key = Key(name: label, labels: dimensions.flatMap { [$0.0, $0.1] })
        return state.withLock { state in
            if let known = state[keyPath: path][key] { return known }
            let handler = make()
            if state[keyPath: path].count < seriesMax { state[keyPath: path][key] = handler }
            return handler
        }
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        find(label, dimensions, in: \.counters) { MetricCounter() }
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        find(label, dimensions, in: \.counters) { MetricCounter() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        find(label, dimensions, in: \.gauges) { MetricGauge() }
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            return find(label, dimensions, in: \.histograms) {
                MetricHistogram(bounds: MetricHistogram.sizes, scale: 1)
            }
        }
        return find(label, dimensions, in: \.gauges) { MetricGauge() }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        find(label, dimensions, in: \.histograms) {
            MetricHistogram(bounds: MetricHistogram.seconds, scale: 1e-9)
        }
    }

    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    public func destroyMeter(_ handler: any MeterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    public func destroyTimer(_ handler: any TimerHandler) {}
}

extension MetricsRegistry.Key {
    var pairs: [(String, String)] {
        stride(from: 0, to: labels.count, by: 2).map { (labels[$0], labels[$0 + 1]) }
    }
}

/// A sum that only grows, except when it is reset.
final class MetricCounter: CounterHandler, FloatingPointCounterHandler, Sendable {
    private let sum = Mutex(0.0)
    var value: Double { sum.withLock { $0 } }
    func increment(by amount: Int64) { increment(by: Double(amount)) }
    func increment(by amount: Double) { sum.withLock { $0 += amount } }
    func reset() { sum.withLock { $0 = 0 } }
}

/// A value that goes up and down.
final class MetricGauge: MeterHandler, RecorderHandler, Sendable {
    private let current = Mutex(0.0)
    var value: Double { current.withLock { $0 } }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { current.withLock { $0 = value } }
    func increment(by amount: Double) { current.withLock { $0 += amount } }
    func decrement(by amount: Double) { current.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }
}

/// Counts observations by size. 16 to 20 buckets.
final class MetricHistogram: TimerHandler, RecorderHandler, Sendable {
    /// Upper bounds of durations, in seconds.
    static let seconds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
    /// Upper bounds of sizes and counts.
    static let sizes: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
    ]
    private let state: Mutex<PrometheusWriter.Buckets>
    private let scale: Double

    init(bounds: [Double], scale: Double) {
        state = Mutex(
            PrometheusWriter.Buckets(
                bounds: bounds, counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
        self.scale = scale
    }

    var buckets: PrometheusWriter.Buckets { state.withLock { $0 } }
    func recordNanoseconds(_ duration: Int64) { observe(Double(duration) * scale) }
    func record(_ value: Int64) { observe(Double(value) * scale) }
    func record(_ value: Double) { observe(value * scale) }

    private func observe(_ value: Double) {
        state.withLock { state in
            let index = state.bounds.firstIndex { value <= $0 } ?? state.bounds.count
            state.counts[index] += 1
            state.sum += value
        }
    }
}
