// The packets of the WebSocket protocol between a client and a routing node.
// The full description is API/packets.schema.json; API/PACKETS.md is generated from it.
// SPDX-License-Identifier: Apache-2.0

/// One packet: a JSON object in one text frame.
public struct Packet: Sendable, Equatable {
    /// The meeting it belongs to; stands in every packet.
    public var meetingID: String
    public var body: PacketBody

    public init(_ meetingID: String, _ body: PacketBody) {
        self.meetingID = meetingID
        self.body = body
    }
}

/// What a packet says; the case decides its `content_type`.
public enum PacketBody: Sendable, Equatable {
    case initiate(host: String, ticket: String?)
    case join(Join)
    case joinDenied(reason: String?)
    case error(message: String)
    case meetingUsers(MeetingUsers)
    case leave(accountID: String)
    case end
    case subscribe([FeedRequest])
    case unsubscribe([FeedRequest])
    case unsubscribeSubscribe(unsubscribe: [FeedRequest], subscribe: [FeedRequest])
    case recordJoin(ticket: String?)
    case offer(Offer)
    case answer(sdp: String)
    case transport(TransportRequest)
    case feeds(accountID: String, feeds: [Feed])
    case slots([SlotState])
    case speakers([SpeakerLevel])
    case mute(Mute)
    case kick(accountID: String)
    case lock(Lock)
    case admit(accountID: String)
    case deny(accountID: String)
    case hand(Hand)
    case chat(Chat)
    case reaction(Reaction)
    case quality(Quality)
    case resume(session: String)
    case move(server: String, ticket: String)
}

/// Where a feed comes from at its publisher.
public enum FeedSource: String, Sendable, Hashable, CaseIterable {
    case microphone, camera, screen

    public var kind: MediaKind { self == .microphone ? .audio : .video }
}

public enum MediaKind: String, Sendable, Hashable, CaseIterable {
    case audio, video
}

/// JOIN: from a client the wish to join, from the node the news that somebody has.
public struct Join: Sendable, Equatable {
    public var accountID: String
    /// The signed ticket; only from a client.
    public var ticket: String?
    /// Display name; only from the node.
    public var name: String?
    /// True where the account waits for `ADMIT`; only from the node, to the host.
    public var isWaiting: Bool

    public init(
        accountID: String, ticket: String? = nil, name: String? = nil, isWaiting: Bool = false
    ) {
        self.accountID = accountID
        self.ticket = ticket
        self.name = name
        self.isWaiting = isWaiting
    }
}

/// MEETING_USERS: the answer to INIT, JOIN, RECORD_JOIN and RESUME.
public struct MeetingUsers: Sendable, Equatable {
    /// Account ids of everyone in the meeting in the order in which they joined; no ghosts.
    public var users: [String]
    /// Secret of this session: RESUME takes it up again with it.
    public var session: String?
    public var host: String?
    /// Display names by account id, for those who have one.
    public var names: [String: String]
    public var isLocked: Bool

    public init(
        users: [String], session: String? = nil, host: String? = nil,
        names: [String: String] = [:], isLocked: Bool = false
    ) {
        self.users = users
        self.session = session
        self.host = host
        self.names = names
        self.isLocked = isLocked
    }
}

/// One action of SUBSCRIBE, UNSUBSCRIBE or UNSUB_SUB.
public struct FeedRequest: Sendable, Equatable {
    public var accountID: String
    /// The most this subscriber wants of the feed, bit/s. 0 in an unsubscription without one.
    public var bitrate: Int
    public var source: FeedSource

    public init(accountID: String, bitrate: Int, source: FeedSource = .camera) {
        self.accountID = accountID
        self.bitrate = bitrate
        self.source = source
    }
}

/// OFFER: a WebRTC offer and what its sending sections are.
public struct Offer: Sendable, Equatable {
    public var sdp: String
    /// Source by mid, for sending sections. Others get a source by their order.
    public var sources: [String: FeedSource]

    public init(sdp: String, sources: [String: FeedSource] = [:]) {
        self.sdp = sdp
        self.sources = sources
    }
}

/// TRANSPORT: media without ICE and DTLS, for native clients.
public struct TransportRequest: Sendable, Equatable {
    public enum Mode: String, Sendable, CaseIterable {
        case rtp
    }

    public struct Stream: Sendable, Equatable {
        public var mid: String
        public var kind: MediaKind
        /// True when the client sends this stream.
        public var isSending: Bool
        public var address: String
        public var port: Int
        public var ssrc: Int
        public var payloadType: Int
        public var codec: String

        public init(mid: String, kind: MediaKind, isSending: Bool, address: String, port: Int) {
            self.mid = mid
            self.kind = kind
            self.isSending = isSending
            self.address = address
            self.port = port
            ssrc = 0
            payloadType = 0
            codec = ""
        }
    }

