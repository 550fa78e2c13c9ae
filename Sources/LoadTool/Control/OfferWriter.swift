// Writes the offer of a synthetic participant (RFC 8866, RFC 9429 section 5.2).
// SPDX-License-Identifier: Apache-2.0

package import MediaPlane
package import Signaling

/// SSRCs of one encoding.
package struct StreamNumbers: Sendable, Equatable {
    package var ssrc: UInt32
    /// Of its resends (RFC 4588).
    package var rtx: UInt32?

    package init(ssrc: UInt32, rtx: UInt32? = nil) {
        self.ssrc = ssrc
        self.rtx = rtx
    }
}

/// What a participant offers.
package struct OfferPlan: Sendable {
    /// A section that sends.
    package struct Publication: Sendable {
        package var source: FeedSource
        package var codec: MediaCodec
        /// One an encoding, lowest first; more than one: simulcast by rid.
        package var ssrcs: [StreamNumbers]
        package var rids: [String] { ssrcs.count > 1 ? ["q", "h", "f"].suffix(ssrcs.count) : [] }

        package init(
            source: FeedSource, codec: MediaCodec, ssrcs: [StreamNumbers]
        ) {
            self.source = source
            self.codec = codec
            self.ssrcs = ssrcs
        }
    }

    package var publications: [Publication] = []
    /// Sections that receive, and what they can carry.
    package var videoSlots = 0, audioSlots = 0
    package var videoCodecs: [MediaCodec] = [.vp8]
    package var sessionID: UInt64 = 1

    package init() {}

    /// The mid of a publication: its place among the sections.
    package func mid(ofPublication index: Int) -> String { String(index) }

    /// What each sending section is, for OFFER.
    package var sources: [String: FeedSource] {
        var sources: [String: FeedSource] = [:]
        for (index, publication) in publications.enumerated() {
            sources[mid(ofPublication: index)] = publication.source
        }
        return sources
    }
}

/// Payload types that the tool offers; one numbering for all sections.
package enum PayloadTypes {
    package static func of(_ codec: MediaCodec) -> (media: UInt8, rtx: UInt8) {
        switch codec {
        case .opus: (111, 0)
        case .vp8: (96, 97)
        case .vp9: (98, 99)
        case .h264: (102, 103)
        case .av1: (104, 105)
        }
    }
}

package struct OfferWriter {
    static let midURI = "urn:ietf:params:rtp-hdrext:sdes:mid"
    static let ridURI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    static let repairedURI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
    static let timeURI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    static let transportURI =
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    static let levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

    private let secret: IceCredentials
    private let fingerprint: Fingerprint
    private var text = ""

    package init(secret: IceCredentials, fingerprint: Fingerprint) {
        self.secret = secret
        self.fingerprint = fingerprint
    }

    /// The session description.
    package consuming func write(_ plan: OfferPlan) -> String {
        var writer = self
        let count = plan.publications.count + plan.videoSlots + plan.audioSlots
        writer.text.reserveCapacity(600 + count * 700)
        writer.writeSession(plan, count)
        var mid = 0
        for publication in plan.publications {
            writer.write(publication, mid: mid)
            mid += 1
        }
        for kind in [MediaKind.video, .audio] {
            for _ in 0..<(kind == .video ? plan.videoSlots : plan.audioSlots) {
                writer.writeSlot(kind == .video ? plan.videoCodecs : [.opus], mid: mid)
                mid += 1
            }
        }
        return writer.text
    }

    private mutating func add(_ line: String) {
        text += line
        text += "\r\n"
    }

    private mutating func writeSession(_ plan: OfferPlan, _ count: Int) {
        add("v=0")
        add("o=- \(plan.sessionID) 1 IN IP4 127.0.0.1")
        add("s=-")
        add("t=0 0")
        add("a=group:BUNDLE " + (0..<count).map(String.init).joined(separator: " "))
        add("a=extmap-allow-mixed")
        add("a=msid-semantic: WMS *")
        add("a=ice-ufrag:\(secret.ufrag)")
        add("a=ice-pwd:\(secret.pwd)")
        add("a=fingerprint:\(fingerprint.attribute)")
        add("a=setup:actpass")
    }

    private mutating func begin(
        _ kind: MediaKind, _ codecs: [MediaCodec], mid: Int, direction: MediaDirection
    ) {
        var types: [String] = []
        for codec in codecs {
            let numbers = PayloadTypes.of(codec)
            types.append(String(numbers.media))
            if numbers.rtx != 0 { types.append(String(numbers.rtx)) }
        }
        let list = types.joined(separator: " ")
        add("m=\(kind.rawValue) 9 UDP/TLS/RTP/SAVPF \(list)")
        add("c=IN IP4 0.0.0.0")
        add("a=mid:\(mid)")
        add("a=extmap:1 \(Self.midURI)")
        add("a=extmap:2 \(Self.timeURI)")
        if direction.sends {
            add("a=extmap:3 \(Self.transportURI)")
            if kind == .audio { add("a=extmap:4 \(Self.levelURI)") }
        }
        add("a=\(direction.rawValue)")
        add("a=rtcp-mux")
        add("a=rtcp-rsize")
        for codec in codecs { writeFormat(codec, sends: direction.sends) }
    }

    private mutating func writeFormat(_ codec: MediaCodec, sends: Bool) {
        let (media, rtx) = PayloadTypes.of(codec)
        guard rtx != 0 else {
            add("a=rtpmap:\(media) opus/48000/2")
            if sends { add("a=rtcp-fb:\(media) transport-cc") }
            add("a=fmtp:\(media) minptime=10;useinbandfec=1")
            return
        }
        add("a=rtpmap:\(media) \(codec.rawValue.uppercased())/90000")
        if codec == .h264 {
            add("a=fmtp:\(media) packetization-mode=1;profile-level-id=42e01f")
        }
        add("a=rtcp-fb:\(media) nack")
        add("a=rtcp-fb:\(media) nack pli")
        add("a=rtcp-fb:\(media) ccm fir")
        if sends { add("a=rtcp-fb:\(media) transport-cc") }
        add("a=rtpmap:\(rtx) rtx/90000")
        add("a=fmtp:\(rtx) apt=\(media)")
    }

    private mutating func write(_ publication: OfferPlan.Publication, mid: Int) {
        let kind = publication.source.kind
        begin(kind, [publication.codec], mid: mid, direction: .sendonly)
        guard publication.rids.isEmpty else {
            add("a=extmap:5 \(Self.ridURI)")
            add("a=extmap:6 \(Self.repairedURI)")
            for rid in publication.rids { add("a=rid:\(rid) send") }
            add("a=simulcast:send " + publication.rids.joined(separator: ";"))
            return
        }
        for declared in publication.ssrcs {
            if let rtx = declared.rtx { add("a=ssrc-group:FID \(declared.ssrc) \(rtx)") }
            add("a=ssrc:\(declared.ssrc) cname:load")
            if let rtx = declared.rtx { add("a=ssrc:\(rtx) cname:load") }
        }
    }

    private mutating func writeSlot(_ codecs: [MediaCodec], mid: Int) {
        let kind: MediaKind = codecs.first == .opus ? .audio : .video
        begin(kind, codecs, mid: mid, direction: .recvonly)
    }
}
