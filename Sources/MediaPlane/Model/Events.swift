// What the media plane tells its owner, and why it refuses. SPDX-License-Identifier: Apache-2.0

/// Why a call was refused.
public enum MediaError: Error, Equatable, Sendable {
    /// The arguments contradict each other or the protocol; the text says how.
    case invalid(String)
    /// A stated limit is reached.
    case full(String)
    /// The participant, track or slot no longer exists.
    case stale
    /// The operating system refused; `code` is errno.
    case system(code: Int32, doing: String)
    /// OpenSSL refused while making the certificate or a connection.
    case cryptography(String)
}

/// Why a participant's transport went down.
public enum DisconnectReason: Equatable, Sendable {
    /// No valid connectivity check for 30 s (RFC 7675 section 5.1). A later one connects again.
    case consentExpired
    /// The handshake failed, or the certificate matched no fingerprint.
    case dtlsFailed(String)
    /// The peer closed DTLS (close_notify).
    case closedByPeer
}

/// One encoding of a published track.
public struct LayerReport: Hashable, Sendable {
    public let rid: String
    /// Packets arrived within the last two seconds.
    public let isLive: Bool
    /// Measured, bit/s of RTP payload.
    public let bitrate: Int
}

/// A change seen by a worker.
public enum MediaEvent: Sendable {
    /// DTLS is done and keys are set; also when a participant comes back after `consentExpired`.
    case connected(ParticipantID)
    case disconnected(ParticipantID, reason: DisconnectReason)
    /// Which encodings of a track live; at most once a second a track.
    case layers(TrackID, [LayerReport])
    /// The slot now carries this encoding (`layer` is its RID, "" without simulcast), or nothing
    /// (nil). `bitrate`: measured rate of it, bit/s.
    case slotLayer(ParticipantID, SlotID, layer: String?, bitrate: Int)
    /// What the participant can receive; at most twice a second.
    case estimate(ParticipantID, bitsPerSecond: Int, lossFraction: Double)
    /// Loud sources only, at most five times a second a worker. 0 dBov is the loudest.
    case audioLevels([AudioLevel])

    /// State changes are never dropped; the rest may be when nobody reads.
    var isDroppable: Bool {
        switch self {
        case .connected, .disconnected, .slotLayer: false
        case .layers, .estimate, .audioLevels: true
        }
    }
}

/// How loud one audio track was during the last fifth of a second (RFC 6464).
public struct AudioLevel: Hashable, Sendable {
    public let participant: ParticipantID
    public let track: TrackID
    /// -127 (silence) to 0.
    public let levelDBov: Int
}
