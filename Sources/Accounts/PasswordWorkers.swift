// Runs password hashes on a few threads of their own, with a bounded number waiting.
// SPDX-License-Identifier: Apache-2.0
import NIOPosix
import ServiceKit
import Synchronization

/// Hashes and checks passwords away from the event loops.
public final class PasswordWorkers: Sendable {
    private let pool: NIOThreadPool
    private let waiting = Mutex(0)
    private let waitingMax: Int
    public let cost: PasswordCost

    /// - Parameters:
    ///   - threads: hashes that run at once; each takes `cost.memoryKiB`.
    ///   - waitingMax: calls that may wait or run; further ones are answered with 503.
    public init(threads: Int, waitingMax: Int = 128, cost: PasswordCost = PasswordCost()) {
        pool = NIOThreadPool(numberOfThreads: threads)
        self.waitingMax = waitingMax
        self.cost = cost
        pool.start()
    }

    public func hash(_ password: String) async throws -> String {
        let cost = cost
        return try await run { try PasswordHash.make(password, cost: cost) }
    }

    public func verify(_ password: String, _ encoded: String) async throws -> Bool {
        try await run { PasswordHash.verify(password, encoded) }
    }

    private func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let isAdmitted = waiting.withLock { waiting in
            if waiting >= waitingMax { return false }
            waiting += 1
            return true
        }
        guard isAdmitted else {
            throw Problem.retry(.serviceUnavailable, after: 3, "too many sign-ins at once")
        }
        defer { waiting.withLock { $0 -= 1 } }
        return try await pool.runIfActive(body)
    }

    /// Ends the threads after what waits is done.
    public func stop() async { try? await pool.shutdownGracefully() }
}
