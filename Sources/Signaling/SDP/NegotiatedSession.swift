// The result of answering an offer, in plain values for the media plane.
// SPDX-License-Identifier: Apache-2.0

/// What the node puts into an answer about its own transport.
public struct LocalTransport: Sendable, Equatable {
    public var ufrag: String
    public var password: String
    public var fingerprint: DTLSFingerprint
    /// Host candidates, best first; all component 1, UDP.
    public var candidates: [LocalCandidate]

    public init(
        ufrag: String, password: String, fingerprint: DTLSFingerprint,
        candidates: [LocalCandidate]
    ) {
        self.ufrag = ufrag
        self.password = password
        self.fingerprint = fingerprint
        self.candidates = candidates
    }
}

public struct LocalCandidate: Sendable, Equatable {
    /// Numeric IP address.
    public var address: String
    public var isIPv6: Bool
    public var port: UInt16

    public init(address: String, isIPv6: Bool, port: UInt16) {
        self.address = address
        self.isIPv6 = isIPv6
        self.port = port
    }
}

/// The client's ICE credentials and certificates.
public struct RemoteTransport: Sendable, Equatable {
    public var ufrag: String
    public var password: String
    /// The certificate must match one of these.
    public var fingerprints: [DTLSFingerprint]
}

/// The node's part in the DTLS handshake.
public enum DTLSRole: String, Sendable {
    /// Waits for the ClientHello.
    case passive
    /// Sends the ClientHello.
    case active
}

/// Header-extension ids of a peer (RFC 8285), the same in each section. 0: not negotiated.
public struct ExtensionIDs: Sendable, Equatable {
    public var mid: UInt8 = 0
    public var rid: UInt8 = 0
    public var repairedRid: UInt8 = 0
    public var absSendTime: UInt8 = 0
    public var transportCC: UInt8 = 0
    public var audioLevel: UInt8 = 0
    public var dependencyDescriptor: UInt8 = 0
    public var videoOrientation: UInt8 = 0

    public init() {}
}

/// One SSRC that the client declared, with its RTX stream (RFC 4588).
public struct DeclaredSSRC: Sendable, Equatable {
    public var ssrc: UInt32
    public var rtx: UInt32?
}

/// RTCP feedback that was agreed on (RFC 4585, RFC 5104).
public struct RtcpFeedback: Sendable, Equatable {
    public var nack = false
    public var pli = false
    public var fir = false
    public var transportCC = false
    public var remb = false
}

/// One section that the client sends and the node receives.
public struct NegotiatedPublication: Sendable, Equatable {
    public var mid: String
    public var kind: MediaKind
    public var source: FeedSource
    public var codec: MediaCodec
    public var payloadType: UInt8
    public var rtxPayloadType: UInt8?
    /// Hz
    public var clockRate: UInt32
    /// Encodings in the offer's order; empty without simulcast.
    public var rids: [String]
    /// SSRCs as declared; usually empty with rids.
    public var ssrcs: [DeclaredSSRC]
    public var feedback: RtcpFeedback
}

public struct SlotCodec: Sendable, Equatable {
    public var codec: MediaCodec
    public var payloadType: UInt8
    public var rtxPayloadType: UInt8?
}

/// One section that the node sends and the client receives.
public struct NegotiatedSlot: Sendable, Equatable {
    public var mid: String
    public var kind: MediaKind
    /// In the offer's order.
    public var codecs: [SlotCodec]
    /// The node's SSRCs; stable for a mid.
    public var ssrc: UInt32
    public var rtxSSRC: UInt32?
    /// Hz
    public var clockRate: UInt32
    public var feedback: RtcpFeedback
}

/// What was agreed on.
public struct NegotiatedSession: Sendable, Equatable {
    /// The answer's SDP text.
    public var answer: String
    public var remote: RemoteTransport
    public var role: DTLSRole
    public var extensions: ExtensionIDs
    public var publications: [NegotiatedPublication]
    public var slots: [NegotiatedSlot]
    /// The client's ICE credentials differ from those of the offer before.
    public var isIceRestart: Bool
}
