// Sender and receiver reports (RFC 3550 section 6.4). SPDX-License-Identifier: Apache-2.0

import CRouter

extension Worker {
    /// RTCP datagrams are kept below this.
    private static let datagramBytes = 1100
    /// A slot that sent nothing for so long says nothing: RFC 3550 section 6.4.
    private static let silenceUs: UInt64 = 10_000_000

    /// The periodic compound packets: reception blocks about the peer's sources, a sender report
    /// for each active slot, and names.
    func report(to peer: Peer, nowUs: UInt64) {
        guard peer.canSend else { return }
        var blocks = receptionBlocks(of: peer, nowUs: nowUs)[...]
        while !blocks.isEmpty {
            var writer = RtcpWriter()
            writer.addReceiverReport(sender: peer.localSSRC, [ReportBlock](blocks.prefix(31)))
            writer.addSourceNames([.init(ssrc: peer.localSSRC, cname: peer.cname)])
            sendRtcp(writer, to: peer)
            blocks = blocks.dropFirst(31)
        }
        reportSlots(peer.slots, to: peer, nowUs: nowUs)
    }

    /// Sender reports with names for these slots, as many in a datagram as fit.
    func reportSlots(_ handles: [UInt32], to peer: Peer, nowUs: UInt64) {
        guard peer.canSend else { return }
        var writer = RtcpWriter()
        var names: [RtcpPacket.SourceName] = []
        let nameBytes = (4 + 2 + peer.cname.utf8.count + 4) / 4 * 4
        for handle in handles {
            guard let info = senderInfo(handle, nowUs: nowUs) else { continue }
            writer.addSenderReport(info)
            names.append(.init(ssrc: info.ssrc, cname: peer.cname))
            let size = writer.bytes.count + 4 + names.count * nameBytes
            guard size > Self.datagramBytes - 100 || names.count == 31 else { continue }
            writer.addSourceNames(names)
            sendRtcp(writer, to: peer)
            writer = RtcpWriter()
            names = []
        }
        guard !names.isEmpty else { return }
        writer.addSourceNames(names)
        sendRtcp(writer, to: peer)
    }

    private func senderInfo(_ handle: UInt32, nowUs: UInt64) -> SenderInfo? {
        var report = rh_slot_report()
        guard let slot = slots[handle], let trackHandle = slot.track,
            let track = tracks[trackHandle],
            rh_slot_get_report(core, handle, &report) == RH_OK,
            report.track == trackHandle, report.last_sent_us != 0,
            nowUs < report.last_sent_us + Self.silenceUs
        else { return nil }
        let carried = Int(report.encoding)
        let time = track.encodings.indices.contains(carried) ? track.encodings[carried].time : nil
        let slotTime = SlotTime(
            ssrc: report.ssrc, packets: report.sent_packets, octets: report.sent_bytes,
            lastTimestamp: report.last_timestamp, timestampOffset: report.timestamp_offset,
            lastSentUs: report.last_sent_us, clockRate: track.publication.clockRate)
        return SenderReports.info(slotTime, source: time, nowUs: nowUs, clock: shared.clock)
    }

    private func receptionBlocks(of peer: Peer, nowUs: UInt64) -> [ReportBlock] {
        var blocks: [ReportBlock] = []
        var report = rh_encoding_report()
        for handle in peer.tracks {
            guard let count = tracks[handle]?.encodings.count else { continue }
            for encoding in 0..<count {
                guard rh_encoding_get_report(core, handle, UInt32(encoding), &report) == RH_OK,
                    report.ssrc != 0, nowUs < report.last_arrival_us + Self.silenceUs
                else { continue }
                let counts = ReceptionCounts(
                    ssrc: report.ssrc, receivedPackets: report.received_packets,
                    firstSeq64: report.first_seq64, highestSeq64: report.highest_seq64,
                    jitter: report.jitter)
                if let block = tracks[handle]?.encodings[encoding].reception
                    .block(counts, nowUs: nowUs)
                {
                    blocks.append(block)
                }
            }
        }
        return blocks
    }
}
