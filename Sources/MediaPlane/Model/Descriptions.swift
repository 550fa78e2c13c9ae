// What SDP negotiated, as the media plane needs it. SPDX-License-Identifier: Apache-2.0

/// Audio or video.
public enum MediaKind: Sendable { case audio, video }

/// A codec that the packet path can carry.
public enum MediaCodec: Hashable, Sendable, CaseIterable { case opus, vp8, vp9, h264, av1 }

/// ICE user name fragment and password (RFC 8839 section 5.4).
public struct IceCredentials: Hashable, Sendable {
    public let ufrag: String
    public let pwd: String
    public init(ufrag: String, pwd: String) {
        self.ufrag = ufrag
        self.pwd = pwd
    }
}

/// Our side of the DTLS handshake (RFC 5763 section 5): `passive` waits for the ClientHello.
public enum DtlsRole: Sendable { case passive, active }

/// Header-extension ids (RFC 8285) of one peer, the same in every bundled section; nil: not agreed.
public struct ExtensionIDs: Hashable, Sendable {
    public var mid: UInt8?
    public var rid: UInt8?
    public var repairedRid: UInt8?
    public var absSendTime: UInt8?
    public var transportSequence: UInt8?
    public var audioLevel: UInt8?
    public var dependencyDescriptor: UInt8?
    public var videoOrientation: UInt8?
    public init() {}
}

/// What one offer and answer agreed for a participant's transport.
public struct TransportDescription: Sendable {
    public var remote: IceCredentials
    /// Any one of these may match the peer's certificate (RFC 8122 section 5). Not empty.
    public var fingerprints: [Fingerprint]
    public var role: DtlsRole
    public var extensions: ExtensionIDs

    public init(
        remote: IceCredentials, fingerprints: [Fingerprint], role: DtlsRole = .passive,
        extensions: ExtensionIDs = ExtensionIDs()
    ) {
        self.remote = remote
        self.fingerprints = fingerprints
        self.role = role
        self.extensions = extensions
    }
}

/// One simulcast encoding of a publication.
public struct EncodingDescription: Hashable, Sendable {
    /// The restriction identifier (RFC 8851); "" without simulcast.
    public var rid: String
    /// Declared by `a=ssrc`; nil: learned from the first packets.
    public var ssrc: UInt32?
    public var rtxSSRC: UInt32?
    /// Bit/s at most; used until a rate has been measured. nil: not declared.
    public var declaredBitrate: Int?

    public init(
        rid: String = "", ssrc: UInt32? = nil, rtxSSRC: UInt32? = nil, declaredBitrate: Int? = nil
    ) {
        self.rid = rid
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
        self.declaredBitrate = declaredBitrate
    }
}

/// RTCP feedback that the publisher's section agreed to (RFC 4585 section 4.2).
public struct FeedbackOptions: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// `nack`
    public static let nack = FeedbackOptions(rawValue: 1)
    /// `nack pli`
    public static let pli = FeedbackOptions(rawValue: 2)
    /// `ccm fir`
    public static let fir = FeedbackOptions(rawValue: 4)
    /// `transport-cc`
    public static let transportCC = FeedbackOptions(rawValue: 8)
    /// `goog-remb`
    public static let remb = FeedbackOptions(rawValue: 16)
}

/// One section that a participant sends, as it was answered.
public struct PublicationDescription: Sendable {
    public var mid: String
    public var kind: MediaKind
    public var codec: MediaCodec
    public var payloadType: UInt8
    public var rtxPayloadType: UInt8?
    /// Hz.
    public var clockRate: UInt32
    /// One to three, the lowest quality first.
    public var encodings: [EncodingDescription]
    public var feedback: FeedbackOptions

    public init(
        mid: String, kind: MediaKind, codec: MediaCodec, payloadType: UInt8,
        rtxPayloadType: UInt8? = nil, clockRate: UInt32? = nil,
        encodings: [EncodingDescription] = [EncodingDescription()],
        feedback: FeedbackOptions = [.nack, .pli, .fir, .transportCC]
    ) {
        self.mid = mid
        self.kind = kind
        self.codec = codec
        self.payloadType = payloadType
        self.rtxPayloadType = rtxPayloadType
        self.clockRate = clockRate ?? (kind == .audio ? 48_000 : 90_000)
        self.encodings = encodings
        self.feedback = feedback
    }
}

/// The subscriber's payload type for a codec.
public struct PayloadMapping: Hashable, Sendable {
    public var codec: MediaCodec
    public var payloadType: UInt8
    public var rtxPayloadType: UInt8?
    public init(codec: MediaCodec, payloadType: UInt8, rtxPayloadType: UInt8? = nil) {
        self.codec = codec
        self.payloadType = payloadType
        self.rtxPayloadType = rtxPayloadType
    }
}

/// One section in which a participant receives: an outgoing stream with numbers of its own.
public struct SlotDescription: Sendable {
    public var mid: String
    public var kind: MediaKind
    /// Random, not zero, unique in the peer.
    public var ssrc: UInt32
    public var rtxSSRC: UInt32?
    public var payloads: [PayloadMapping]

    public init(
        mid: String, kind: MediaKind, ssrc: UInt32, rtxSSRC: UInt32? = nil,
        payloads: [PayloadMapping]
    ) {
        self.mid = mid
        self.kind = kind
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
        self.payloads = payloads
    }
}

/// Which subscription gives way last when the downlink is too thin.
public enum SlotPriority: Int, Sendable, Comparable {
    case low, normal, high
    public static func < (a: SlotPriority, b: SlotPriority) -> Bool { a.rawValue < b.rawValue }
}

/// One step of a remap.
public enum SlotChange: Sendable {
    /// Carry `track`. `bitrate`: the most wanted, bit/s; it chooses the encoding.
    case bind(SlotID, TrackID, bitrate: Int, priority: SlotPriority = .normal)
    case unbind(SlotID)
    case setBitrate(SlotID, Int)
}

/// The answer to one `SlotChange`.
public enum SlotResult: Sendable, Equatable {
    case ok
    /// The slot has no payload type for the track's codec, or audio meets video.
    case noCommonCodec
    /// The track is gone.
    case staleTrack
    /// The slot is gone or belongs to someone else.
    case staleSlot
    /// A limit of the worker is reached.
    case full
}

/// What `WorkerPool.makeParticipant` needs to know.
public struct ParticipantConfiguration: Sendable {
    /// A worker's index; nil: as `Placement` chooses.
    public var worker: Int?
    /// Participants of one meeting are kept together while it is small; "" for none.
    public var meeting: String
    /// Written into logs beside the participant's name.
    public var label: String
    public init(worker: Int? = nil, meeting: String = "", label: String = "") {
        self.worker = worker
        self.meeting = meeting
        self.label = label
    }
}
