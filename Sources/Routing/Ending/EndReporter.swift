// Tells the meeting service that meetings have ended, until it accepts.
// SPDX-License-Identifier: Apache-2.0

import Logging

/// Calls `POST /meeting/end/{id}` for everything that the journal holds as pending.
actor EndReporter {
    /// Calls that run at once.
    static let callsMax = 8

    private let journal: EndJournal
    private let service: any MeetingService
    private let clock: any RoutingClock
    private let logger: Logger
    private var schedule = RetrySchedule()
    private(set) var failures = 0

    init(
        journal: EndJournal, service: any MeetingService, clock: any RoutingClock, logger: Logger
    ) {
        self.journal = journal
        self.service = service
        self.clock = clock
        self.logger = logger
    }

    /// Makes every call that is due and returns when they are answered.
    func report() async {
        let now = clock.now
        for meetingID in journal.pending { schedule.add(meetingID, now: now) }
        let due = schedule.takeDue(now: now, limit: Self.callsMax)
        guard !due.isEmpty else { return }
        // What is told must be on the disk first: a crash must not forget what others know.
        await journal.flush()
        let service = self.service
        await withTaskGroup(of: (String, Result<Int, any Error>).self) { group in
            for meetingID in due {
                group.addTask {
                    do {
                        return (meetingID, .success(try await service.end(meetingID: meetingID)))
                    } catch {
                        return (meetingID, .failure(error))
                    }
                }
            }
            for await (meetingID, result) in group { note(result, of: meetingID) }
        }
    }

    private func note(_ result: Result<Int, any Error>, of meetingID: String) {
        if case .success(let status) = result, Self.isAccepted(status) {
            schedule.succeeded(meetingID)
            journal.markAccepted(meetingID)
            return
        }
        failures += 1
        schedule.failed(meetingID, now: clock.now, random: Double.random(in: 0...1))
        let text =
            switch result {
            case .success(let status): "status \(status)"
            case .failure(let error): "\(error)"
            }
        logger.warning(
            "the end of a meeting was not accepted, trying again",
            metadata: ["meeting": "\(meetingID)", "answer": "\(text)"])
    }

    /// 404 and 410: it has ended already.
    private static func isAccepted(_ status: Int) -> Bool {
        200..<300 ~= status || status == 404 || status == 410
    }
}
