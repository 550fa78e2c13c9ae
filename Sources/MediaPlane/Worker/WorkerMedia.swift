// Publications and slots of a worker's participants. SPDX-License-Identifier: Apache-2.0

import CRouter

extension Worker {
    // MARK: - Publications

    func publish(
        _ publication: PublicationDescription, by id: ParticipantID
    ) throws(MediaError) -> TrackID {
        guard let peer = peer(id) else { throw .stale }
        guard publication.codec.isAudio == (publication.kind == .audio) else {
            throw .invalid("\(publication.codec) does not carry \(publication.kind)")
        }
        guard var config = rh_track_config(publication) else {
            throw .invalid("encodings: 1 to 3; mid and rid: 16 bytes at most")
        }
        for former in peer.tracks where tracks[former]?.publication.mid == publication.mid {
            removeTrack(former, isPeerGone: false)
        }
        var handle: rh_track_id = 0
        switch rh_track_create(core, id.handle, &config, &handle) {
        case RH_OK: break
        case RH_FULL: throw .full("tracks on worker \(index)")
        case RH_STALE: throw .stale
        default: throw .invalid("a publication that the packet path refuses")
        }
        let origin = TrackID(worker: index, handle: handle)
        tracks[handle] = Track(origin: origin, peer: id.handle, publication: publication)
        peer.tracks.append(handle)
        noteFeedback(peer)
        return origin
    }

    func unpublish(_ track: TrackID) {
        guard track.worker == index else { return }
        removeTrack(track.handle, isPeerGone: false)
    }

    func setMuted(_ track: TrackID, _ isMuted: Bool) {
        guard track.worker == index, tracks[track.handle]?.peer != nil else { return }
        tracks[track.handle]?.isMuted = isMuted
        tracks[track.handle]?.muteVersion &+= 1
        rh_track_set_muted(core, track.handle, isMuted)
        if let changed = tracks[track.handle] { tellBranchesIfMuted(changed) }
    }

    /// Frees a track or mirror with everything that points to it.
    func removeTrack(_ handle: UInt32, isPeerGone: Bool) {
        guard let track = tracks.removeValue(forKey: handle) else { return }
        for slot in track.slots.sorted() { loseTrack(slot) }
        rh_track_destroy(core, handle)
        if track.peer == nil {
            mirrors[track.origin] = nil
        } else {
            tellBranchesOfEnd(of: track)
        }
        guard let publisher = track.peer, let peer = peers[publisher] else { return }
        peer.sources = peer.sources.filter { $0.value.track != handle }
        if !isPeerGone {
            peer.tracks.removeAll { $0 == handle }
            noteFeedback(peer)
        }
    }

    private func noteFeedback(_ peer: Peer) {
        peer.wantsTransportFeedback = peer.transport?.extensions.transportSequence != nil
            && peer.tracks.contains {
                tracks[$0]?.publication.feedback.contains(.transportCC) ?? false
            }
    }

    /// The slot's track is gone.
    private func loseTrack(_ handle: UInt32) {
        guard let slot = slots[handle] else { return }
        rh_slot_unbind(core, handle)
        slots[handle]?.track = nil
        slots[handle]?.target = nil
        slots[handle]?.carried = nil
        if let peer = peers[slot.peer] {
            emit(.slotLayer(peer.id, slot.id, layer: nil, bitrate: 0))
        }
    }

    // MARK: - Slots

    func addSlots(
        _ descriptions: [SlotDescription], to id: ParticipantID
    ) throws(MediaError) -> [SlotID] {
        guard let peer = peer(id) else { throw .stale }
        var made: [SlotID] = []
        for description in descriptions {
            do throws(MediaError) {
                made.append(try addSlot(description, to: peer))
            } catch {
                for slot in made { removeSlot(slot.handle) }
                peer.slots.removeAll { handle in made.contains { $0.handle == handle } }
                throw error
            }
        }
        return made
    }

