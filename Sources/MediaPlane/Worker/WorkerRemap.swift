// Binding slots to tracks, and which encoding each carries. SPDX-License-Identifier: Apache-2.0

import CRouter

extension Worker {
    /// All layers of the encoding.
    private static let allLayers: UInt8 = 255

    func remap(_ changes: [SlotChange], of id: ParticipantID) async -> [SlotResult] {
        guard let peer = peer(id) else { return changes.map { _ in .staleSlot } }
        await takeTurn(peer)
        defer { giveTurn(peer) }
        for change in changes {
            if case .bind(_, let track, _, _) = change, track.worker != index {
                _ = await ensureMirror(of: track)
            }
        }
        return applyRemap(changes, of: id)
    }

    /// Remaps of one participant follow each other, though the making of a mirror suspends.
    private func takeTurn(_ peer: Peer) async {
        guard peer.isRemapping else {
            peer.isRemapping = true
            return
        }
        await withCheckedContinuation { peer.waitingRemaps.append($0) }
    }

    private func giveTurn(_ peer: Peer) {
        guard !peer.waitingRemaps.isEmpty else {
            peer.isRemapping = false
            return
        }
        peer.waitingRemaps.removeFirst().resume()
    }

    /// The atomic part: nothing else of this worker runs in between.
    private func applyRemap(_ changes: [SlotChange], of id: ParticipantID) -> [SlotResult] {
        guard let peer = peer(id) else { return changes.map { _ in .staleSlot } }
        var results: [SlotResult] = []
        var bound: [UInt32: Int] = [:]
        for (order, change) in changes.enumerated() {
            results.append(note(change, peer, order: order, &bound))
        }
        let now = nowUs
        for handle in bound.keys {
            if let track = slots[handle]?.track { measure(track, nowUs: now) }
        }
        let choice = allocate(peer)
        for (handle, order) in bound.sorted(by: { $0.value < $1.value }) {
            results[order] = bind(handle, encoding: choice[handle] ?? nil)
        }
        applyChoice(choice.filter { bound[$0.key] == nil }, peer)
        return results
    }

    /// Writes down one change; slots to be bound are collected with the change's place.
    private func note(
        _ change: SlotChange, _ peer: Peer, order: Int, _ bound: inout [UInt32: Int]
    ) -> SlotResult {
        switch change {
        case .unbind(let id):
            guard let handle = ownSlot(id, peer) else { return .staleSlot }
            bound[handle] = nil
            unbind(handle)
        case .setBitrate(let id, let bitrate):
            guard let handle = ownSlot(id, peer) else { return .staleSlot }
            slots[handle]?.wantedBps = max(0, bitrate)
        case .bind(let id, let trackID, let bitrate, let priority):
            guard let handle = ownSlot(id, peer) else { return .staleSlot }
            let local = trackID.worker == index ? trackID.handle : mirrors[trackID]
            guard let local, let track = tracks[local], track.origin == trackID else {
                return .staleTrack
            }
            guard slots[handle]?.description.kind == track.publication.kind,
                slots[handle]?.payload(for: track.publication.codec) != nil
            else { return .noCommonCodec }
            slots[handle]?.wantedBps = max(0, bitrate)
            slots[handle]?.priority = priority
            guard slots[handle]?.track != local else { return .ok }
            if let former = slots[handle]?.track { releaseTrack(former, by: handle) }
            slots[handle]?.track = local
            slots[handle]?.target = nil
            slots[handle]?.carried = nil
            tracks[local]?.slots.insert(handle)
            bound[handle] = order
        }
        return .ok
    }

    private func ownSlot(_ id: SlotID, _ peer: Peer) -> UInt32? {
        guard id.worker == index, slots[id.handle]?.peer == peer.id.handle else { return nil }
        return id.handle
    }

