// What a WebRTC offer says (RFC 8866, RFC 9429), as far as a routing node needs it.
// SPDX-License-Identifier: Apache-2.0

/// A parsed session description.
public struct SessionDescription: Sendable, Equatable {
    public var transport = TransportAttributes()
    /// The mids of each BUNDLE group in order (RFC 9143).
    public var bundles: [[String]] = []
    /// Two-byte header extensions may be mixed with one-byte ones (RFC 8285 section 6).
    public var allowsMixedExtensions = false
    public var media: [MediaSection] = []
}

/// ICE and DTLS attributes; they stand at session level, in a section, or both.
public struct TransportAttributes: Sendable, Equatable {
    public var ufrag: String?
    public var password: String?
    public var fingerprints: [DTLSFingerprint] = []
    public var setup: SetupRole?
}

/// A certificate's fingerprint (RFC 8122 section 5).
public struct DTLSFingerprint: Sendable, Hashable {
    /// Lower-case hash name such as "sha-256".
    public var algorithm: String
    /// The digest.
    public var bytes: [UInt8]

    public init(algorithm: String, bytes: [UInt8]) {
        self.algorithm = algorithm
        self.bytes = bytes
    }

    /// Upper-case hexadecimal pairs separated by colons.
    public var text: String {
        bytes.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.utf8.count < 2 ? "0" + digits : digits
        }.joined(separator: ":")
    }
}

/// `a=setup` (RFC 4145, RFC 8842).
public enum SetupRole: String, Sendable {
    case active, passive, actpass, holdconn
}

public enum MediaDirection: String, Sendable {
    case sendrecv, sendonly, recvonly, inactive

    public var sends: Bool { self == .sendrecv || self == .sendonly }
    public var receives: Bool { self == .sendrecv || self == .recvonly }
}

/// One payload type of a section.
public struct PayloadFormat: Sendable, Equatable {
    public var payloadType: UInt8
    /// Upper-case encoding name; "" without rtpmap.
    public var name = ""
    /// Hz
    public var clockRate: UInt32 = 0
    public var channels: UInt8 = 1
    /// The format parameters as offered, and by lower-case name.
    public var parameterText = ""
    public var parameters: [String: String] = [:]
    /// RTCP feedback such as "nack pli".
    public var feedback: [String] = []
}

/// `a=extmap` (RFC 8285 section 5).
public struct ExtensionMapping: Sendable, Equatable {
    public var id: UInt8
    public var uri: String
}

/// `a=ssrc-group` (RFC 5576 section 4.2).
public struct SSRCGroup: Sendable, Equatable {
    public var semantics: String
    public var ssrcs: [UInt32]
}

/// `a=rid` (RFC 8851).
public struct RestrictionID: Sendable, Equatable {
    public var id: String
    public var isSending: Bool
    /// Payload types to which it is restricted; empty means all.
    public var payloadTypes: [UInt8] = []
}

/// One media section.
public struct MediaSection: Sendable, Equatable {
    /// "audio", "video", "application" or whatever else was written.
    public var type: String
    public var port: UInt16
    public var proto: String
    /// The format list as written; needed to refuse a section.
    public var formatText: String
    public var mid: String?
    public var direction = MediaDirection.sendrecv
    public var formats: [PayloadFormat] = []
    public var extensions: [ExtensionMapping] = []
    /// In order of appearance.
    public var ssrcs: [UInt32] = []
    public var ssrcGroups: [SSRCGroup] = []
    public var rids: [RestrictionID] = []
    /// Rids of `a=simulcast:send` in order; of alternatives the first (RFC 8853 section 5.1).
    public var simulcastSend: [String] = []
    public var hasRtcpMux = false
    public var hasReducedSizeRtcp = false
    public var isBundleOnly = false
    public var transport = TransportAttributes()

    public var kind: MediaKind? { MediaKind(rawValue: type) }

    /// Refused or stopped by the offerer (RFC 9429 section 5.2.2).
    public var isRejected: Bool { port == 0 && !isBundleOnly }

    public func format(_ payloadType: UInt8) -> PayloadFormat? {
        formats.first { $0.payloadType == payloadType }
    }
}

/// Why a session description was refused.
public struct SDPError: Error, Sendable, Equatable {
    /// For people; names the line where there is one.
    public let message: String

    public init(_ message: String) { self.message = message }
}

/// Sizes that a session description may have.
public enum SDPLimits {
    public static let bytesMax = 512 * 1024
    /// Bytes of one line.
    public static let lineBytesMax = 4096
    public static let linesMax = 40_000
    /// Media sections: 50 + 50 slots, three sources and those that were stopped.
    public static let sectionsMax = 256
    /// Payload types, extensions, SSRCs and rids of one section.
    public static let formatsMax = 96
    public static let extensionsMax = 64
    public static let ssrcsMax = 64
    public static let ridsMax = 16
    public static let fingerprintsMax = 8
    /// Video and audio slots of one client, each.
    public static let slotsMax = 64
}
