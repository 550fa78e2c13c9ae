// Reading RTCP (RFC 3550 section 6 and appendix A.2, RFC 5506). SPDX-License-Identifier: Apache-2.0

/// Reads compound and reduced-size RTCP.
package enum RtcpReader {
    /// Packets of one compound that are read, at most.
    static let packetsMax = 64
    /// Sequence numbers that one NACK names, at most.
    static let nackMax = 1024
    /// Statuses in one transport feedback, at most.
    static let statusesMax = 2048

    /// All packets of one datagram; nil when any contradicts the format: a wrong version, a length
    /// beyond the datagram, padding before the last packet, a body shorter than its type needs.
    /// Accepts any bytes.
    package static func parse(_ bytes: Span<UInt8>) -> [RtcpPacket]? {
        var packets: [RtcpPacket] = []
        var at = 0
        while at < bytes.count {
            guard bytes.count - at >= 4, packets.count < packetsMax, bytes[at] >> 6 == 2 else {
                return nil
            }
            let end = at + 4 * (Int(bytes.number16(at: at + 2)) + 1)
            guard end <= bytes.count else { return nil }
            var bodyEnd = end
            if bytes[at] & 0x20 != 0 {
                let padding = Int(bytes[end - 1])
                // Transport-wide feedback is padded by 1 to 3 bytes in practice.
                guard end == bytes.count, padding > 0, padding <= end - at - 4 else { return nil }
                bodyEnd -= padding
            }
            let body = bytes.extracting((at + 4)..<bodyEnd)
            guard let packet = read(type: bytes[at + 1], count: bytes[at] & 31, body) else {
                return nil
            }
            packets.append(packet)
            at = end
        }
        return packets.isEmpty ? nil : packets
    }

    private static func read(type: UInt8, count: UInt8, _ body: Span<UInt8>) -> RtcpPacket? {
        switch type {
        case RtcpType.senderReport: senderReport(Int(count), body)
        case RtcpType.receiverReport: receiverReport(Int(count), body)
        case RtcpType.sourceDescription: sourceDescription(Int(count), body)
        case RtcpType.goodbye: goodbye(Int(count), body)
        case RtcpType.transportFeedback: transportLayer(format: count, body)
        case RtcpType.payloadFeedback: payloadSpecific(format: count, body)
        default: .other(type: type, format: count)
        }
    }

    private static func senderReport(_ count: Int, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 24 + 24 * count else { return nil }
        let info = SenderInfo(
            ssrc: body.number32(at: 0), ntp: body.number64(at: 4), rtp: body.number32(at: 12),
            packets: body.number32(at: 16), octets: body.number32(at: 20))
        return .senderReport(info, blocks(count, body, from: 24))
    }

    private static func receiverReport(_ count: Int, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 4 + 24 * count else { return nil }
        return .receiverReport(sender: body.number32(at: 0), blocks(count, body, from: 4))
    }

    private static func blocks(_ count: Int, _ body: Span<UInt8>, from: Int) -> [ReportBlock] {
        var blocks: [ReportBlock] = []
        for index in 0..<count {
            let at = from + 24 * index
            var block = ReportBlock(ssrc: body.number32(at: at))
            block.fractionLost = body[at + 4]
            block.cumulativeLost = Int32(bitPattern: body.number24(at: at + 5) << 8) >> 8
            block.highestSequence = body.number32(at: at + 8)
            block.jitter = body.number32(at: at + 12)
            block.lastSenderReport = body.number32(at: at + 16)
            block.delaySinceLastSenderReport = body.number32(at: at + 20)
            blocks.append(block)
        }
        return blocks
    }

    private static func sourceDescription(_ count: Int, _ body: Span<UInt8>) -> RtcpPacket? {
        var names: [RtcpPacket.SourceName] = []
        var at = 0
        for _ in 0..<count {
            guard body.count - at >= 4 else { return nil }
            let ssrc = body.number32(at: at)
            at += 4
            guard let name = chunkName(body, &at) else { return nil }
            if let cname = name.cname { names.append(.init(ssrc: ssrc, cname: cname)) }
        }
        return .sourceDescription(names)
    }

    /// Reads the items of a chunk up to its end, a zero byte padded to 32 bits (section 6.5).
    private static func chunkName(_ body: Span<UInt8>, _ at: inout Int) -> (cname: String?, Void)? {
        var cname: String?
        while true {
            guard at < body.count else { return nil }
            let type = body[at]
            if type == 0 {
                at = (at + 4) / 4 * 4
                return at <= body.count ? (cname, ()) : nil
            }
            guard at + 2 <= body.count, at + 2 + Int(body[at + 1]) <= body.count else { return nil }
            let end = at + 2 + Int(body[at + 1])
            if type == 1 {
                cname = String(decoding: ((at + 2)..<end).map { body[$0] }, as: UTF8.self)
            }
            at = end
        }
    }

    private static func goodbye(_ count: Int, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 4 * count else { return nil }
        return .goodbye((0..<count).map { body.number32(at: 4 * $0) })
    }

    private static func transportLayer(format: UInt8, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 8 else { return nil }
        switch format {
        case RtcpFormat.nack: return nack(body)
        case RtcpFormat.transportWide: return TransportFeedbackReader.parse(body)
        default: return .other(type: RtcpType.transportFeedback, format: format)
        }
    }

    /// RFC 4585 section 6.2.1.
    private static func nack(_ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 12, body.count % 4 == 0 else { return nil }
        var sequences: [UInt16] = []
        var at = 8
        while at < body.count, sequences.count < nackMax {
            let first = body.number16(at: at)
            let mask = body.number16(at: at + 2)
            sequences.append(first)
            for bit in 0..<16 where mask >> UInt16(bit) & 1 == 1 {
                sequences.append(first &+ UInt16(bit) &+ 1)
            }
            at += 4
        }
        return .nack(
            sender: body.number32(at: 0), media: body.number32(at: 4), sequences: sequences)
    }

    private static func payloadSpecific(format: UInt8, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 8 else { return nil }
        let sender = body.number32(at: 0)
        switch format {
        case RtcpFormat.pli: return .pli(sender: sender, media: body.number32(at: 4))
        case RtcpFormat.fir:
            guard body.count >= 16, body.count % 8 == 0 else { return nil }
            let entries = stride(from: 8, to: body.count, by: 8).map {
                FirEntry(ssrc: body.number32(at: $0), sequence: body[$0 + 4])
            }
            return .fir(sender: sender, entries)
        case RtcpFormat.application: return application(sender, body)
        default: return .other(type: RtcpType.payloadFeedback, format: format)
        }
    }

    /// REMB (draft-alvestrand-rmcat-remb-03 section 2.2); other application messages are `other`.
    private static func application(_ sender: UInt32, _ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 16, body.number32(at: 8) == 0x5245_4d42 else {
            return .other(type: RtcpType.payloadFeedback, format: RtcpFormat.application)
        }
        let count = Int(body[12])
        guard body.count >= 16 + 4 * count else { return nil }
        let exponent = UInt64(body[13] >> 2)
        let mantissa = UInt64(body[13] & 3) << 16 | UInt64(body.number16(at: 14))
        let isRepresentable = exponent <= 46
        let bitrate = isRepresentable ? mantissa << exponent : UInt64.max
        return .remb(
            sender: sender, bitsPerSecond: bitrate,
            ssrcs: (0..<count).map { body.number32(at: 16 + 4 * $0) })
    }
}

