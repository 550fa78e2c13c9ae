// The workers of a process: one thread, one loop, one UDP port each.
// SPDX-License-Identifier: Apache-2.0

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
        /// At most, a worker; 0: the packet path's default.
        public var participantsMax: Int
        public var tracksMax: Int
        public var slotsMax: Int
        /// Packet buffers a worker; 0: default.
        public var buffersMax: Int
        /// Bytes wanted of SO_RCVBUF and SO_SNDBUF each.
        public var socketBufferBytes: Int

        public init(
            workers: Int = 1, bind: IPAddress = .loopbackV4, firstPort: UInt16 = 0,
            announced: [IPAddress] = []
        ) {
            self.workers = workers
            self.bind = bind
            self.firstPort = firstPort
            self.announced = announced
            certificateDays = 30
            participantsMax = 0
            tracksMax = 0
            slotsMax = 0
            buffersMax = 0
            socketBufferBytes = 4 << 20
        }
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
        shared = WorkerShared(certificate: certificate, queue: queue, logger: logger)
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

    /// A transport for one participant, on the worker asked for or the least loaded one.
    public func makeParticipant(
        _ configuration: ParticipantConfiguration = ParticipantConfiguration()
    ) async throws(MediaError) -> MediaParticipant {
        guard phase.withLock({ $0 }) == .running else { throw .invalid("the pool is not running") }
        if let index = configuration.worker {
            guard workers.indices.contains(index) else { throw .invalid("no worker \(index)") }
            return try await workers[index].makeParticipant(configuration)
        }
        var best: (worker: Worker, load: Int)?
        for worker in workers {
            let load = worker.load
            if best.map({ load < $0.load }) ?? true { best = (worker, load) }
        }
        guard let best else { throw .invalid("the pool has no worker") }
        return try await best.worker.makeParticipant(configuration)
    }

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

    /// The UDP port of each worker.
    public var ports: [UInt16] { workers.map(\.port) }
}
