// What a worker does from time to time. SPDX-License-Identifier: Apache-2.0

import CRouter

/// When each periodic task is due next.
struct TickSchedule {
    var keyframesUs: UInt64 = 0
    var levelsUs: UInt64 = 0
    var allocationUs: UInt64 = 0
    var layersUs: UInt64 = 0
    var badBytesUs: UInt64 = 0
    /// Participants whose encodings are to be chosen in this round, and how many a tick.
    var peersToAllocate: [UInt32] = []
    var peersPerTick = 1
    /// Mirrors whose slots or their encodings changed since their origins were told.
    var changedMirrors: Set<UInt32> = []
    /// Tracks with missing packets.
    var tracksWithGaps: Set<UInt32> = []

    /// True when a task is due; then it is next due after `period`.
    static func take(_ due: inout UInt64, nowUs: UInt64, period: UInt64) -> Bool {
        guard nowUs >= due else { return false }
        due = nowUs + period
        return true
    }
}

extension Worker {
    /// Between two choices of a participant's encodings.
    private static let allocationUs: UInt64 = 500_000

    func onTick(nowUs: UInt64) {
        collectNacks(nowUs: nowUs)
        for peer in peers.values {
            tickDtls(peer, nowUs: nowUs)
            sendTransportFeedback(to: peer, nowUs: nowUs)
            if nowUs >= peer.nextReportUs {
                peer.nextReportUs = nowUs + SenderReports.intervalUs
                report(to: peer, nowUs: nowUs)
                checkConsent(peer, nowUs: nowUs)
            }
        }
        if TickSchedule.take(&schedule.keyframesUs, nowUs: nowUs, period: 50_000) {
            repeatKeyframeRequests(nowUs: nowUs)
        }
        if TickSchedule.take(&schedule.levelsUs, nowUs: nowUs, period: 200_000) {
            reportLevels(nowUs: nowUs)
        }
        if TickSchedule.take(&schedule.allocationUs, nowUs: nowUs, period: Self.allocationUs) {
            beginAllocation(nowUs: nowUs)
        }
        reallocate(nowUs: nowUs)
        if TickSchedule.take(&schedule.layersUs, nowUs: nowUs, period: 1_000_000) {
            reportLayers(nowUs: nowUs)
            sweepMirrors(nowUs: nowUs)
        }
    }

    // MARK: - Feedback to publishers

    private func collectNacks(nowUs: UInt64) {
        for handle in schedule.tracksWithGaps {
            guard let track = tracks[handle] else {
                schedule.tracksWithGaps.remove(handle)
                continue
            }
            let publisher = track.peer.flatMap { peers[$0] }
            var isDone = true
            for encoding in track.encodings.indices {
                collectNacks(handle, encoding, from: publisher, nowUs: nowUs)
                let missing = tracks[handle]?.encodings[encoding].nack.missingCount ?? 0
                isDone = isDone && missing == 0
            }
            if isDone { schedule.tracksWithGaps.remove(handle) }
        }
    }

    /// Asks the publisher for what is missing; `publisher` is nil for a mirror, whose origin does.
    private func collectNacks(
        _ handle: UInt32, _ encoding: Int, from publisher: Peer?, nowUs: UInt64
    ) {
        guard let track = tracks[handle], track.encodings[encoding].nack.missingCount > 0 else {
            return
        }
        var report = rh_encoding_report()
        rh_encoding_get_report(core, handle, UInt32(encoding), &report)
        let isWanted = report.active_slots > 0 || report.waiting_slots > 0
            || track.branches.values.contains { $0.wanted.contains(encoding) }
        // Nobody would miss them.
        guard isWanted else {
            tracks[handle]?.encodings[encoding].nack.reset()
            return
        }
        let core = core
        guard
            let decision = tracks[handle]?.encodings[encoding].nack.collect(
                nowUs: nowUs, rttUs: publisher?.roundTripUs ?? Self.patienceUs,
                has: { rh_encoding_has(core, handle, UInt32(encoding), $0) })
        else { return }
        if let publisher, !decision.sequences.isEmpty {
            var writer = RtcpWriter()
            writer.addNack(
                sender: publisher.localSSRC, media: report.ssrc, sequences: decision.sequences)
            control.nacksSent += UInt64(decision.sequences.count)
            sendRtcp(writer, to: publisher)
        }
        if decision.wantsKeyframe { wantKeyframe(handle, encoding: encoding, nowUs: nowUs) }
    }

