// RTCP that comes in, and the packet path's events. SPDX-License-Identifier: Apache-2.0

import CRouter

extension Worker {
    // MARK: - RTCP

    func onRtcp(_ bytes: Span<UInt8>, peer handle: UInt32, nowUs: UInt64) {
        guard let peer = peers[handle] else { return }
        guard let packets = RtcpReader.parse(bytes) else {
            control.rtcpMalformed += 1
            logBadBytes(bytes, of: peer, nowUs: nowUs)
            return
        }
        control.rtcpPackets += 1
        for packet in packets { take(packet, from: peer, nowUs: nowUs) }
    }

    /// At most one line a second.
    private func logBadBytes(_ bytes: Span<UInt8>, of peer: Peer, nowUs: UInt64) {
        guard shared.logger.logLevel <= .debug,
            TickSchedule.take(&schedule.badBytesUs, nowUs: nowUs, period: 1_000_000)
        else { return }
        let text = (0..<min(64, bytes.count)).map { String(bytes[$0], radix: 16) }
        shared.logger.debug(
            "RTCP that cannot be read",
            metadata: ["peer": "\(peer.id)", "bytes": "\(text.joined(separator: " "))"])
    }

    private func take(_ packet: RtcpPacket, from peer: Peer, nowUs: UInt64) {
        switch packet {
        case .senderReport(let info, let blocks):
            noteSenderReport(info, from: peer, nowUs: nowUs)
            noteBlocks(blocks, from: peer, nowUs: nowUs)
        case .receiverReport(_, let blocks): noteBlocks(blocks, from: peer, nowUs: nowUs)
        case .nack(_, let media, let sequences): resend(sequences, media, peer)
        case .pli(_, let media): wantKeyframe(forSlot: media, of: peer, nowUs: nowUs)
        case .fir(_, let entries):
            for entry in entries { wantKeyframe(forSlot: entry.ssrc, of: peer, nowUs: nowUs) }
        case .remb(_, let bitrate, _): peer.estimate.noteRemb(bps: bitrate, nowUs: nowUs)
        case .sourceDescription, .goodbye, .transportFeedback, .other: control.rtcpIgnored += 1
        }
    }

    private func noteSenderReport(_ info: SenderInfo, from peer: Peer, nowUs: UInt64) {
        guard let source = peer.sources[info.ssrc] else { return }
        peer.clock.note(ntp: info.ntp, ntpNow: shared.clock.ntp(atUs: nowUs))
        let time = SourceTime(ntp: info.ntp, rtp: info.rtp, offset: peer.clock.offset ?? 0)
        tracks[source.track]?.encodings[source.encoding].time = time
        tracks[source.track]?.encodings[source.encoding].reception
            .noteSenderReport(ntp: info.ntp, nowUs: nowUs)
        rh_encoding_set_sender_report(
            core, source.track, UInt32(source.encoding), info.ntp, info.rtp)
        guard let track = tracks[source.track], !track.branches.isEmpty else { return }
        tellBranches(of: track, encoding: source.encoding, time: time)
    }

    private func noteBlocks(_ blocks: [ReportBlock], from peer: Peer, nowUs: UInt64) {
        let ntpNow = shared.clock.ntp(atUs: nowUs)
        var lost = 0.0
        var packets = 0
        for block in blocks {
            guard let handle = peer.slotsBySSRC[block.ssrc], let slot = slots[handle] else {
                continue
            }
            peer.roundTrip.note(block, ntpNow: ntpNow)
            let fraction = Double(block.fractionLost) / 256
            slots[handle]?.lossFraction = fraction
            slots[handle]?.reportedHighest = block.highestSequence
            // Streams weigh by their packets since the report before.
            guard let former = slot.reportedHighest else { continue }
            let expected = Int(Int32(bitPattern: block.highestSequence &- former))
            guard expected > 0, expected < 1 << 16 else { continue }
            lost += fraction * Double(expected)
            packets += expected
        }
        guard packets > 0 else { return }
        peer.estimate.noteLoss(lost / Double(packets), packets: packets, nowUs: nowUs)
    }

    private func resend(_ sequences: [UInt16], _ media: UInt32, _ peer: Peer) {
        guard let handle = peer.slotsBySSRC[media] else { return }
        control.nacksReceived += UInt64(sequences.count)
        let roundTripUs = UInt32(clamping: peer.roundTrip.us ?? 50_000)
        _ = rh_slot_resend(core, handle, sequences, UInt32(sequences.count), roundTripUs)
    }

    // MARK: - Keyframes

    private func wantKeyframe(forSlot ssrc: UInt32, of peer: Peer, nowUs: UInt64) {
        guard let handle = peer.slotsBySSRC[ssrc], let slot = slots[handle],
            let track = slot.track, let encoding = slot.carried ?? slot.target
        else { return }
        control.keyframeRequestsReceived += 1
        wantKeyframe(track, encoding: encoding, nowUs: nowUs)
    }