/// Reads the body of transport-wide feedback.
enum TransportFeedbackReader {
    /// nil when chunks or deltas end early, or the status count is beyond the limit.
    static func parse(_ body: Span<UInt8>) -> RtcpPacket? {
        guard body.count >= 16 else { return nil }
        var feedback = TransportFeedback()
        feedback.sender = body.number32(at: 0)
        feedback.media = body.number32(at: 4)
        feedback.baseSequence = body.number16(at: 8)
        feedback.referenceTime = Int32(bitPattern: body.number24(at: 12) << 8) >> 8
        feedback.feedbackCount = body[15]
        let count = Int(body.number16(at: 10))
        guard count > 0, count <= RtcpReader.statusesMax else { return nil }
        var at = 16
        guard let symbols = symbols(count, body, &at) else { return nil }
        feedback.deltas.reserveCapacity(count)
        for symbol in symbols {
            switch symbol {
            case 1:
                guard at < body.count else { return nil }
                feedback.deltas.append(Int16(body[at]))
                at += 1
            case 2:
                guard at + 2 <= body.count else { return nil }
                feedback.deltas.append(Int16(bitPattern: body.number16(at: at)))
                at += 2
            default: feedback.deltas.append(nil)
            }
        }
        return .transportFeedback(feedback)
    }

    /// Status symbols of the packet chunks (section 3.1.3 and 3.1.4); 3 is reserved and read as 0.
    private static func symbols(_ count: Int, _ body: Span<UInt8>, _ at: inout Int) -> [UInt8]? {
        var symbols: [UInt8] = []
        symbols.reserveCapacity(count)
        while symbols.count < count {
            guard at + 2 <= body.count else { return nil }
            let chunk = body.number16(at: at)
            at += 2
            let left = count - symbols.count
            if chunk >> 15 == 0 {
                let run = Int(chunk & 0x1fff)
                guard run > 0 else { return nil }
                symbols += repeatElement(UInt8(chunk >> 13 & 3), count: min(run, left))
            } else if chunk >> 14 & 1 == 0 {
                for bit in 0..<min(14, left) {
                    symbols.append(UInt8(chunk >> UInt16(13 - bit) & 1))
                }
            } else {
                for pair in 0..<min(7, left) {
                    symbols.append(UInt8(chunk >> UInt16(12 - 2 * pair) & 3))
                }
            }
        }
        return symbols
    }
}
