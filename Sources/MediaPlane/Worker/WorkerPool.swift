// The workers of a process: one thread, one loop, one UDP port each.
// SPDX-License-Identifier: Apache-2.0

import CRouter
public import Logging
import Synchronization

/// A pool of workers. All methods are safe from anywhere.
public final class WorkerPool: Sendable {
    /// What a pool is made of.
    public struct Configuration: Sendable {
        /// Threads, 1...64.
        public var workers: Int
        /// The address that sockets are bound to; `anyV6` takes IPv4 too.
        public var bind: IPAddress
        /// Worker i is bound to `firstPort + i`; 0: any free port each.
        public var firstPort: UInt16
        /// Addresses written into candidates. Empty: `bind` itself, or loopback when `bind` is any.
        public var announced: [IPAddress]
        /// Days for which the certificate is valid.
        public var certificateDays: Int
        /// At most, a worker. Memory is used only as far as they are.
        public var participantsMax: Int
        /// Those of participants and mirrors of other workers' together.
        public var tracksMax: Int
        public var slotsMax: Int
        /// Participants of one meeting that share a worker before it spreads; see `Placement`.
        public var branchSize: Int
        /// Packet buffers a worker; 0: the packet path's default.
        public var buffersMax: Int
        /// A mirror without subscribers is kept so long: people scroll back.
        public var mirrorLingerMicroseconds: Int
        /// Bytes wanted of SO_RCVBUF and SO_SNDBUF each.
        public var socketBufferBytes: Int
        /// A media packet waits so long for company, at most; less while there is little to send.
        /// 0: never.
        public var sendWindowMicroseconds: Int
        /// RTP padding that makes a packet as long as its neighbours, at most; 0: none.
        public var paddingBytesMax: Int
        /// Runs of packets to one address leave as one message (`UDP_SEGMENT`).
        public var hasSegmentation: Bool
        /// Runs of packets from one address come as one message (`UDP_GRO`).
        public var hasReceiveCoalescing: Bool

        public init(
            workers: Int = 1, bind: IPAddress = .loopbackV4, firstPort: UInt16 = 0,
            announced: [IPAddress] = []
        ) {
            self.workers = workers
            self.bind = bind
            self.firstPort = firstPort
            self.announced = announced
            certificateDays = 30
            participantsMax = 4096
            tracksMax = 8192
            slotsMax = 49_152
            branchSize = Placement.togetherMax
            buffersMax = 0
            mirrorLingerMicroseconds = 5_000_000
            socketBufferBytes = 4 << 20
            sendWindowMicroseconds = 5000
            paddingBytesMax = 32
            hasSegmentation = true
            hasReceiveCoalescing = true
        }

        /// Room for `participants` in one meeting on one worker, each with 49 feeds and 50 voices.
        public mutating func reserve(participants: Int) {
            let most = Self.handlesMax
            participantsMax = max(participantsMax, min(most, participants))
            // Microphone, camera and screen of each; as many again as mirrors cost no more.
            let tracks = participants * 2 * Placement.tracksPerParticipant
            tracksMax = max(tracksMax, min(most, tracks))
            slotsMax = max(slotsMax, min(most, participants * Placement.slotsPerParticipant))
        }

        /// Places that a handle of the packet path can name.
        private static let handlesMax = 1 << 18
    }

    private enum Phase { case made, running, stopped }

    /// The SHA-256 fingerprint of the certificate of this process (ECDSA P-256, self-signed).
    public let certificateFingerprint: Fingerprint
    /// Everything that happens, for one reader. State changes are never dropped; of the rest at
    /// most `MediaEventQueue.droppableMax` wait. Ends when the pool has stopped.
    public let events: AsyncStream<MediaEvent>

    private let workers: [Worker]
    private let shared: WorkerShared
    private let queue: MediaEventQueue
    private let phase = Mutex(Phase.made)