    func wantKeyframe(_ handle: UInt32, encoding: Int, nowUs: UInt64) {
        guard tracks[handle]?.publication.kind == .video,
            tracks[handle]?.encodings.indices.contains(encoding) ?? false
        else { return }
        tracks[handle]?.encodings[encoding].keyframes.want()
        askForKeyframe(handle, encoding: encoding, nowUs: nowUs)
    }

    /// Sends a request when the policy says so: to the publisher, or to the worker that has it.
    func askForKeyframe(_ handle: UInt32, encoding: Int, nowUs: UInt64) {
        var report = rh_encoding_report()
        guard let track = tracks[handle], !track.isMuted,
            rh_encoding_get_report(core, handle, UInt32(encoding), &report) == RH_OK,
            track.peer == nil || report.ssrc != 0
        else { return }
        let isAwaited = report.waiting_slots > 0
        let isDue = tracks[handle]?.encodings[encoding].keyframes
            .decide(nowUs: nowUs, isAwaited: isAwaited) ?? false
        guard isDue else { return }
        guard let publisher = track.peer else {
            guard let origin = shared.directory[track.origin.worker] else { return }
            let name = track.origin
            control.keyframeRequestsRelayed += 1
            Task { await origin.requestKeyframe(of: name, encoding: encoding, at: self.index) }
            return
        }
        guard let peer = peers[publisher] else { return }
        sendKeyframeRequest(to: peer, ssrc: report.ssrc, track.publication.feedback)
    }

    private func sendKeyframeRequest(to peer: Peer, ssrc: UInt32, _ feedback: FeedbackOptions) {
        var writer = RtcpWriter()
        if feedback.contains(.fir), !feedback.contains(.pli) {
            peer.firSequence &+= 1
            writer.addFir(
                sender: peer.localSSRC, [FirEntry(ssrc: ssrc, sequence: peer.firSequence)])
        } else {
            writer.addPli(sender: peer.localSSRC, media: ssrc)
        }
        control.keyframeRequestsSent += 1
        sendRtcp(writer, to: peer)
    }

    func sendRtcp(_ writer: RtcpWriter, to peer: Peer) {
        guard peer.canSend, !writer.isEmpty else { return }
        let bytes = writer.bytes
        _ = rh_peer_send_rtcp(core, peer.id.handle, bytes, bytes.count)
    }

    // MARK: - Events of the packet path

    func onEvent(_ event: rh_event, nowUs: UInt64) {
        let encoding = Int(event.encoding)
        switch rh_event_kind(event.kind) {
        case RH_EVENT_SOURCE_BOUND: noteSource(event)
        case RH_EVENT_GAP: noteGap(event, nowUs: nowUs)
        case RH_EVENT_KEYFRAME_WANTED: wantKeyframe(event.track, encoding: encoding, nowUs: nowUs)
        case RH_EVENT_KEYFRAME:
            guard tracks[event.track]?.encodings.indices.contains(encoding) ?? false else { return }
            tracks[event.track]?.encodings[encoding].keyframes.noteKeyframe()
        case RH_EVENT_SWITCHED: noteSwitch(event, nowUs: nowUs)
        default: break
        }
    }

    private func noteSource(_ event: rh_event) {
        let encoding = Int(event.encoding)
        guard event.count == 0, tracks[event.track]?.encodings.indices.contains(encoding) ?? false
        else { return }
        tracks[event.track]?.encodings[encoding].ssrc = event.ssrc
        guard let peer = peers[event.peer] else { return }
        peer.sources = peer.sources.filter {
            $0.value.track != event.track || $0.value.encoding != encoding
        }
        peer.sources[event.ssrc] = Peer.SourceName(track: event.track, encoding: encoding)
    }

    private func noteGap(_ event: rh_event, nowUs: UInt64) {
        let encoding = Int(event.encoding)
        guard let track = tracks[event.track], track.encodings.indices.contains(encoding),
            track.peer == nil
                ? track.publication.kind == .video : track.publication.feedback.contains(.nack)
        else { return }
        tracks[event.track]?.encodings[encoding].nack
            .note(first: event.seq64, count: event.count, nowUs: nowUs)
        schedule.tracksWithGaps.insert(event.track)
    }

    private func noteSwitch(_ event: rh_event, nowUs: UInt64) {
        guard let slot = slots[event.slot], slot.track == event.track,
            let track = tracks[event.track], let peer = peers[slot.peer]
        else { return }
        let encoding = Int(event.encoding)
        guard track.encodings.indices.contains(encoding) else { return }
        slots[event.slot]?.carried = encoding
        noteWantedChange(event.track)
        let rate = track.layer(encoding, nowUs: nowUs).bitrate
        emit(
            .slotLayer(
                peer.id, slot.id, layer: track.publication.encodings[encoding].rid, bitrate: rate))
        reportSlots([event.slot], to: peer, nowUs: nowUs)
    }
}
