// One participant of the media plane as a `MediaPeer`: what it publishes and its slots, by mid.
// SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Signaling
import Synchronization

final class WorkerMediaPeer: MediaPeer {
    private struct Published {
        var track: TrackID
        var negotiated: NegotiatedPublication
    }

    private struct State {
        var credentials: IceCredentials
        var published: [String: Published] = [:]
        var slots: [String: SlotID] = [:]
    }

    let id: MediaPeerID
    private let participant: MediaParticipant
    private let names: MediaNames
    private let fingerprint: DTLSFingerprint
    /// Changed by one caller at a time; read by anyone.
    private let state: Mutex<State>

    init(_ participant: MediaParticipant, names: MediaNames, fingerprint: DTLSFingerprint) {
        self.participant = participant
        self.names = names
        self.fingerprint = fingerprint
        id = names.addPeer(participant.id)
        state = Mutex(State(credentials: participant.ice))
    }

    var local: LocalTransport {
        let credentials = state.withLock { $0.credentials }
        return LocalTransport(
            ufrag: credentials.ufrag, password: credentials.pwd, fingerprint: fingerprint,
            candidates: participant.candidates.map {
                LocalCandidate(
                    address: $0.endpoint.address.description,
                    isIPv6: $0.endpoint.address.family == .v6, port: $0.endpoint.port)
            })
    }

    func restartICE() async -> LocalTransport {
        let fresh = await participant.requestIceRestart()
        state.withLock { $0.credentials = fresh }
        return local
    }

    func apply(_ session: NegotiatedSession) async throws(MediaRefusal) -> [AppliedPublication] {
        do {
            try await participant.apply(TransportDescription(session))
            let applied = try await publish(session.publications)
            try await addSlots(session.slots)
            return applied
        } catch {
            throw MediaRefusal(error)
        }
    }

    private func publish(
        _ wanted: [NegotiatedPublication]
    ) async throws(MediaError) -> [AppliedPublication] {
        var old = state.withLock { $0.published }
        var applied: [AppliedPublication] = []
        for publication in wanted {
            let known = old.removeValue(forKey: publication.mid)
            let isNew = known?.negotiated != publication
            if isNew {
                let track = try await participant.publish(PublicationDescription(publication))
                names.set(TrackName(peer: id, mid: publication.mid), track)
                state.withLock {
                    $0.published[publication.mid] = Published(
                        track: track, negotiated: publication)
                }
            }
            applied.append(
                AppliedPublication(
                    mid: publication.mid, source: publication.source, codec: publication.codec,
                    isNew: isNew))
        }
        for (mid, gone) in old {
            names.set(TrackName(peer: id, mid: mid), nil)
            state.withLock { $0.published[mid] = nil }
            await participant.unpublish(gone.track)
        }
        return applied
    }

    private func addSlots(_ wanted: [NegotiatedSlot]) async throws(MediaError) {
        let known = state.withLock { $0.slots }
        let new = wanted.filter { known[$0.mid] == nil }
        guard !new.isEmpty else { return }
        let made = try await participant.addSlots(new.map { SlotDescription($0) })
        for (slot, made) in zip(new, made) {
            names.add(made, mid: slot.mid)
            state.withLock { $0.slots[slot.mid] = made }
        }
    }

    func setMuted(mid: String, _ isMuted: Bool) async {
        guard let track = state.withLock({ $0.published[mid]?.track }) else { return }
        await participant.setMuted(track, isMuted)
    }

    func remap(_ steps: [SlotStep]) async -> [SlotOutcome] {
        var outcomes = [SlotOutcome](repeating: .stale, count: steps.count)
        var changes: [MediaPlane.SlotChange] = []
        var positions: [Int] = []
        let slots = state.withLock { $0.slots }
        for (index, step) in steps.enumerated() {
            guard let change = change(step, slots) else { continue }
            changes.append(change)
            positions.append(index)
        }
        guard !changes.isEmpty else { return outcomes }
        for (index, result) in zip(positions, await participant.remap(changes)) {
            outcomes[index] = SlotOutcome(result)
        }
        return outcomes
    }

    private func change(
        _ step: SlotStep, _ slots: [String: SlotID]
    ) -> MediaPlane.SlotChange? {
        switch step {
        case .unbind(let mid): return slots[mid].map { .unbind($0) }
        case .setBitrate(let mid, let bitrate): return slots[mid].map { .setBitrate($0, bitrate) }
        case .bind(let mid, let name, let bitrate, let source):
            guard let slot = slots[mid], let track = names.track(name) else { return nil }
            let priority: SlotPriority = source == .camera ? .normal : .high
            return .bind(slot, track, bitrate: bitrate, priority: priority)
        }
    }

