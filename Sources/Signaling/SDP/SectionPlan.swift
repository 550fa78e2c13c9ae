// Decides for each section of an offer what it becomes in the answer.
// State: what was given away so far (sources, slots, extension ids). Owner: one answer.
// SPDX-License-Identifier: Apache-2.0

/// What one section becomes in the answer.
struct SectionPlan: Sendable {
    var section: MediaSection
    var mid = ""
    var isRejected = true
    /// The node's direction.
    var direction = MediaDirection.inactive
    var formats: [FormatChoice] = []
    var extensions: [ExtensionMapping] = []
    /// Encodings accepted from the client.
    var rids: [String] = []
    var publication: NegotiatedPublication?
    var slot: NegotiatedSlot?

    init(rejecting section: MediaSection) {
        self.section = section
        mid = section.mid ?? ""
    }
}

struct SectionPlanner {
    private let offer: SessionDescription
    private let sources: [String: FeedSource]
    private let mayPublish: Bool
    /// What sections were in the answers before, by mid.
    private let known: [String: FeedSource]
    private let bundle: Set<String>
    private var slotCounts: [MediaKind: Int] = [:]
    private var uriByID: [UInt8: String] = [:]
    private(set) var extensions = ExtensionIDs()

    init(
        offer: SessionDescription, sources: [String: FeedSource], mayPublish: Bool,
        known: [String: FeedSource]
    ) {
        self.offer = offer
        self.known = known
        self.sources = sources
        self.mayPublish = mayPublish
        bundle = Set(offer.bundles.first ?? [])
    }

    /// One plan for each section, in order.
    mutating func plan() throws(SDPError) -> [SectionPlan] {
        let sourceByMid = try assignSources()
        var plans: [SectionPlan] = []
        for section in offer.media {
            plans.append(plan(section, source: section.mid.flatMap { sourceByMid[$0] }))
        }
        return plans
    }

    /// The source of each sending section: what the client said, else what it was before, else
    /// by order, sparing sources whose section pauses as long as another is free.
    private func assignSources() throws(SDPError) -> [String: FeedSource] {
        let sending = offer.media.filter { section in
            section.direction.sends && !section.isRejected && section.kind != nil
        }
        var byMid: [String: FeedSource] = [:]
        var taken: Set<FeedSource> = []
        for section in sending {
            guard let mid = section.mid, let source = sources[mid] else { continue }
            guard source.kind == section.kind else {
                throw SDPError(
                    "section \(mid) is \(section.type) and can't be a \(source.rawValue)")
            }
            guard taken.insert(source).inserted else {
                throw SDPError("two sections are the \(source.rawValue)")
            }
            byMid[mid] = source
        }
        for section in sending {
            guard let mid = section.mid, byMid[mid] == nil, let source = known[mid],
                source.kind == section.kind, taken.insert(source).inserted
            else { continue }
            byMid[mid] = source
        }
        let paused = Set(
            offer.media.filter { !$0.isRejected && !$0.direction.sends }
                .compactMap { $0.mid.flatMap { known[$0] } })
        for section in sending {
            guard let mid = section.mid, byMid[mid] == nil else { continue }
            let free = FeedSource.allCases.filter {
                $0.kind == section.kind && !taken.contains($0)
            }
            guard let source = free.first(where: { !paused.contains($0) }) ?? free.first
            else { continue }
            taken.insert(source)
            byMid[mid] = source
        }
        return byMid
    }

    private func isAcceptable(_ section: MediaSection) -> Bool {
        guard !section.isRejected, section.kind != nil, let mid = section.mid,
            mid.utf8.count <= Negotiator.midBytesMax
        else { return false }
        let isBundled = bundle.contains(mid) || (bundle.isEmpty && offer.media.count == 1)
        let isSecure =
            section.proto.hasSuffix("TLS/RTP/SAVPF") || section.proto.hasSuffix("TLS/RTP/SAVP")
        return isBundled && isSecure && section.hasRtcpMux
    }