    private func unbind(_ handle: UInt32) {
        rh_slot_unbind(core, handle)
        if let former = slots[handle]?.track { releaseTrack(former, by: handle) }
        slots[handle]?.track = nil
        slots[handle]?.target = nil
        slots[handle]?.carried = nil
    }

    private func bind(_ handle: UInt32, encoding: Int?) -> SlotResult {
        guard let slot = slots[handle], let trackHandle = slot.track,
            let codec = tracks[trackHandle]?.publication.codec,
            let payload = slot.payload(for: codec)
        else { return .staleTrack }
        var binding = rh_slot_binding()
        binding.track = trackHandle
        binding.payload_type = payload.payloadType
        binding.rtx_payload_type = payload.rtxPayloadType ?? 0
        binding.target = target(encoding ?? 0)
        let result = rh_slot_bind(core, handle, &binding)
        guard result == RH_OK else {
            unbind(handle)
            return result == RH_FULL ? .full : .staleTrack
        }
        slots[handle]?.target = encoding
        noteWantedChange(trackHandle)
        setPaused(handle, encoding == nil)
        return .ok
    }

    private func target(_ encoding: Int) -> rh_target {
        rh_target(
            encoding: UInt8(encoding), spatial: Self.allLayers, temporal: Self.allLayers)
    }

    private func setPaused(_ handle: UInt32, _ isPaused: Bool) {
        guard slots[handle]?.isPaused != isPaused else { return }
        slots[handle]?.isPaused = isPaused
        rh_slot_set_paused(core, handle, isPaused)
    }

    // MARK: - Choice of encodings

    /// The encoding to aim at for each bound slot of the participant; nil: pause.
    func allocate(_ peer: Peer) -> [UInt32: Int?] {
        var handles: [UInt32] = []
        var demands: [AllocationDemand] = []
        let limitBps = peer.estimate.limitBps
        for handle in peer.slots {
            guard let slot = slots[handle], let trackHandle = slot.track,
                let track = tracks[trackHandle]
            else { continue }
            // Nothing to choose.
            if limitBps == nil, slot.target == 0, track.layers.count == 1 { continue }
            handles.append(handle)
            demands.append(
                AllocationDemand(
                    kind: track.publication.kind, priority: slot.priority,
                    wantedBps: slot.wantedBps, layers: track.layers,
                    current: slot.target))
        }
        guard !demands.isEmpty else { return [:] }
        let chosen = Allocation.decide(demands, estimateBps: limitBps)
        return Dictionary(uniqueKeysWithValues: zip(handles, chosen))
    }

    /// Moves bound slots to the encodings chosen for them.
    func applyChoice(_ choice: [UInt32: Int?], _ peer: Peer) {
        for (handle, encoding) in choice {
            guard let slot = slots[handle], let track = slot.track else { continue }
            guard let encoding else {
                guard !slot.isPaused else { continue }
                noteWantedChange(track)
                setPaused(handle, true)
                slots[handle]?.target = nil
                slots[handle]?.carried = nil
                emit(.slotLayer(peer.id, slot.id, layer: nil, bitrate: 0))
                continue
            }
            if slot.target != encoding {
                rh_slot_set_target(core, handle, target(encoding))
                slots[handle]?.target = encoding
                noteWantedChange(track)
            }
            setPaused(handle, false)
        }
    }

    /// Reads a track's counters for the choice of encodings.
    func measure(_ handle: UInt32, nowUs: UInt64) {
        guard let count = tracks[handle]?.encodings.count else { return }
        var report = rh_encoding_report()
        for encoding in 0..<count {
            guard rh_encoding_get_report(core, handle, UInt32(encoding), &report) == RH_OK else {
                return
            }
            tracks[handle]?.encodings[encoding].ssrc = report.ssrc
            tracks[handle]?.encodings[encoding].meter.note(
                bytes: report.received_bytes, lastArrivalUs: report.last_arrival_us, nowUs: nowUs)
        }
        tracks[handle]?.noteLayers(nowUs: nowUs)
    }
}
