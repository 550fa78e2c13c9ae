// Reads a node's answer as its client. SPDX-License-Identifier: Apache-2.0

package import MediaPlane
import Signaling

/// What a participant needs of an answer.
package struct AnswerPlan: Sendable {
    /// A section in which the node sends.
    package struct Slot: Sendable, Equatable {
        package var mid: String
        package var plan: SlotPlan

        package init(mid: String, plan: SlotPlan) {
            self.mid = mid
            self.plan = plan
        }
    }

    package var secret: IceCredentials
    package var fingerprints: [Fingerprint]
    /// Ours.
    package var role: DtlsRole
    /// In the answer's order, without repetitions.
    package var candidates: [Endpoint]
    package var extensions: HeaderIDs
    /// Mids of sections in which the node receives.
    package var accepted: Set<String>
    package var slots: [Slot]
}

package enum AnswerReader {
    /// Throws `LoadFailure` for an answer with which no media can flow.
    package static func read(_ text: String) throws -> AnswerPlan {
        let answer: SessionDescription
        do { answer = try SessionDescription.parse(text) } catch {
            throw LoadFailure("the answer is not readable", error.message)
        }
        guard let section = answer.media.first(where: { !$0.isRejected }) else {
            throw LoadFailure("the answer accepts nothing")
        }
        let transport = complete(section.transport, answer.transport)
        guard let ufrag = transport.ufrag, let password = transport.password else {
            throw LoadFailure("the answer has no ICE credentials")
        }
        let fingerprints = transport.fingerprints.compactMap {
            Fingerprint(attribute: "\($0.algorithm) \($0.text)")
        }
        guard !fingerprints.isEmpty else {
            throw LoadFailure("the answer has no usable fingerprint")
        }
        let candidates = candidates(in: text)
        guard !candidates.isEmpty else { throw LoadFailure("the answer has no UDP candidate") }
        let live = answer.media.filter { !$0.isRejected }
        return AnswerPlan(
            secret: IceCredentials(ufrag: ufrag, pwd: password), fingerprints: fingerprints,
            role: transport.setup == .active ? .passive : .active, candidates: candidates,
            extensions: extensions(live),
            accepted: Set(live.filter { $0.direction.receives }.compactMap(\.mid)),
            slots: live.filter { $0.direction.sends }.compactMap(slot))
    }

    private static func complete(
        _ section: TransportAttributes, _ session: TransportAttributes
    ) -> TransportAttributes {
        var all = section
        all.ufrag = section.ufrag ?? session.ufrag
        all.password = section.password ?? session.password
        all.setup = section.setup ?? session.setup
        if all.fingerprints.isEmpty { all.fingerprints = session.fingerprints }
        return all
    }

    /// `candidate:FOUNDATION 1 udp PRIORITY ADDRESS PORT typ host` (RFC 8839 section 5.1).
    private static func candidates(in text: String) -> [Endpoint] {
        var found: [Endpoint] = []
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("a=candidate:") {
            let fields = line.dropFirst(12).split(separator: " ")
            guard fields.count >= 8, fields[1] == "1", fields[2].lowercased() == "udp",
                let address = IPAddress(String(fields[4])), let port = UInt16(fields[5])
            else { continue }
            let endpoint = Endpoint(address: address, port: port)
            if !found.contains(endpoint) { found.append(endpoint) }
        }
        return found
    }

    private static func extensions(_ sections: [MediaSection]) -> HeaderIDs {
        var ids = HeaderIDs()
        for mapping in sections.flatMap(\.extensions) {
            switch mapping.uri {
            case OfferWriter.midURI: ids.mid = mapping.id
            case OfferWriter.ridURI: ids.rid = mapping.id
            case OfferWriter.repairedURI: ids.repairedRid = mapping.id
            case OfferWriter.timeURI: ids.absSendTime = mapping.id
            case OfferWriter.transportURI: ids.transportSequence = mapping.id
            case OfferWriter.levelURI: ids.audioLevel = mapping.id
            default: break
            }
        }
        return ids
    }

    private static func slot(_ section: MediaSection) -> AnswerPlan.Slot? {
        let pairs = section.ssrcGroups.filter { $0.semantics == "FID" && $0.ssrcs.count == 2 }
        guard let kind = section.kind, let mid = section.mid,
            let ssrc = pairs.first?.ssrcs[0] ?? section.ssrcs.first
        else { return nil }
        let codec: MediaCodec =
            switch section.formats.first?.name {
            case "VP9": .vp9
            case "H264": .h264
            case "AV1": .av1
            default: kind == .audio ? .opus : .vp8
            }
        return AnswerPlan.Slot(
            mid: mid,
            plan: SlotPlan(
                kind: kind, codec: codec, ssrc: ssrc, rtxSSRC: pairs.first?.ssrcs[1] ?? 0))
    }
}