    public var mode: Mode
    /// SRTP suite: AEAD_AES_128_GCM, or NONE for clear RTP.
    public var suite: String
    /// Master key and salt in base64; absent with NONE.
    public var key: String?
    public var streams: [Stream]

    public init(mode: Mode, suite: String, key: String?, streams: [Stream]) {
        self.mode = mode
        self.suite = suite
        self.key = key
        self.streams = streams
    }
}

/// One thing that an account publishes.
public struct Feed: Sendable, Equatable {
    public struct Layer: Sendable, Equatable {
        /// Pixels; 0 where unknown.
        public var width: Int
        public var height: Int
        /// Pictures a second; 0 where unknown.
        public var fps: Int
        /// Measured bit/s.
        public var bitrate: Int

        public init(width: Int = 0, height: Int = 0, fps: Int = 0, bitrate: Int = 0) {
            self.width = width
            self.height = height
            self.fps = fps
            self.bitrate = bitrate
        }
    }

    public var source: FeedSource
    public var codec: String
    public var layers: [Layer]
    public var isMuted: Bool

    public init(source: FeedSource, codec: String, layers: [Layer] = [], isMuted: Bool = false) {
        self.source = source
        self.codec = codec
        self.layers = layers
        self.isMuted = isMuted
    }
}

/// What one slot of a client carries now.
public struct SlotState: Sendable, Equatable {
    public var mid: String
    /// "" for an empty slot.
    public var accountID: String
    public var source: FeedSource?
    /// Encoding carried (rid), nil when unknown or the only one.
    public var layer: String?
    /// Measured bit/s.
    public var bitrate: Int

    public init(
        mid: String, accountID: String = "", source: FeedSource? = nil, layer: String? = nil,
        bitrate: Int = 0
    ) {
        self.mid = mid
        self.accountID = accountID
        self.source = source
        self.layer = layer
        self.bitrate = bitrate
    }
}

public struct SpeakerLevel: Sendable, Equatable {
    public var accountID: String
    /// Level in −dBov: 0 is the loudest, 127 is silence (RFC 6464).
    public var level: Int

    public init(accountID: String, level: Int) {
        self.accountID = accountID
        self.level = level
    }
}

public struct Mute: Sendable, Equatable {
    public var accountID: String
    public var kind: MediaKind
    /// Narrows `kind`; without it audio means the microphone and video the camera.
    public var source: FeedSource?
    public var isMuted: Bool

    public init(accountID: String, kind: MediaKind, isMuted: Bool, source: FeedSource? = nil) {
        self.accountID = accountID
        self.kind = kind
        self.isMuted = isMuted
        self.source = source
    }

    public var effectiveSource: FeedSource { source ?? (kind == .audio ? .microphone : .camera) }
}

public struct Lock: Sendable, Equatable {
    public var isLocked: Bool
    /// When present: newcomers wait for ADMIT or DENY instead of being turned away.
    public var hasWaitingRoom: Bool?

    public init(isLocked: Bool, hasWaitingRoom: Bool? = nil) {
        self.isLocked = isLocked
        self.hasWaitingRoom = hasWaitingRoom
    }
}

public struct Hand: Sendable, Equatable {
    /// Whose hand; nil from a client means its own.
    public var accountID: String?
    public var isRaised: Bool

    public init(accountID: String?, isRaised: Bool) {
        self.accountID = accountID
        self.isRaised = isRaised
    }
}

public struct Chat: Sendable, Equatable {
    /// Who wrote it; filled in by the node.
    public var accountID: String?
    /// The only receiver, or nil for everyone.
    public var to: String?
    public var text: String

    public init(accountID: String? = nil, to: String? = nil, text: String) {
        self.accountID = accountID
        self.to = to
        self.text = text
    }
}

public struct Reaction: Sendable, Equatable {
    /// Who reacted; filled in by the node.
    public var accountID: String?
    public var reaction: String

    public init(accountID: String? = nil, reaction: String) {
        self.accountID = accountID
        self.reaction = reaction
    }
}

/// QUALITY: how well the client's downlink carries what it asked for.
public struct Quality: Sendable, Equatable {
    public struct Held: Sendable, Equatable {
        public var accountID: String
        public var source: FeedSource
        /// Asked for and given, bit/s.
        public var wanted: Int
        public var given: Int
        public var reason: String

        public init(
            accountID: String, source: FeedSource, wanted: Int, given: Int, reason: String
        ) {
            self.accountID = accountID
            self.source = source
            self.wanted = wanted
            self.given = given
            self.reason = reason
        }
    }

    /// Estimated downlink, bit/s.
    public var downlink: Int
    /// Share of lost packets, 0 to 1.
    public var loss: Double
    public var held: [Held]

    public init(downlink: Int, loss: Double, held: [Held] = []) {
        self.downlink = downlink
        self.loss = loss
        self.held = held
    }
}
