// Exchanges load with the store every few minutes, with jitter, and once more at shutdown.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
public import ServiceLifecycle
import Stores

extension MeetingService {
    /// Writes this instance's net changes, then reads the sums of all instances.
    /// When the store fails, nothing is lost: the same batch is written again next time.
    public func syncLoad() async throws {
        while let batch = state.withLock({ $0.ledger.batchToWrite(newID: UUID().uuidString) }) {
            try await loads.apply(batch, now: now())
            state.withLock { $0.ledger.written(batch) }
        }
        let rows = try await loads.servers(since: 0)
        state.withLock { $0.ledger.adopt(rows) }
    }

    /// Forgets what nobody needs: old meetings, users of meetings that are gone, silent nodes.
    public func tidy() async throws {
        let old = try await meetings.prune(createdBefore: now() - configuration.meetingAgeMax)
        state.withLock { state in
            for meeting in old { state.ledger.meetingEnded(meeting.meetingID, node: meeting.node) }
        }
        let counted = state.withLock { $0.ledger.meetingsWithUsers }.prefix(500)
        let live = try await meetings.live(among: counted.map(\.meeting))
        state.withLock { state in
            for entry in counted where !live.contains(entry.meeting) {
                state.ledger.finish(entry.meeting, node: entry.node)
            }
        }
        try await loads.prune(before: now() - 7 * 86_400)
    }

    /// Whether changes wait to be written.
    public var hasUnwrittenLoad: Bool { state.withLock { $0.ledger.hasUnwritten } }
}

/// The background work of the meeting service.
public struct LoadSync: Service {
    private let meetings: MeetingService
    private let interval: Duration
    private let logger: Logger

    /// `interval` is the mean; each pause is between 5/7 and 9/7 of it.
    public init(_ meetings: MeetingService, interval: Duration) {
        self.meetings = meetings
        self.interval = interval
        logger = meetings.logger
    }

    public func run() async throws {
        await sync()
        while await pause() { await sync() }
        for _ in 0..<3 where meetings.hasUnwrittenLoad { await sync() }
    }

    /// False when the process shuts down.
    private func pause() async -> Bool {
        let pause = interval * (Double.random(in: 5...9) / 7)
        do {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: pause) }
            return !Task.isShuttingDownGracefully
        } catch {
            return false
        }
    }

    private func sync() async {
        do {
            try await meetings.syncLoad()
            try await meetings.tidy()
        } catch {
            if Task.isCancelled { return }
            logger.warning("load could not be exchanged", metadata: ["error": "\(error)"])
        }
    }
}