    private func sendTransportFeedback(to peer: Peer, nowUs: UInt64) {
        guard peer.wantsTransportFeedback, peer.canSend else { return }
        while true {
            let count = Int(
                rh_peer_take_arrivals(
                    core, peer.id.handle, &arrivals, UInt32(arrivals.count)))
            for index in 0..<count {
                peer.feedback.add(
                    Arrival(
                        sequence: arrivals[index].transport_seq,
                        arrivalUs: arrivals[index].arrival_us))
            }
            if count < arrivals.count { break }
        }
        let media = peer.sources.keys.first ?? 0
        for feedback in peer.feedback.make(sender: peer.localSSRC, media: media, nowUs: nowUs) {
            var writer = RtcpWriter()
            writer.addTransportFeedback(feedback)
            sendRtcp(writer, to: peer)
        }
    }

    private func repeatKeyframeRequests(nowUs: UInt64) {
        for (handle, track) in tracks where track.publication.kind == .video {
            guard !track.slots.isEmpty || !track.branches.isEmpty else { continue }
            for encoding in track.encodings.indices {
                askForKeyframe(handle, encoding: encoding, nowUs: nowUs)
            }
        }
    }

    // MARK: - To the owner

    private func reportLevels(nowUs: UInt64) {
        var levels: [AudioLevel] = []
        var report = rh_encoding_report()
        for (handle, track) in tracks where track.publication.kind == .audio {
            guard let publisher = track.peer, !track.isMuted,
                rh_encoding_get_report(core, handle, 0, &report) == RH_OK,
                let level = tracks[handle]?.audio.take(
                    sum: report.audio_level_sum, count: report.audio_level_count),
                level > AudioMeter.quietDBov
            else { continue }
            levels.append(
                AudioLevel(
                    participant: ParticipantID(worker: index, handle: publisher),
                    track: track.origin, levelDBov: level))
        }
        if !levels.isEmpty { emit(.audioLevels(levels)) }
    }

    /// Measures all tracks and puts down whose encodings are to be chosen anew.
    private func beginAllocation(nowUs: UInt64) {
        for handle in tracks.keys { measure(handle, nowUs: nowUs) }
        tellWanted()
        guard schedule.peersToAllocate.isEmpty else { return }
        schedule.peersToAllocate = Array(peers.keys)
        let ticks = Int(Self.allocationUs / UInt64(Self.tickUs))
        schedule.peersPerTick = schedule.peersToAllocate.count / ticks + 1
    }

    /// The encodings of some participants: in a large meeting the choice for all of them at once
    /// would hold packets up.
    private func reallocate(nowUs: UInt64) {
        var report = rh_peer_report()
        for handle in schedule.peersToAllocate.suffix(schedule.peersPerTick) {
            guard let peer = peers[handle], !peer.slots.isEmpty else { continue }
            rh_peer_get_report(core, handle, &report)
            peer.sentMeter.note(bytes: report.sent_bytes, nowUs: nowUs)
            peer.estimate.noteSent(bps: peer.sentMeter.bps)
            peer.estimate.onTick(nowUs: nowUs)
            reportEstimate(peer)
            applyChoice(allocate(peer), peer)
        }
        schedule.peersToAllocate.removeLast(
            min(schedule.peersPerTick, schedule.peersToAllocate.count))
    }

    private func reportEstimate(_ peer: Peer) {
        let (limit, loss) = (peer.estimate.limitBps, peer.estimate.lossFraction)
        guard let limit else {
            peer.reportedLimitBps = nil
            return
        }
        let former = peer.reportedLimitBps ?? 0
        guard abs(limit - former) > former * 0.05 || abs(loss - peer.reportedLoss) > 0.02 else {
            return
        }
        (peer.reportedLimitBps, peer.reportedLoss) = (limit, loss)
        shared.logger.debug(
            "downlink",
            metadata: [
                "peer": "\(peer.id)", "bits": "\(Int(limit))", "loss": "\(loss)",
                "sent": "\(Int(peer.sentMeter.bps))",
            ])
        emit(.estimate(peer.id, bitsPerSecond: Int(limit), lossFraction: loss))
    }

    private func reportLayers(nowUs: UInt64) {
        for (handle, track) in tracks where track.peer != nil {
            let layers = track.encodings.indices.map { index in
                LayerReport(
                    rid: track.publication.encodings[index].rid,
                    isLive: track.encodings[index].meter.isLive(nowUs: nowUs),
                    bitrate: track.encodings[index].meter.measured ?? 0)
            }
            guard hasChanged(layers, from: track.reportedLayers) else { continue }
            tracks[handle]?.reportedLayers = layers
            emit(.layers(track.origin, layers))
        }
    }

    /// Life changed, or a rate by more than a quarter.
    private func hasChanged(_ layers: [LayerReport], from former: [LayerReport]) -> Bool {
        guard layers.count == former.count else { return true }
        return zip(layers, former).contains { new, old in
            new.isLive != old.isLive
                || abs(new.bitrate - old.bitrate) > max(old.bitrate / 4, 20_000)
        }
    }
}
