// Which payload formats of an offer the node forwards, and which RTX format belongs to each.
// SPDX-License-Identifier: Apache-2.0

/// A codec accepted from a section.
struct FormatChoice: Sendable, Equatable {
    var codec: MediaCodec
    var format: PayloadFormat
    /// The retransmission format (RFC 4588), if the section offers one for it.
    var rtx: PayloadFormat?
}

extension PayloadFormat {
    /// The forwarded codec that this format is, or nil for one that the node doesn't forward.
    ///
    /// H.264 needs packetization-mode 1 (RFC 6184 section 6.3), VP9 and AV1 their profile 0.
    var codec: MediaCodec? {
        switch (name, clockRate) {
        case ("OPUS", 48_000): .opus
        case ("VP8", 90_000): .vp8
        case ("VP9", 90_000): (parameters["profile-id"] ?? "0") == "0" ? .vp9 : nil
        case ("H264", 90_000): parameters["packetization-mode"] == "1" ? .h264 : nil
        case ("AV1", 90_000): (parameters["profile"] ?? "0") == "0" ? .av1 : nil
        default: nil
        }
    }

    /// How welcome this format is among others of the same codec; lower is better.
    ///
    /// Every receiver decodes constrained baseline (RFC 7742 section 6.2), fewer the rest.
    fileprivate var rank: Int {
        guard codec == .h264 else { return 0 }
        let profile = (parameters["profile-level-id"] ?? "").lowercased()
        if profile.hasPrefix("42e0") { return 0 }
        if profile.hasPrefix("42") { return 1 }
        return profile.hasPrefix("4d") ? 2 : 3
    }
}

extension MediaSection {
    /// The accepted formats in the order of the offer, one for each codec.
    func formatChoices() -> [FormatChoice] {
        var choices: [FormatChoice] = []
        for format in formats {
            guard let codec = format.codec, codec.kind == kind else { continue }
            if let index = choices.firstIndex(where: { $0.codec == codec }) {
                if format.rank < choices[index].format.rank { choices[index].format = format }
            } else {
                choices.append(FormatChoice(codec: codec, format: format))
            }
        }
        for index in choices.indices {
            let apt = String(choices[index].format.payloadType)
            choices[index].rtx = formats.first { $0.name == "RTX" && $0.parameters["apt"] == apt }
        }
        return choices
    }

    /// The encodings that the section sends in their order, as far as `payloadType` may be in
    /// them; at most `most`.
    func sentRids(payloadType: UInt8, most: Int) -> [String] {
        let usable = rids.filter {
            $0.isSending && ($0.payloadTypes.isEmpty || $0.payloadTypes.contains(payloadType))
        }.map(\.id)
        let ordered = simulcastSend.isEmpty ? Array(usable.prefix(1)) : simulcastSend
        var chosen: [String] = []
        for rid in ordered where usable.contains(rid) && !chosen.contains(rid) {
            chosen.append(rid)
        }
        return Array(chosen.prefix(most))
    }

    /// The declared SSRCs of the media itself, each with its RTX from an FID group (RFC 4588).
    func declaredSSRCs() -> [DeclaredSSRC] {
        let pairs = ssrcGroups.filter { $0.semantics == "FID" && $0.ssrcs.count == 2 }.map(\.ssrcs)
        let resends = Set(pairs.map { $0[1] })
        return ssrcs.filter { !resends.contains($0) }.map { ssrc in
            DeclaredSSRC(ssrc: ssrc, rtx: pairs.first { $0[0] == ssrc }?[1])
        }
    }
}

/// Header extensions that the node understands, and in which sections it accepts them.
enum HeaderExtensions {
    struct Known: Sendable {
        var uri: String
        var path: any WritableKeyPath<ExtensionIDs, UInt8> & Sendable
        /// Accepted in sections that the client sends, and in slots.
        var inPublications: Bool
        var inSlots: Bool
    }

    static let known: [Known] = [
        Known(
            uri: "urn:ietf:params:rtp-hdrext:sdes:mid", path: \.mid,
            inPublications: true, inSlots: true),
        Known(
            uri: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", path: \.rid,
            inPublications: true, inSlots: false),
        Known(
            uri: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", path: \.repairedRid,
            inPublications: true, inSlots: false),
        Known(
            uri: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            path: \.absSendTime, inPublications: true, inSlots: true),
        Known(
            uri: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            path: \.transportCC, inPublications: true, inSlots: false),
        Known(
            uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level", path: \.audioLevel,
            inPublications: true, inSlots: false),
        Known(
            uri: "https://aomediacodec.github.io/av1-rtp-spec/"
                + "#dependency-descriptor-rtp-header-extension",
            path: \.dependencyDescriptor, inPublications: true, inSlots: false),
        Known(
            uri: "urn:3gpp:video-orientation", path: \.videoOrientation,
            inPublications: true, inSlots: true),
    ]
}