    private func addSlot(
        _ description: SlotDescription, to peer: Peer
    ) throws(MediaError) -> SlotID {
        let clockRate: UInt32 = description.kind == .audio ? 48_000 : 90_000
        guard var config = rh_slot_config(description, clockRate: clockRate) else {
            throw .invalid("a slot needs an SSRC and a mid of 16 bytes at most")
        }
        guard peer.slotsBySSRC[description.ssrc] == nil else {
            throw .invalid("the SSRC of another slot")
        }
        var handle: rh_slot_id = 0
        switch rh_slot_create(core, peer.id.handle, &config, &handle) {
        case RH_OK: break
        case RH_FULL: throw .full("slots on worker \(index)")
        case RH_STALE: throw .stale
        default: throw .invalid("a slot that the packet path refuses")
        }
        let id = SlotID(worker: index, handle: handle)
        slots[handle] = Slot(id: id, peer: peer.id.handle, description: description)
        peer.slots.append(handle)
        peer.slotsBySSRC[description.ssrc] = handle
        return id
    }

    /// Frees a slot; the caller takes it from its participant's list.
    func removeSlot(_ handle: UInt32) {
        guard let slot = slots.removeValue(forKey: handle) else { return }
        if let track = slot.track { releaseTrack(track, by: handle) }
        peers[slot.peer]?.slotsBySSRC[slot.description.ssrc] = nil
        rh_slot_destroy(core, handle)
    }

    /// The slot is no longer bound to the track.
    func releaseTrack(_ handle: UInt32, by slot: UInt32) {
        tracks[handle]?.slots.remove(slot)
        noteWantedChange(handle)
        if tracks[handle]?.slots.isEmpty ?? false {
            tracks[handle]?.lingerUntilUs = nowUs + shared.mirrorLingerUs
        }
    }

    // MARK: - Statistics

    func statistics(of id: ParticipantID) -> ParticipantStatistics {
        guard let peer = peer(id) else { return ParticipantStatistics() }
        var report = rh_peer_report()
        rh_peer_get_report(core, id.handle, &report)
        var statistics = ParticipantStatistics()
        statistics.isConnected = peer.canSend
        statistics.remote = peer.ice.selected
        (statistics.receivedPackets, statistics.receivedBytes) =
            (report.received_packets, report.received_bytes)
        (statistics.sentPackets, statistics.sentBytes) = (report.sent_packets, report.sent_bytes)
        statistics.roundTripMilliseconds = peer.roundTrip.us.map { Double($0) / 1000 }
        statistics.estimateBitsPerSecond = peer.estimate.limitBps.map { Int($0) }
        statistics.lossFraction = peer.estimate.lossFraction
        for handle in peer.tracks {
            guard let track = tracks[handle] else { continue }
            statistics.tracks.append((track.origin, encodingStatistics(handle, track)))
        }
        statistics.slots = peer.slots.compactMap { slots[$0].map(slotStatistics) }
        return statistics
    }

    private func encodingStatistics(_ handle: UInt32, _ track: Track) -> [EncodingStatistics] {
        let now = nowUs
        return track.encodings.indices.map { index in
            var report = rh_encoding_report()
            rh_encoding_get_report(core, handle, UInt32(index), &report)
            var statistics = EncodingStatistics()
            statistics.rid = track.publication.encodings[index].rid
            statistics.ssrc = report.ssrc
            statistics.packets = report.received_packets
            statistics.bytes = report.received_bytes
            statistics.keyframes = report.keyframes
            statistics.bitrate = track.encodings[index].meter.measured ?? 0
            statistics.isLive = track.encodings[index].meter.isLive(nowUs: now)
            return statistics
        }
    }

    private func slotStatistics(_ slot: Slot) -> SlotStatistics {
        var report = rh_slot_report()
        rh_slot_get_report(core, slot.id.handle, &report)
        let track = slot.track.flatMap { tracks[$0] }
        var statistics = SlotStatistics(slot: slot.id, mid: slot.description.mid)
        statistics.track = track?.origin
        statistics.layer = slot.carried.flatMap { carried in
            track?.publication.encodings.indices.contains(carried) ?? false
                ? track?.publication.encodings[carried].rid : nil
        }
        statistics.packets = report.sent_packets
        statistics.bytes = report.sent_bytes
        statistics.resent = report.resent_packets
        statistics.isPaused = report.paused
        statistics.lossFraction = slot.lossFraction
        return statistics
    }
}
