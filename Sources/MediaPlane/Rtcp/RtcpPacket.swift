// RTCP packets as values (RFC 3550, 4585, 5104, 5506). SPDX-License-Identifier: Apache-2.0

/// A reception report block (RFC 3550 section 6.4.1).
package struct ReportBlock: Hashable, Sendable {
    package var ssrc: UInt32
    /// Lost since the former report, in 1/256.
    package var fractionLost: UInt8 = 0
    /// 24-bit signed on the wire.
    package var cumulativeLost: Int32 = 0
    /// Extended with the count of cycles in its top half.
    package var highestSequence: UInt32 = 0
    /// Clock units.
    package var jitter: UInt32 = 0
    /// The middle 32 bits of the NTP time of the last sender report; 0: none.
    package var lastSenderReport: UInt32 = 0
    /// 1/65536 s since then.
    package var delaySinceLastSenderReport: UInt32 = 0

    package init(ssrc: UInt32) { self.ssrc = ssrc }
}

/// The sender's half of a sender report.
package struct SenderInfo: Hashable, Sendable {
    package var ssrc: UInt32
    /// Seconds since 1900 in 32.32 fixed point.
    package var ntp: UInt64
    package var rtp: UInt32
    package var packets: UInt32
    package var octets: UInt32

    package init(ssrc: UInt32, ntp: UInt64, rtp: UInt32, packets: UInt32, octets: UInt32) {
        self.ssrc = ssrc
        self.ntp = ntp
        self.rtp = rtp
        self.packets = packets
        self.octets = octets
    }
}

/// One entry of a full intra request (RFC 5104 section 4.3.1).
package struct FirEntry: Hashable, Sendable {
    package var ssrc: UInt32
    package var sequence: UInt8
    package init(ssrc: UInt32, sequence: UInt8) {
        self.ssrc = ssrc
        self.sequence = sequence
    }
}

/// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
package struct TransportFeedback: Hashable, Sendable {
    package var sender: UInt32 = 0
    package var media: UInt32 = 0
    package var baseSequence: UInt16 = 0
    /// In units of 64 ms, 24 bits, signed on the wire.
    package var referenceTime: Int32 = 0
    package var feedbackCount: UInt8 = 0
    /// One for each sequence number from `baseSequence` on: nil was not received, else the time
    /// since the former received one (the first: since the reference time) in units of 250 µs.
    package var deltas: [Int16?] = []

    package init() {}

    package var receivedCount: Int { deltas.count { $0 != nil } }
}

/// One packet of a compound.
package enum RtcpPacket: Hashable, Sendable {
    case senderReport(SenderInfo, [ReportBlock])
    case receiverReport(sender: UInt32, [ReportBlock])
    /// SSRC and CNAME of each chunk that has one.
    case sourceDescription([SourceName])
    case goodbye([UInt32])
    case nack(sender: UInt32, media: UInt32, sequences: [UInt16])
    case pli(sender: UInt32, media: UInt32)
    case fir(sender: UInt32, [FirEntry])
    /// Receiver estimated maximum bitrate, bit/s (draft-alvestrand-rmcat-remb-03).
    case remb(sender: UInt32, bitsPerSecond: UInt64, ssrcs: [UInt32])
    case transportFeedback(TransportFeedback)
    /// Well-formed, but of no interest: XR, APP and unknown types.
    case other(type: UInt8, format: UInt8)

    package struct SourceName: Hashable, Sendable {
        package var ssrc: UInt32
        package var cname: String
        package init(ssrc: UInt32, cname: String) {
            self.ssrc = ssrc
            self.cname = cname
        }
    }
}

enum RtcpType {
    static let senderReport: UInt8 = 200
    static let receiverReport: UInt8 = 201
    static let sourceDescription: UInt8 = 202
    static let goodbye: UInt8 = 203
    static let transportFeedback: UInt8 = 205
    static let payloadFeedback: UInt8 = 206
}

enum RtcpFormat {
    static let nack: UInt8 = 1
    static let transportWide: UInt8 = 15
    static let pli: UInt8 = 1
    static let fir: UInt8 = 4
    static let application: UInt8 = 15
}