    private mutating func plan(_ section: MediaSection, source: FeedSource?) -> SectionPlan {
        var plan = SectionPlan(rejecting: section)
        guard isAcceptable(section), let kind = section.kind else { return plan }
        let choices = section.formatChoices()
        guard let preferred = choices.first else { return plan }
        plan.isRejected = false
        let publishes = section.direction.sends && mayPublish && source != nil
        let receives = section.direction.receives && takeSlot(kind)
        plan.formats = publishes ? [preferred] : choices
        if publishes, let source {
            plan.publication = publication(section, preferred, source)
        }
        if receives { plan.slot = slot(section, plan.formats) }
        plan.direction =
            switch (publishes, receives) {
            case (true, true): .sendrecv
            case (true, false): .recvonly
            case (false, true): .sendonly
            case (false, false): .inactive
            }
        // A section that pauses keeps all that was agreed on: a client offers no more than that
        // when it goes on, and simulcast would be lost.
        let pauses = plan.direction == .inactive
        if kind == .video, publishes || pauses {
            plan.rids = section.sentRids(
                payloadType: preferred.format.payloadType, most: Negotiator.encodingsMax)
        }
        plan.publication?.rids = plan.rids
        plan.extensions = acceptExtensions(
            section, publishes: publishes || pauses, receives: receives || pauses)
        return plan
    }

    private mutating func takeSlot(_ kind: MediaKind) -> Bool {
        let count = slotCounts[kind, default: 0]
        guard count < SDPLimits.slotsMax else { return false }
        slotCounts[kind] = count + 1
        return true
    }

    private func publication(
        _ section: MediaSection, _ choice: FormatChoice, _ source: FeedSource
    ) -> NegotiatedPublication {
        let offered = Set(choice.format.feedback)
        let payloadType = choice.format.payloadType
        return NegotiatedPublication(
            mid: section.mid ?? "", kind: source.kind, source: source, codec: choice.codec,
            payloadType: payloadType, rtxPayloadType: choice.rtx?.payloadType,
            clockRate: choice.format.clockRate, rids: [],
            ssrcs: section.declaredSSRCs(),
            feedback: RtcpFeedback(
                nack: offered.contains("nack"), pli: offered.contains("nack pli"),
                fir: offered.contains("ccm fir"), transportCC: offered.contains("transport-cc")))
    }

    private func slot(_ section: MediaSection, _ choices: [FormatChoice]) -> NegotiatedSlot {
        let offered = Set(choices.flatMap(\.format.feedback))
        return NegotiatedSlot(
            mid: section.mid ?? "", kind: section.kind ?? .video,
            codecs: choices.map {
                SlotCodec(
                    codec: $0.codec, payloadType: $0.format.payloadType,
                    rtxPayloadType: $0.rtx?.payloadType)
            },
            ssrc: 0, rtxSSRC: nil, clockRate: choices.first?.format.clockRate ?? 90_000,
            feedback: RtcpFeedback(
                nack: offered.contains("nack"), pli: offered.contains("nack pli"),
                fir: offered.contains("ccm fir"), remb: offered.contains("goog-remb")))
    }

    /// The extensions of a section that the node takes. An id means the same in every section of
    /// a bundle (RFC 9143 section 9.1): a contradicting line is not taken.
    private mutating func acceptExtensions(
        _ section: MediaSection, publishes: Bool, receives: Bool
    ) -> [ExtensionMapping] {
        var accepted: [ExtensionMapping] = []
        for mapping in section.extensions {
            guard !accepted.contains(where: { $0.uri == mapping.uri }),
                let known = HeaderExtensions.known.first(where: { $0.uri == mapping.uri }),
                publishes && known.inPublications || receives && known.inSlots,
                mapping.id < 15 || offer.allowsMixedExtensions
            else { continue }
            let number = extensions[keyPath: known.path]
            guard number == 0 || number == mapping.id,
                uriByID[mapping.id] == nil || uriByID[mapping.id] == mapping.uri
            else { continue }
            extensions[keyPath: known.path] = mapping.id
            uriByID[mapping.id] = mapping.uri
            accepted.append(mapping)
        }
        return accepted
    }
}
