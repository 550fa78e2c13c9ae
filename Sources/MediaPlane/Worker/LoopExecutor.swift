// The executor that runs a worker's jobs on its loop's thread. SPDX-License-Identifier: Apache-2.0

import CRouter
import Dispatch
import Glibc
import Synchronization

/// Owns one C worker: its socket, thread and memory. Jobs of the `Worker` actor run on the loop's
/// thread, so the actor may call the packet path directly.
///
/// After `stop` the thread is gone; late jobs run on a dispatch queue that starts when the thread
/// has been joined, so that no caller waits for ever and no two threads touch the worker.
final class LoopExecutor: SerialExecutor, @unchecked Sendable {
    // Unchecked: `handle` is set once before the object is shared; its functions that are used from
    // other threads are those that rh_router.h allows there. `worker` is set before the start.
    private(set) var handle: OpaquePointer
    private var isValid = false
    nonisolated(unsafe) unowned(unsafe) var worker: Worker?

    private struct Life {
        var isStopping = false
        var hasStarted = false
    }
    private let life = Mutex(Life())
    private let lateJobs = DispatchQueue(label: "roundhouse.worker.stopped")

    /// Binds the socket; the thread starts with `start`.
    init(_ configuration: rh_worker_config) throws(MediaError) {
        // A placeholder until the C worker exists: its callbacks need this object's address.
        handle = OpaquePointer(bitPattern: 1).unsafelyUnwrapped
        var configuration = configuration
        configuration.calls.context = Unmanaged.passUnretained(self).toOpaque()
        configuration.calls.run_job = { context, job in
            guard let context, let job else { return }
            let executor = Unmanaged<LoopExecutor>.fromOpaque(context).takeUnretainedValue()
            unsafeBitCast(job, to: UnownedJob.self)
                .runSynchronously(on: executor.asUnownedSerialExecutor())
        }
        configuration.calls.on_batch = { context, batch in
            guard let context, let batch else { return }
            let executor = Unmanaged<LoopExecutor>.fromOpaque(context).takeUnretainedValue()
            // The batch is read during this call only, on this thread.
            nonisolated(unsafe) let told = batch
            executor.worker?.assumeIsolated { $0.onBatch(told) }
        }
        var made: OpaquePointer?
        let result = rh_worker_create(&configuration, &made)
        guard result == RH_OK, let made else {
            let code = errno
            throw MediaError.system(code: code, doing: "creating a worker's socket and memory")
        }
        handle = made
        isValid = true
        lateJobs.suspend()
    }

    deinit {
        guard isValid else { return }
        let isWaiting = life.withLock { !$0.isStopping }
        if isWaiting { lateJobs.resume() }
        rh_worker_destroy(handle)
    }

    func start() throws(MediaError) {
        life.withLock { $0.hasStarted = true }
        guard rh_worker_start(handle) == RH_OK else {
            life.withLock { $0.hasStarted = false }
            throw .system(code: errno, doing: "starting a worker's thread")
        }
    }

    /// Runs what is enqueued, joins the thread and lets late jobs run elsewhere. Once.
    func stop() {
        let wasRunning = life.withLock { life in
            defer { life.isStopping = true }
            return life.hasStarted && !life.isStopping
        }
        if wasRunning { rh_worker_stop(handle) }
        lateJobs.resume()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let isLate = life.withLock { life in
            if !life.isStopping {
                rh_worker_enqueue(handle, unsafeBitCast(unowned, to: UnsafeMutableRawPointer.self))
            }
            return life.isStopping
        }
        if isLate {
            lateJobs.async { unowned.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    func isIsolatingCurrentContext() -> Bool? {
        rh_worker_is_current(handle) ? true : nil
    }

    func checkIsolated() {
        if rh_worker_is_current(handle) { return }
        dispatchPrecondition(condition: .onQueue(lateJobs))
    }
}
