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
        await withTaskGroup(of: Answer.self) { group in
            for meetingID in due {
                group.addTask { await Self.call(service, meetingID) }
            }
            for await answer in group { note(answer) }
        }
    }

    /// What the meeting service said about one meeting.
    private struct Answer: Sendable {
        let meetingID: String
        /// HTTP status; nil when there was none.
        let status: Int?
        /// For the log.
        let text: String
    }

    private static func call(_ service: any MeetingService, _ meetingID: String) async -> Answer {
        do {
            let status = try await service.end(meetingID: meetingID)
            return Answer(meetingID: meetingID, status: status, text: "status \(status)")
        } catch {
            return Answer(meetingID: meetingID, status: nil, text: "\(error)")
        }
    }

    private func note(_ answer: Answer) {
        if let status = answer.status, Self.isAccepted(status) {
            schedule.succeeded(answer.meetingID)
            journal.markAccepted(answer.meetingID)
            return
        }
        failures += 1
        schedule.failed(answer.meetingID, now: clock.now, random: Double.random(in: 0...1))
        logger.warning(
            "the end of a meeting was not accepted, trying again",
            metadata: ["meeting": "\(answer.meetingID)", "answer": "\(answer.text)"])
    }

    /// 404 and 410: it has ended already.
    private static func isAccepted(_ status: Int) -> Bool {
        200..<300 ~= status || status == 404 || status == 410
    }
}
