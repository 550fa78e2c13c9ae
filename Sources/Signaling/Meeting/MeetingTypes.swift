// What goes into a meeting's state machine and what comes out of it.
// SPDX-License-Identifier: Apache-2.0

/// One WebSocket, named by whoever accepted it. Never reused.
public struct SocketID: Hashable, Sendable {
    public let value: UInt64

    public init(_ value: UInt64) { self.value = value }
}

/// A participant or ghost in one meeting. Survives RESUME, not a second JOIN; never reused.
public struct PeerID: Hashable, Sendable {
    public let value: UInt32

    public init(_ value: UInt32) { self.value = value }
}

/// What a verified ticket says.
public struct TicketClaims: Sendable, Equatable {
    public enum Role: String, Sendable {
        case host, participant, recorder
    }

    public var meetingID: String
    public var accountID: String
    /// Account id of the meeting's host.
    public var host: String
    public var role: Role
    /// Display name.
    public var name: String?

    public init(
        meetingID: String, accountID: String, host: String, role: Role, name: String? = nil
    ) {
        self.meetingID = meetingID
        self.accountID = accountID
        self.host = host
        self.role = role
        self.name = name
    }
}

/// Why somebody was not let in: the `reason` of JOIN_DENIED.
public enum DenialReason: String, Error, Sendable, CaseIterable {
    /// No ticket, or one whose signature, form, node or time is wrong.
    case ticketMissing = "ticket_missing"
    case ticketInvalid = "ticket_invalid"
    case ticketExpired = "ticket_expired"
    /// A valid ticket for another meeting, account or role.
    case ticketForeign = "ticket_foreign"
    case ended
    case locked
    /// Not refused: the host is asked. ADMIT leads to MEETING_USERS, DENY to `denied`.
    case waiting
    case denied
    /// The host has removed this account.
    case removed
    /// The meeting has as many participants as it may have.
    case full
    /// The node has no room for another participant; those who are in stay.
    case nodeFull = "node_full"
    /// RESUME came too late or with an unknown session.
    case sessionUnknown = "session_unknown"
}

/// The outcome of checking the ticket that came with INIT, JOIN or RECORD_JOIN.
public enum Admission: Sendable, Equatable {
    case verified(TicketClaims)
    case refused(DenialReason)
    /// The packet is of a kind that carries no ticket.
    case notNeeded
}

/// Codecs that are forwarded.
public enum MediaCodec: String, Sendable, Hashable, CaseIterable {
    case opus, vp8, vp9, h264, av1

    public var kind: MediaKind { self == .opus ? .audio : .video }
}

/// What a peer publishes after a negotiation.
public struct PublishedFeed: Sendable, Equatable {
    public var source: FeedSource
    public var codec: MediaCodec
    /// True when the media plane has a new track for it: subscribers are bound anew.
    public var isNew: Bool

    public init(source: FeedSource, codec: MediaCodec, isNew: Bool) {
        self.source = source
        self.codec = codec
        self.isNew = isNew
    }
}

/// A receiving position that a peer has after a negotiation.
public struct SlotOffer: Sendable, Equatable {
    public var mid: String
    public var kind: MediaKind
    public var codecs: Set<MediaCodec>
    /// True when the media plane has just made it: it carries nothing, whatever a slot of that
    /// mid carried before.
    public var isNew: Bool

    public init(mid: String, kind: MediaKind, codecs: Set<MediaCodec>, isNew: Bool = false) {
        self.mid = mid
        self.kind = kind
        self.codecs = codecs
        self.isNew = isNew
    }
}

/// One step of a remap.
public enum SlotChange: Sendable, Equatable {
    case unbind(mid: String)
    /// `bitrate`: the most the subscriber wants, bit/s.
    case bind(mid: String, publisher: PeerID, source: FeedSource, bitrate: Int)
    case setBitrate(mid: String, bitrate: Int)
}

public enum CloseReason: String, Sendable {
    /// The meeting has ended.
    case ended
    /// Another socket of the same account took over.
    case replaced
    /// Removed by the host or not admitted.
    case removed
}

/// Why a meeting ended.
public enum EndReason: String, Sendable {
    case host, empty, shutdown
}

/// What the owner of a meeting has to do, in order.
public enum MeetingAction: Sendable, Equatable {
    case send(Packet, to: SocketID)
    case relay(Packet, to: [SocketID])
    /// After everything that was sent to it before.
    case close(SocketID, CloseReason)
    /// Answer the offer, then call `negotiated` or `negotiationFailed`.
    case negotiate(PeerID, Offer, mayPublish: Bool)
    /// One atomic remap of the peer's slots.
    case remap(PeerID, [SlotChange])
    case setMuted(PeerID, FeedSource, Bool)
    /// The peer is gone: close its transport and forget it.
    case closeMedia(PeerID)
    /// The meeting is over for ever: report it to the meeting service until it is accepted.
    case reportEnd(EndReason)
}

/// Rules and limits of a meeting. Durations count from packets and disconnections.
public struct MeetingConfiguration: Sendable {
    /// How long a dropped socket may come back by RESUME before it becomes a LEAVE.
    public var resumeWindow: Duration = .seconds(20)
    /// How long a meeting may be empty before it ends.
    public var emptyTimeout: Duration = .seconds(60)
    /// Video feeds of a participant and of the recorder.
    public var participantFeedsMax = 49
    public var recorderFeedsMax = 50
    /// Participants, and ghosts, of one meeting.
    public var participantsMax = 1000
    public var ghostsMax = 4
    /// Accounts in the waiting room.
    public var waitingMax = 100

    public init() {}
}