    func close() async {
        let (slots, mids) = state.withLock { state in
            (Array(state.slots.values), Array(state.published.keys))
        }
        names.removePeer(
            participant.id, slots: slots, tracks: mids.map { TrackName(peer: id, mid: $0) })
        await participant.close()
    }
}

extension SlotOutcome {
    init(_ result: SlotResult) {
        switch result {
        case .ok: self = .done
        case .noCommonCodec: self = .noCommonCodec
        case .staleTrack, .staleSlot: self = .stale
        case .full: self = .full
        }
    }
}

extension MediaPlane.MediaKind {
    init(_ kind: Signaling.MediaKind) { self = kind == .audio ? .audio : .video }
}

extension MediaPlane.MediaCodec {
    init(_ codec: Signaling.MediaCodec) {
        switch codec {
        case .opus: self = .opus
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .h264: self = .h264
        case .av1: self = .av1
        }
    }
}

extension MediaPlane.ExtensionIDs {
    init(_ ids: Signaling.ExtensionIDs) {
        func known(_ id: UInt8) -> UInt8? { id == 0 ? nil : id }
        self.init()
        mid = known(ids.mid)
        rid = known(ids.rid)
        repairedRid = known(ids.repairedRid)
        absSendTime = known(ids.absSendTime)
        transportSequence = known(ids.transportCC)
        audioLevel = known(ids.audioLevel)
        dependencyDescriptor = known(ids.dependencyDescriptor)
        videoOrientation = known(ids.videoOrientation)
    }
}

extension TransportDescription {
    /// Throws `.invalid` when no fingerprint has a hash that is strong enough.
    init(_ session: NegotiatedSession) throws(MediaError) {
        let fingerprints = session.remote.fingerprints.compactMap { print in
            Fingerprint.Algorithm(rawValue: print.algorithm.lowercased()).flatMap {
                Fingerprint(algorithm: $0, bytes: print.bytes)
            }
        }
        guard !fingerprints.isEmpty else {
            throw .invalid("a=fingerprint must be sha-256, sha-384 or sha-512")
        }
        self.init(
            remote: IceCredentials(ufrag: session.remote.ufrag, pwd: session.remote.password),
            fingerprints: fingerprints, role: session.role == .passive ? .passive : .active,
            extensions: MediaPlane.ExtensionIDs(session.extensions))
    }
}

extension PublicationDescription {
    init(_ publication: NegotiatedPublication) {
        var encodings: [EncodingDescription] = []
        if publication.rids.isEmpty {
            let ssrc = publication.ssrcs.first
            encodings = [EncodingDescription(ssrc: ssrc?.ssrc, rtxSSRC: ssrc?.rtx)]
        } else {
            for (index, rid) in publication.rids.enumerated() {
                let known = publication.ssrcs.count == publication.rids.count
                let ssrc = known ? publication.ssrcs[index] : nil
                encodings.append(
                    EncodingDescription(rid: rid, ssrc: ssrc?.ssrc, rtxSSRC: ssrc?.rtx))
            }
        }
        var feedback: FeedbackOptions = []
        if publication.feedback.nack { feedback.insert(.nack) }
        if publication.feedback.pli { feedback.insert(.pli) }
        if publication.feedback.fir { feedback.insert(.fir) }
        if publication.feedback.transportCC { feedback.insert(.transportCC) }
        if publication.feedback.remb { feedback.insert(.remb) }
        self.init(
            mid: publication.mid, kind: MediaPlane.MediaKind(publication.kind),
            codec: MediaPlane.MediaCodec(publication.codec), payloadType: publication.payloadType,
            rtxPayloadType: publication.rtxPayloadType, clockRate: publication.clockRate,
            encodings: encodings, feedback: feedback)
    }
}

extension SlotDescription {
    init(_ slot: NegotiatedSlot) {
        self.init(
            mid: slot.mid, kind: MediaPlane.MediaKind(slot.kind), ssrc: slot.ssrc,
            rtxSSRC: slot.rtxSSRC,
            payloads: slot.codecs.map {
                PayloadMapping(
                    codec: MediaPlane.MediaCodec($0.codec), payloadType: $0.payloadType,
                    rtxPayloadType: $0.rtxPayloadType)
            })
    }
}
