// The worker: an actor on a libuv loop's thread. SPDX-License-Identifier: Apache-2.0

import CRouter
import Glibc
import Logging
import Synchronization

/// What all workers of a pool share.
struct WorkerShared: Sendable {
    let certificate: DtlsCertificate
    let queue: MediaEventQueue
    let logger: Logger
    let clock: NtpClock
    let directory = WorkerDirectory()
    let book: PlacementBook
    let mirrorLingerUs: UInt64

    init(
        certificate: DtlsCertificate, queue: MediaEventQueue, logger: Logger,
        book: PlacementBook, mirrorLingerUs: UInt64
    ) {
        self.book = book
        self.mirrorLingerUs = mirrorLingerUs
        self.certificate = certificate
        self.queue = queue
        self.logger = logger
        var wall = timespec()
        var monotonic = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        clock = NtpClock(unixUs: wall.microseconds, monotonicUs: monotonic.microseconds)
    }
}

extension timespec {
    fileprivate var microseconds: UInt64 {
        UInt64(max(0, tv_sec)) * 1_000_000 + UInt64(max(0, tv_nsec)) / 1000
    }
}

/// The workers by index; empty before the start and after the stop of their pool.
final class WorkerDirectory: Sendable {
    private let workers = Mutex<[Worker]>([])
    func set(_ all: [Worker]) { workers.withLock { $0 = all } }
    subscript(index: Int) -> Worker? {
        workers.withLock { $0.indices.contains(index) ? $0[index] : nil }
    }
}

