// The live meetings of a node by id.
// SPDX-License-Identifier: Apache-2.0

import Signaling
import Synchronization

/// Owner: `NodeCore`.
final class MeetingDirectory: Sendable {
    enum Found {
        case live(LiveMeeting)
        case denied(DenialReason)
    }

    private let meetings = Mutex<[String: LiveMeeting]>([:])
    private let capacity: Int
    private let context: MeetingContext

    /// - Parameter capacity: participants of all meetings together.
    init(capacity: Int, context: MeetingContext) {
        self.capacity = capacity
        self.context = context
    }

    var all: [LiveMeeting] { meetings.withLock { Array($0.values) } }
    var participants: Int { all.reduce(0) { $0 + $1.participants } }
    /// Meetings that somebody has opened.
    var openCount: Int { all.count { $0.isOpen } }

    func live(_ id: String) -> LiveMeeting? { meetings.withLock { $0[id] } }

    /// Neither the capacity nor a worker has room for another participant.
    var isFull: Bool { participants >= capacity || !context.media.hasRoom }

    /// The meeting of a ticket; it is made when it is not known, unless the node is full.
    func find(_ id: String, admission: Admission) -> Found {
        if context.journal.isEnded(id) { return .denied(.ended) }
        switch admission {
        case .notNeeded: return .denied(.ticketMissing)
        case .refused(let reason): return .denied(reason)
        case .verified(let claims):
            guard claims.meetingID == id else { return .denied(.ticketForeign) }
            if isFull { return .denied(.nodeFull) }
            return meetings.withLock { meetings in
                if let known = meetings[id] { return .live(known) }
                let new = LiveMeeting(
                    id: id, host: claims.host, context: context, directory: self)
                meetings[id] = new
                return .live(new)
            }
        }
    }

    /// Forgets a meeting that is over or that nobody ever opened.
    func remove(_ meeting: LiveMeeting) {
        meetings.withLock { meetings in
            if meetings[meeting.id] === meeting { meetings[meeting.id] = nil }
        }
    }
}
