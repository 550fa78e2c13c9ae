// Looks at everything each second and tells the console. SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Samples of a run while it goes on. Any thread.
final class Watch: Sendable {
    private struct State {
        var joined: Set<Place> = []
        var samples: [Sample] = []
        var previous = Snapshot()
        var phase = ""
        var isMeasured = false
    }

    private let context: LoadContext
    private let console: LoadConsole
    private let server: ProcessProbe?
    private let beginNs = monotonicNs()
    private let state = Mutex(State())

    init(_ context: LoadContext, _ console: LoadConsole) {
        self.context = context
        self.console = console
        server = Self.findServer(context.options)
        let first = Snapshot.take(context.loops, server: server)
        state.withLock { $0.previous = first }
    }

    private static func findServer(_ options: LoadOptions) -> ProcessProbe? {
        if let pid = options.serverPID { return ProcessProbe(pid: pid) }
        guard let url = LoadURL(options.url),
            url.host == "localhost" || url.host == "::1" || url.host.hasPrefix("127.")
        else { return nil }
        return ProcessProbe.listening(onPort: url.port)
    }

    var joined: Set<Place> { state.withLock { $0.joined } }
    var samples: [Sample] { state.withLock { $0.samples } }
    /// nil also when there is no such process.
    var serverPID: Int32? { server?.read() == nil ? nil : server?.pid }

    func join(_ place: Place) { _ = state.withLock { $0.joined.insert(place) } }

    func phase(_ name: String) {
        console.line("phase \(name)")
        state.withLock { $0.phase = name }
    }

    /// The edges of the window; each is told as a line of its own, for those who measure along.
    func beginWindow() -> Snapshot {
        let snapshot = Snapshot.take(context.loops, server: server)
        console.line("phase measuring")
        state.withLock { state in
            state.phase = "measuring"
            state.isMeasured = true
            state.previous = snapshot
        }
        return snapshot
    }

    func endWindow() -> Snapshot {
        let snapshot = Snapshot.take(context.loops, server: server)
        console.line("phase done")
        state.withLock { state in
            state.phase = "leaving"
            state.isMeasured = false
        }
        return snapshot
    }

    /// Until cancelled.
    func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            if Task.isCancelled { return }
            let snapshot = Snapshot.take(context.loops, server: server)
            let (sample, phase) = state.withLock { state in
                var sample = snapshot.sample(since: state.previous)
                sample.at = Double(snapshot.ns &- beginNs) / 1e9
                sample.isMeasured = state.isMeasured
                sample.joined = state.joined.count
                state.previous = snapshot
                state.samples.append(sample)
                return (sample, state.phase)
            }
            console.show(Self.text(sample, phase))
        }
    }

    private static func text(_ sample: Sample, _ phase: String) -> String {
        var parts = [
            "\(decimal(sample.at, 0)) s \(phase)", "\(sample.joined) joined",
            "in \(decimal(sample.receivedPackets, 0))/s \(rate(sample.receivedBits))",
            "out \(decimal(sample.sentPackets, 0))/s", "loss \(percent(sample.loss))",
        ]
        if let p99 = sample.delayP99 { parts.append("delay p99 \(decimal(p99, 1)) ms") }
        if let cores = sample.serverCores { parts.append("server \(decimal(cores, 2)) cores") }
        parts.append("tool \(decimal(sample.toolCores, 2)) cores")
        return parts.joined(separator: " · ")
    }
}

/// bit/s with a fitting unit.
func rate(_ bits: Double) -> String {
    bits >= 1e9 ? "\(decimal(bits / 1e9, 2)) Gbit/s"
        : bits >= 1e6 ? "\(decimal(bits / 1e6, 1)) Mbit/s" : "\(decimal(bits / 1e3, 0)) kbit/s"
}