/// One worker: its participants, tracks and slots, and every decision about them. Runs on its
/// loop's thread alone; `onBatch` is called there after each wake-up.
actor Worker {
    /// Time between ticks.
    static let tickUs: UInt32 = 10_000

    nonisolated let executor: LoopExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    nonisolated let index: Int
    nonisolated let shared: WorkerShared
    nonisolated let port: UInt16
    nonisolated let candidates: [Candidate]
    nonisolated var core: OpaquePointer { executor.handle }

    /// By handle of the packet path.
    var peers: [UInt32: Peer] = [:]
    var tracks: [UInt32: Track] = [:]
    var slots: [UInt32: Slot] = [:]
    var peersByUfrag: [UInt64: UInt32] = [:]
    /// Local mirrors of tracks on other workers, and those being made.
    var mirrors: [TrackID: UInt32] = [:]
    var mirrorsInMaking: [TrackID: Task<Bool, Never>] = [:]
    var control = ControlCounters()
    var stunLimit: StunRateLimit
    var schedule = TickSchedule()
    var arrivals: [rh_arrival]
    var isClosed = false

    private init(
        _ executor: LoopExecutor, index: Int, shared: WorkerShared,
        candidates: [Candidate], seed: UInt64
    ) {
        self.executor = executor
        self.index = index
        self.shared = shared
        self.candidates = candidates
        port = rh_worker_port(executor.handle)
        stunLimit = StunRateLimit(seed: seed, nowUs: rh_now_us(executor.handle))
        arrivals = [rh_arrival](repeating: rh_arrival(), count: 512)
        executor.worker = self
    }

    /// Makes the workers of a pool and their relays; sockets are bound, threads not yet started.
    static func makeAll(
        _ configuration: WorkerPool.Configuration, shared: WorkerShared
    ) throws(MediaError) -> [Worker] {
        guard (1...Int(RH_WORKERS_MAX)).contains(configuration.workers) else {
            throw .invalid("workers: 1 to \(RH_WORKERS_MAX)")
        }
        var workers: [Worker] = []
        for index in 0..<configuration.workers {
            workers.append(try make(configuration, index, shared))
        }
        for source in workers {
            for target in workers where target !== source {
                guard rh_worker_connect(source.core, target.core) == RH_OK else {
                    throw .full("relay rings between workers")
                }
            }
        }
        return workers
    }

    private static func make(
        _ configuration: WorkerPool.Configuration, _ index: Int, _ shared: WorkerShared
    ) throws(MediaError) -> Worker {
        let port = configuration.firstPort == 0 ? 0 : Int(configuration.firstPort) + index
        guard let port = UInt16(exactly: port) else { throw .invalid("ports beyond 65535") }
        var core = rh_worker_config()
        core.bind = rh_address(Endpoint(address: configuration.bind, port: port))
        core.index = UInt32(index)
        core.tick_us = tickUs
        core.peers_max = UInt32(clamping: configuration.participantsMax)
        core.tracks_max = UInt32(clamping: configuration.tracksMax)
        core.slots_max = UInt32(clamping: configuration.slotsMax)
        core.buffers_max = UInt32(clamping: configuration.buffersMax)
        core.socket_buffer_bytes = UInt32(clamping: configuration.socketBufferBytes)
        core.send_window_us = UInt32(clamping: configuration.sendWindowMicroseconds)
        core.padding_bytes_max = UInt32(clamping: configuration.paddingBytesMax)
        core.segmentation_off = !configuration.hasSegmentation
        core.coalescing_off = !configuration.hasReceiveCoalescing
        let executor = try LoopExecutor(core)
        let bound = rh_worker_port(executor.handle)
        return Worker(
            executor, index: index, shared: shared,
            candidates: candidates(configuration, port: bound),
            seed: UInt64.random(in: .min ... .max))
    }

    private static func candidates(
        _ configuration: WorkerPool.Configuration, port: UInt16
    ) -> [Candidate] {
        let own: IPAddress = configuration.bind.isAny ? .loopbackV4 : configuration.bind
        let announced = configuration.announced.isEmpty ? [own] : configuration.announced
        return announced.prefix(64).enumerated().map { order, address in
            Candidate(
                endpoint: Endpoint(address: address, port: port), foundation: "\(order + 1)",
                preference: 65_535 - UInt16(order))
        }
    }

    nonisolated func start() throws(MediaError) { try executor.start() }

    /// Joins the thread. After `closeAll`.
    nonisolated func stop() { executor.stop() }

    nonisolated func counters() -> WorkerCounters {
        var counters = rh_counters()
        rh_worker_counters(core, &counters)
        return WorkerCounters(counters, worker: index, port: port)
    }

    func controlCounters() -> ControlCounters {
        var counters = control
        counters.eventsDropped = shared.queue.droppedCount
        return counters
    }

    var nowUs: UInt64 { rh_now_us(core) }

    func emit(_ event: MediaEvent) { shared.queue.push(event) }

    // MARK: - What the loop brings

    /// All that one wake-up of the loop has to tell. The pointers are valid during the call.
    func onBatch(_ batch: UnsafePointer<rh_batch>) {
        let batch = batch.pointee
        for index in 0..<Int(batch.datagram_count) {
            onDatagram(batch.datagrams[index], nowUs: batch.now_us)
        }
        for index in 0..<Int(batch.event_count) {
            onEvent(batch.events[index], nowUs: batch.now_us)
        }
        if batch.tick { onTick(nowUs: batch.now_us) }
    }

    private func onDatagram(_ datagram: rh_datagram, nowUs: UInt64) {
        guard let from = Endpoint(datagram.from) else { return }
        let buffer = UnsafeBufferPointer(start: datagram.bytes, count: Int(datagram.size))
        let bytes = buffer.span
        switch rh_datagram_kind(datagram.kind) {
        case RH_DATAGRAM_STUN: onStun(bytes, from: from, nowUs: nowUs)
        case RH_DATAGRAM_DTLS: onDtls(bytes, peer: datagram.peer, from: from, nowUs: nowUs)
        case RH_DATAGRAM_RTCP: onRtcp(bytes, peer: datagram.peer, nowUs: nowUs)
        default: break
        }
    }

    // MARK: - Participants

    func makeParticipant(
        _ configuration: ParticipantConfiguration
    ) throws(MediaError) -> MediaParticipant {
        guard !isClosed else { throw .stale }
        guard let ice = IceCredentialMaker.make(worker: index),
            let cname = IceCredentialMaker.randomText(16), let random = Secrets.randomBytes(4)
        else { throw .cryptography("no randomness") }
        var handle: rh_peer_id = 0
        guard rh_peer_create(core, &handle) == RH_OK else {
            throw .full("participants on worker \(index)")
        }
        let now = nowUs
        let id = ParticipantID(worker: index, handle: handle)
        let name = String(decoding: cname, as: UTF8.self)
        let names = Peer.Names(
            cname: name, localSSRC: max(1, random.span.number32(at: 0)), ice: ice)
        let peer = Peer(id: id, label: configuration.label, names: names, nowUs: now)
        peer.meeting = configuration.meeting
        peers[handle] = peer
        peersByUfrag[IceCredentialMaker.key(ice.ufrag)] = handle
        return MediaParticipant(
            id: id, ice: ice, candidates: candidates, cname: name, owner: self)
    }

    func peer(_ id: ParticipantID) -> Peer? {
        id.worker == index ? peers[id.handle] : nil
    }

    func close(_ id: ParticipantID) {
        guard let peer = peer(id) else { return }
        sayGoodbye(peer)
        for track in peer.tracks { removeTrack(track, isPeerGone: true) }
        for slot in peer.slots { removeSlot(slot) }
        for ufrag in peer.ice.ufrags(nowUs: 0) {
            peersByUfrag[IceCredentialMaker.key(ufrag)] = nil
        }
        rh_peer_destroy(core, id.handle)
        peers[id.handle] = nil
        shared.book.leave(peer.meeting, worker: index)
    }

    private func sayGoodbye(_ peer: Peer) {
        if peer.canSend, !peer.slots.isEmpty {
            let ssrcs = peer.slots.compactMap { slots[$0]?.description.ssrc }
            for start in stride(from: 0, to: ssrcs.count, by: 31) {
                var writer = RtcpWriter()
                writer.addReceiverReport(sender: peer.localSSRC, [])
                writer.addGoodbye([UInt32](ssrcs[start..<min(start + 31, ssrcs.count)]))
                sendRtcp(writer, to: peer)
            }
        }
        guard peer.dtls != nil else { return }
        peer.dtls?.close()
        sendDtls(peer, to: peer.ice.selected ?? peer.dtlsAddress)
    }

    /// The pool stops: no participant stays and none comes.
    func closeAll() {
        isClosed = true
        for peer in peers.values { close(peer.id) }
        for task in mirrorsInMaking.values { task.cancel() }
    }
}
