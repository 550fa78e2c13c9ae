// Writes an SDP answer (RFC 8866, RFC 9429 section 5.3.1).
// SPDX-License-Identifier: Apache-2.0

struct AnswerWriter {
    var local: LocalTransport
    var role: DTLSRole
    var sessionID: UInt64
    var version: UInt64
    var allowsMixedExtensions: Bool

    func write(_ plans: [SectionPlan]) -> String {
        var text = ""
        text.reserveCapacity(plans.count * 1000 + 500)
        add("v=0", to: &text)
        add("o=- \(sessionID) \(version) IN IP4 127.0.0.1", to: &text)
        add("s=-", to: &text)
        add("t=0 0", to: &text)
        add("a=ice-lite", to: &text)
        let mids = plans.filter { !$0.isRejected }.map(\.mid)
        add("a=group:BUNDLE " + mids.joined(separator: " "), to: &text)
        if allowsMixedExtensions { add("a=extmap-allow-mixed", to: &text) }
        add("a=msid-semantic: WMS *", to: &text)
        for plan in plans {
            if plan.isRejected {
                reject(plan, to: &text)
            } else {
                accept(plan, to: &text)
            }
        }
        return text
    }

    private func add(_ line: String, to text: inout String) {
        text += line
        text += "\r\n"
    }

    private func reject(_ plan: SectionPlan, to text: inout String) {
        let section = plan.section
        add("m=\(section.type) 0 \(section.proto) \(section.formatText)", to: &text)
        add("c=IN IP4 0.0.0.0", to: &text)
        if let mid = section.mid { add("a=mid:\(mid)", to: &text) }
        add("a=inactive", to: &text)
    }

    private func accept(_ plan: SectionPlan, to text: inout String) {
        var payloadTypes: [String] = []
        for choice in plan.formats {
            payloadTypes.append(String(choice.format.payloadType))
            if let rtx = choice.rtx { payloadTypes.append(String(rtx.payloadType)) }
        }
        let port = local.candidates.first?.port ?? 9
        let list = payloadTypes.joined(separator: " ")
        add("m=\(plan.section.type) \(port) \(plan.section.proto) \(list)", to: &text)
        if let candidate = local.candidates.first {
            add("c=IN IP\(candidate.isIPv6 ? 6 : 4) \(candidate.address)", to: &text)
        } else {
            add("c=IN IP4 0.0.0.0", to: &text)
        }
        addTransport(to: &text)
        add("a=mid:\(plan.mid)", to: &text)
        for mapping in plan.extensions { add("a=extmap:\(mapping.id) \(mapping.uri)", to: &text) }
        add("a=\(plan.direction.rawValue)", to: &text)
        add("a=rtcp-mux", to: &text)
        if plan.section.hasReducedSizeRtcp { add("a=rtcp-rsize", to: &text) }
        for choice in plan.formats { addFormat(choice, of: plan, to: &text) }
        addSimulcast(plan, to: &text)
        if let slot = plan.slot { addSlot(slot, to: &text) }
    }

    /// Candidates stand in every section: aiortc reads those of the last one of a bundle.
    private func addTransport(to text: inout String) {
        for (index, candidate) in local.candidates.enumerated() {
            // Type preference 126, component 1 (RFC 8445 section 5.1.2.1).
            let localPreference = UInt32(65535 - min(index, 65535))
            let priority = 126 << 24 | localPreference << 8 | 255
            add(
                "a=candidate:\(index + 1) 1 udp \(priority) \(candidate.address) "
                    + "\(candidate.port) typ host", to: &text)
        }
        add("a=end-of-candidates", to: &text)
        add("a=ice-ufrag:\(local.ufrag)", to: &text)
        add("a=ice-pwd:\(local.password)", to: &text)
        add("a=fingerprint:\(local.fingerprint.algorithm) \(local.fingerprint.text)", to: &text)
        add("a=setup:\(role.rawValue)", to: &text)
    }

    /// Feedback that the node sends to a publisher, and that it takes from a slot's receiver.
    private static let publicationFeedback: Set = ["nack", "nack pli", "ccm fir", "transport-cc"]
    private static let slotFeedback: Set = ["nack", "nack pli", "ccm fir", "goog-remb"]

    private func addFormat(
        _ choice: FormatChoice, of plan: SectionPlan, to text: inout String
    ) {
        let format = choice.format
        let name = choice.codec.encodingName
        var rtpmap = "a=rtpmap:\(format.payloadType) \(name)/\(format.clockRate)"
        if format.channels > 1 { rtpmap += "/\(format.channels)" }
        add(rtpmap, to: &text)
        let pauses = plan.direction == .inactive
        for feedback in format.feedback {
            let isTaken =
                (pauses || plan.publication != nil) && Self.publicationFeedback.contains(feedback)
                || (pauses || plan.slot != nil) && Self.slotFeedback.contains(feedback)
            if isTaken { add("a=rtcp-fb:\(format.payloadType) \(feedback)", to: &text) }
        }
        if !format.parameterText.isEmpty {
            add("a=fmtp:\(format.payloadType) \(format.parameterText)", to: &text)
        }
        if let rtx = choice.rtx {
            add("a=rtpmap:\(rtx.payloadType) rtx/\(rtx.clockRate)", to: &text)
            add("a=fmtp:\(rtx.payloadType) apt=\(format.payloadType)", to: &text)
        }
    }

    private func addSimulcast(_ plan: SectionPlan, to text: inout String) {
        let rids = plan.rids
        guard !rids.isEmpty else { return }
        for rid in rids { add("a=rid:\(rid) recv", to: &text) }
        guard !plan.section.simulcastSend.isEmpty else { return }
        add("a=simulcast:recv " + rids.joined(separator: ";"), to: &text)
    }

    private func addSlot(_ slot: NegotiatedSlot, to text: inout String) {
        add("a=msid:slot-\(slot.mid) slot-\(slot.mid)", to: &text)
        if let rtx = slot.rtxSSRC {
            add("a=ssrc-group:FID \(slot.ssrc) \(rtx)", to: &text)
            add("a=ssrc:\(slot.ssrc) cname:roundhouse", to: &text)
            add("a=ssrc:\(rtx) cname:roundhouse", to: &text)
        } else {
            add("a=ssrc:\(slot.ssrc) cname:roundhouse", to: &text)
        }
    }
}

extension MediaCodec {
    /// The name in `a=rtpmap`.
    var encodingName: String {
        switch self {
        case .opus: "opus"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .h264: "H264"
        case .av1: "AV1"
        }
    }
}