    /// Binds the sockets and makes the certificate. Throws `.invalid`, `.system`, `.cryptography`.
    public init(_ configuration: Configuration, logger: Logger) throws(MediaError) {
        let certificate = try DtlsCertificate(days: configuration.certificateDays)
        let queue = MediaEventQueue()
        certificateFingerprint = certificate.fingerprint
        self.queue = queue
        events = queue.stream()
        var limits = WorkerLoad(index: 0)
        limits.peersMax = configuration.participantsMax
        limits.tracksMax = configuration.tracksMax
        limits.slotsMax = configuration.slotsMax
        let book = PlacementBook(
            workers: configuration.workers, limits: limits, branchSize: configuration.branchSize)
        shared = WorkerShared(
            certificate: certificate, queue: queue, logger: logger, book: book,
            mirrorLingerUs: UInt64(max(0, configuration.mirrorLingerMicroseconds)))
        workers = try Worker.makeAll(configuration, shared: shared)
    }

    deinit {
        // Threads must not outlive what they call into; participants get no goodbye.
        guard phase.withLock({ $0 }) == .running else { return }
        for worker in workers { worker.stop() }
        shared.directory.set([])
        queue.finish()
    }

    /// Starts the threads. Once.
    public func start() throws(MediaError) {
        let isFirst = phase.withLock { phase in
            defer { phase = .running }
            return phase == .made
        }
        guard isFirst else { throw .invalid("the pool was started before") }
        shared.directory.set(workers)
        for worker in workers { try worker.start() }
    }

    /// Closes every participant, joins the threads and ends `events`. Once; later calls return.
    public func stop() async {
        let wasRunning = phase.withLock { phase in
            defer { phase = .stopped }
            return phase == .running
        }
        guard wasRunning else { return }
        for worker in workers { await worker.closeAll() }
        for worker in workers { worker.stop() }
        shared.directory.set([])
        queue.finish()
    }

    /// A transport for one participant, on the worker asked for or the one that `Placement`
    /// chooses. Throws `.full` when no worker has room.
    public func makeParticipant(
        _ configuration: ParticipantConfiguration = ParticipantConfiguration()
    ) async throws(MediaError) -> MediaParticipant {
        guard phase.withLock({ $0 }) == .running else { throw .invalid("the pool is not running") }
        let (book, meeting) = (shared.book, configuration.meeting)
        if let index = configuration.worker {
            guard workers.indices.contains(index) else { throw .invalid("no worker \(index)") }
            book.enter(meeting, worker: index)
            return try await make(configuration, on: index)
        }
        var refused: Set<Int> = []
        while let index = book.place(meeting, counters(), except: refused, nowUs: nowUs) {
            do {
                return try await make(configuration, on: index)
            } catch .full {
                refused.insert(index)
            }
        }
        throw .full("no worker has room for another participant")
    }

    /// On a worker where the book has the participant already.
    private func make(
        _ configuration: ParticipantConfiguration, on index: Int
    ) async throws(MediaError) -> MediaParticipant {
        do {
            return try await workers[index].makeParticipant(configuration)
        } catch {
            shared.book.leave(configuration.meeting, worker: index)
            throw error
        }
    }

    /// Whether another participant would find a place now.
    public var hasRoom: Bool { loads().contains { !Placement.isFull($0) } }

    /// Participants that found no worker with room.
    public var placementRefusals: UInt64 { shared.book.refusals }

    /// The workers as the next placement would see them. Averages go on with each call, at most
    /// once a second: call it regularly.
    public func loads() -> [WorkerLoad] { shared.book.loads(counters(), nowUs: nowUs) }

    private var nowUs: UInt64 { workers.first.map { rh_now_us($0.core) } ?? 0 }

    /// One element a worker.
    public func counters() -> [WorkerCounters] {
        workers.map { $0.counters() }
    }

    /// What the workers' Swift side counted, one element a worker.
    public func controlCounters() async -> [ControlCounters] {
        var all: [ControlCounters] = []
        for worker in workers { all.append(await worker.controlCounters()) }
        return all
    }

    /// The cipher backend of this process: "ipsec-mb" or "openssl".
    public static var cipher: String { String(cString: rh_cipher_name()) }

    /// The UDP port of each worker.
    public var ports: [UInt16] { workers.map(\.port) }
}
