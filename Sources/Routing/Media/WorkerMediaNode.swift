// The workers of the media plane as a `MediaNode`.
// SPDX-License-Identifier: Apache-2.0

public import Logging
public import MediaPlane
import Signaling
import Synchronization

/// Names of the media plane's things, both ways. Owner: `WorkerMediaNode`.
final class MediaNames: Sendable {
    private struct Tables {
        var peers: [ParticipantID: MediaPeerID] = [:]
        var tracks: [TrackName: TrackID] = [:]
        var trackNames: [TrackID: TrackName] = [:]
        var slotMids: [SlotID: String] = [:]
        var nextPeer: UInt64 = 1
    }

    private let tables = Mutex(Tables())

    func addPeer(_ participant: ParticipantID) -> MediaPeerID {
        tables.withLock { tables in
            let id = MediaPeerID(tables.nextPeer)
            tables.nextPeer += 1
            tables.peers[participant] = id
            return id
        }
    }

    func removePeer(_ participant: ParticipantID, slots: [SlotID], tracks names: [TrackName]) {
        tables.withLock { tables in
            tables.peers[participant] = nil
            for slot in slots { tables.slotMids[slot] = nil }
            for name in names {
                if let track = tables.tracks.removeValue(forKey: name) {
                    tables.trackNames[track] = nil
                }
            }
        }
    }

    func set(_ name: TrackName, _ track: TrackID?) {
        tables.withLock { tables in
            if let old = tables.tracks[name] { tables.trackNames[old] = nil }
            tables.tracks[name] = track
            if let track { tables.trackNames[track] = name }
        }
    }

    func add(_ slot: SlotID, mid: String) { tables.withLock { $0.slotMids[slot] = mid } }
    func track(_ name: TrackName) -> TrackID? { tables.withLock { $0.tracks[name] } }
    func name(_ track: TrackID) -> TrackName? { tables.withLock { $0.trackNames[track] } }
    func peer(_ id: ParticipantID) -> MediaPeerID? { tables.withLock { $0.peers[id] } }
    func mid(_ slot: SlotID) -> String? { tables.withLock { $0.slotMids[slot] } }
}

/// The real media plane: one worker a core.
public final class WorkerMediaNode: MediaNode {
    private let pool: WorkerPool
    private let names = MediaNames()
    private let fingerprint: DTLSFingerprint
    public let news: AsyncStream<[(MediaPeerID, MediaNews)]>
    private let sink: AsyncStream<[(MediaPeerID, MediaNews)]>.Continuation
    private let reader = Mutex<Task<Void, Never>?>(nil)
    private let measured = Mutex(MediaMeasurements())
    private let clock = SystemClock()

    /// Binds the ports. Throws what `WorkerPool.init` throws.
    public init(_ configuration: WorkerPool.Configuration, logger: Logger) throws(MediaError) {
        pool = try WorkerPool(configuration, logger: logger)
        let print = pool.certificateFingerprint
        fingerprint = DTLSFingerprint(algorithm: print.algorithm.rawValue, bytes: print.bytes)
        // Bounded by the pool's own queue: this one only renames.
        (news, sink) = AsyncStream.makeStream()
    }

    public var ports: [UInt16] { pool.ports }

    public func start() async throws {
        try pool.start()
        let (events, names, sink) = (pool.events, names, sink)
        let task = Task {
            for await event in events {
                let batch = Self.translate(event, names)
                if !batch.isEmpty { sink.yield(batch) }
            }
            sink.finish()
        }
        reader.withLock { $0 = task }
    }

    public func stop() async {
        await pool.stop()
        sink.finish()
        reader.withLock { $0 }?.cancel()
    }

    public func makePeer(
        meeting: String, label: String
    ) async throws(MediaRefusal) -> any MediaPeer {
        do {
            let participant = try await pool.makeParticipant(
                ParticipantConfiguration(meeting: meeting, label: label))
            return WorkerMediaPeer(participant, names: names, fingerprint: fingerprint)
        } catch {
            throw MediaRefusal(error)
        }
    }

    public var load: Double {
        let loads = pool.loads()
        let pressures = loads.map { Placement.isFull($0) ? 1 : Placement.pressure($0) }
        return min(1, pressures.reduce(0, +) / Double(max(1, loads.count)))
    }

    public var hasRoom: Bool { pool.hasRoom }

    private static func translate(
        _ event: MediaEvent, _ names: MediaNames
    ) -> [(MediaPeerID, MediaNews)] {
        func about(_ id: ParticipantID, _ news: MediaNews) -> [(MediaPeerID, MediaNews)] {
            names.peer(id).map { [($0, news)] } ?? []
        }
        switch event {
        case .connected(let id): return about(id, .connected)
        case .disconnected(let id, let reason):
            return about(id, .disconnected(mayReturn: reason == .consentExpired))
        case .layers(let track, let reports):
            guard let name = names.name(track) else { return [] }
            let layers = reports.map {
                MeasuredLayer(rid: $0.rid, bitrate: $0.bitrate, isLive: $0.isLive)
            }
            return [(name.peer, .layers(mid: name.mid, layers))]
        case .slotLayer(let id, let slot, let layer, let bitrate):
            guard let mid = names.mid(slot) else { return [] }
            return about(id, .slotLayer(mid: mid, layer: layer, bitrate: bitrate))
        case .estimate(let id, let bitsPerSecond, let loss):
            return about(id, .estimate(bitsPerSecond: bitsPerSecond, loss: loss))
        case .audioLevels(let levels):
            return levels.compactMap { entry in
                names.name(entry.track).map {
                    ($0.peer, .audioLevel(mid: $0.mid, level: -entry.levelDBov))
                }
            }
        }
    }

    // MARK: Metrics

    public var cipher: String { WorkerPool.cipher }

    public func measure() async {
        let control = await pool.controlCounters()
        // Keeps the averages going.
        _ = pool.loads()
        let counters = pool.counters()
        let now = clock.now
        measured.withLock { $0.take(counters, control, now: now) }
    }

    public func metrics() -> [NodeMetric] {
        let counters = pool.counters()
        let measured = measured.withLock { $0 }
        let info = NodeMetric(
            "roundhouse_media_info", .gauge(1), labels: [("cipher", cipher)],
            help: "The backend that encrypts media.")
        let refusals = NodeMetric(
            "roundhouse_media_placement_refusals_total",
            .counter(Double(pool.placementRefusals)),
            help: "Participants for whom no worker had room.")
        let share = NodeMetric(
            "roundhouse_media_load_ratio", .gauge(load),
            help: "Share of the workers' capacity that is in use.")
        let room = NodeMetric(
            "roundhouse_media_has_room", .gauge(hasRoom ? 1 : 0),
            help: "Whether another participant would find a worker.")
        return [info, refusals, share, room]
            + counters.flatMap { MediaMetrics.metrics(of: $0) } + measured.metrics
    }
}

extension MediaRefusal {
    init(_ error: MediaError) {
        switch error {
        case .invalid(let reason): self.init(reason)
        case .full(let what): self.init("the node is full: \(what)")
        case .stale: self.init("the transport is gone")
        case .system(let code, let doing): self.init("\(doing) failed with error \(code)")
        case .cryptography(let reason): self.init(reason)
        }
    }
}
