// Answers a client's offers: one PeerConnection with publications and slots.
// State: what must stay the same from offer to offer, about 100 bytes a slot. Owner: one peer.
// SPDX-License-Identifier: Apache-2.0

/// The offer/answer state of one peer (RFC 9429 section 5.3, answerer's side only).
public struct Negotiator: Sendable {
    private struct SlotNumbers: Sendable {
        var ssrc: UInt32
        var rtx: UInt32
    }

    /// Most encodings of a publication.
    public static let encodingsMax = 3
    /// Bytes of a mid that fit the media plane's tables.
    static let midBytesMax = 16

    private let sessionID: UInt64
    private var version: UInt64 = 0
    private var remoteUfrag: String?
    private var fingerprints: Set<DTLSFingerprint> = []
    private var role: DTLSRole?
    /// What sections were in the answers before, by mid; at most `SDPLimits.sectionsMax`.
    private var sources: [String: FeedSource] = [:]
    private var slotNumbers: [String: SlotNumbers] = [:]
    private var usedSSRCs: Set<UInt32> = [0]

    /// - Parameter sessionID: the number in the answers' `o=` lines; random, below 2^63.
    public init(sessionID: UInt64) {
        self.sessionID = sessionID & (1 << 63 - 1)
    }

    /// Whether `offer` restarts ICE (RFC 8839 section 4.4.1.1): the answer then needs fresh
    /// local credentials. False for the first offer.
    public func isIceRestart(_ offer: SessionDescription) -> Bool {
        guard let remoteUfrag, let plan = try? Self.transportSection(offer) else { return false }
        return plan.ufrag != remoteUfrag
    }

    /// Whether `offer` comes from the same connection as the offers before: one of the client's
    /// certificates is the same. If not, the client has made a new connection and the old
    /// transport and this negotiator are of no more use. True for the first offer.
    public func continues(_ offer: SessionDescription) -> Bool {
        guard !fingerprints.isEmpty, let transport = try? Self.transportSection(offer) else {
            return true
        }
        return !fingerprints.isDisjoint(with: transport.fingerprints)
    }

    /// Answers an offer.
    ///
    /// - Parameters:
    ///   - sources: what the sending sections are, by mid; others are taken in order: the first
    ///     audio is the microphone, the first video the camera, the second the screen.
    ///   - mayPublish: false for a ghost; sending sections are then answered as inactive.
    ///   - local: the node's own transport.
    ///   - random: for the slots' SSRCs.
    /// - Throws: `SDPError` when nothing of the offer can be accepted; the state is unchanged.
    public mutating func answer(
        _ offer: SessionDescription, sources: [String: FeedSource], mayPublish: Bool,
        local: LocalTransport, using random: inout some RandomNumberGenerator
    ) throws(SDPError) -> NegotiatedSession {
        let transport = try Self.transportSection(offer)
        let remote = try Self.remote(transport)
        var next = self
        let role = try next.decideRole(transport.setup)
        var planner = SectionPlanner(
            offer: offer, sources: sources, mayPublish: mayPublish, known: self.sources)
        var plans = try planner.plan()
        guard plans.contains(where: { !$0.isRejected }) else {
            throw SDPError("no media section of the offer can be accepted")
        }
        next.usedSSRCs.formUnion(offer.media.flatMap(\.ssrcs))
        for index in plans.indices where plans[index].slot != nil {
            next.number(&plans[index], using: &random)
        }
        next.rememberSources(plans)
        next.version += 1
        next.remoteUfrag = remote.ufrag
        next.fingerprints = Set(remote.fingerprints)
        let isRestart = remoteUfrag.map { $0 != remote.ufrag } ?? false
        let writer = AnswerWriter(
            local: local, role: role, sessionID: sessionID, version: next.version,
            allowsMixedExtensions: offer.allowsMixedExtensions)
        let text = writer.write(plans)
        self = next
        return NegotiatedSession(
            answer: text, remote: remote, role: role, extensions: planner.extensions,
            publications: plans.compactMap(\.publication), slots: plans.compactMap(\.slot),
            isIceRestart: isRestart)
    }

    /// The transport attributes of the whole bundle: those of its first section that is not
    /// rejected, completed from the session level (RFC 9143 section 7.2).
    private static func transportSection(
        _ offer: SessionDescription
    ) throws(SDPError) -> TransportAttributes {
        guard !offer.media.isEmpty else { throw SDPError("the offer has no media section") }
        let bundle = Set(offer.bundles.first ?? [])
        let tagged = offer.media.first { section in
            !section.isRejected && (bundle.isEmpty || bundle.contains(section.mid ?? ""))
        }
        guard var transport = tagged?.transport else {
            throw SDPError("no media section of the offer can be accepted")
        }
        transport.ufrag = transport.ufrag ?? offer.transport.ufrag
        transport.password = transport.password ?? offer.transport.password
        transport.setup = transport.setup ?? offer.transport.setup
        if transport.fingerprints.isEmpty {
            transport.fingerprints = offer.transport.fingerprints
        }
        return transport
    }

    private static func remote(
        _ transport: TransportAttributes
    ) throws(SDPError) -> RemoteTransport {
        guard let ufrag = transport.ufrag, let password = transport.password else {
            throw SDPError("the offer has no ICE credentials (a=ice-ufrag, a=ice-pwd)")
        }
        guard !transport.fingerprints.isEmpty else {
            throw SDPError("the offer has no a=fingerprint: media must be encrypted")
        }
        return RemoteTransport(
            ufrag: ufrag, password: password, fingerprints: transport.fingerprints)
    }

    /// Passive unless the offer wants to be passive itself; an established role stays
    /// (RFC 8842 section 5.3).
    private mutating func decideRole(_ setup: SetupRole?) throws(SDPError) -> DTLSRole {
        let decided: DTLSRole
        switch setup ?? .actpass {
        case .actpass: decided = role ?? .passive
        case .active: decided = .passive
        case .passive: decided = .active
        case .holdconn: throw SDPError("a=setup:holdconn is not supported")
        }
        if let role, role != decided {
            throw SDPError("a=setup must not reverse the DTLS roles of a running session")
        }
        role = decided
        return decided
    }

    /// Gives a slot its SSRCs: those of before for a known mid, else unused random ones.
    private mutating func number(
        _ plan: inout SectionPlan, using random: inout some RandomNumberGenerator
    ) {
        let mid = plan.mid
        let numbers: SlotNumbers
        if let known = slotNumbers[mid] {
            numbers = known
        } else {
            numbers = SlotNumbers(ssrc: unusedSSRC(using: &random), rtx: unusedSSRC(using: &random))
            slotNumbers[mid] = numbers
        }
        let hasRtx = plan.slot?.codecs.contains { $0.rtxPayloadType != nil } ?? false
        plan.slot?.ssrc = numbers.ssrc
        plan.slot?.rtxSSRC = hasRtx ? numbers.rtx : nil
    }

    private mutating func rememberSources(_ plans: [SectionPlan]) {
        let live = Set(plans.filter { !$0.isRejected }.map(\.mid))
        sources = sources.filter { live.contains($0.key) }
        for publication in plans.compactMap(\.publication) {
            sources[publication.mid] = publication.source
        }
    }

    private mutating func unusedSSRC(using random: inout some RandomNumberGenerator) -> UInt32 {
        while true {
            let ssrc = UInt32.random(in: 1...UInt32.max, using: &random)
            if usedSSRCs.insert(ssrc).inserted { return ssrc }
        }
    }
}
