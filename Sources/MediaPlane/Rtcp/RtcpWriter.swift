// Writing RTCP (RFC 3550 section 6, RFC 4585, RFC 5104). SPDX-License-Identifier: Apache-2.0

/// Appends RTCP packets to one compound or reduced-size datagram.
package struct RtcpWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    package init() {}

    package var isEmpty: Bool { bytes.isEmpty }

    private mutating func begin(_ type: UInt8, count: UInt8) -> Int {
        precondition(count < 32)
        bytes.append(0x80 | count)
        bytes.append(type)
        bytes.append(number16: 0)
        return bytes.count - 4
    }

    private mutating func end(_ start: Int) {
        while bytes.count % 4 != 0 { bytes.append(0) }
        bytes.set(number16: UInt16((bytes.count - start) / 4 - 1), at: start + 2)
    }

    /// At most 31 blocks.
    package mutating func addSenderReport(_ info: SenderInfo, _ blocks: [ReportBlock] = []) {
        let start = begin(RtcpType.senderReport, count: UInt8(blocks.count))
        bytes.append(number32: info.ssrc)
        bytes.append(number64: info.ntp)
        bytes.append(number32: info.rtp)
        bytes.append(number32: info.packets)
        bytes.append(number32: info.octets)
        for block in blocks { add(block) }
        end(start)
    }

    /// At most 31 blocks.
    package mutating func addReceiverReport(sender: UInt32, _ blocks: [ReportBlock]) {
        let start = begin(RtcpType.receiverReport, count: UInt8(blocks.count))
        bytes.append(number32: sender)
        for block in blocks { add(block) }
        end(start)
    }

    private mutating func add(_ block: ReportBlock) {
        bytes.append(number32: block.ssrc)
        bytes.append(block.fractionLost)
        bytes.append(number24: UInt32(bitPattern: block.cumulativeLost) & 0xff_ffff)
        bytes.append(number32: block.highestSequence)
        bytes.append(number32: block.jitter)
        bytes.append(number32: block.lastSenderReport)
        bytes.append(number32: block.delaySinceLastSenderReport)
    }

    /// SDES with CNAME alone (RFC 3550 section 6.5), 31 chunks at most, 255 bytes a name.
    package mutating func addSourceNames(_ names: [RtcpPacket.SourceName]) {
        let start = begin(RtcpType.sourceDescription, count: UInt8(names.count))
        for name in names {
            let text = [UInt8](name.cname.utf8.prefix(255))
            bytes.append(number32: name.ssrc)
            bytes.append(1)
            bytes.append(UInt8(text.count))
            bytes += text
            bytes.append(0)
            while bytes.count % 4 != 0 { bytes.append(0) }
        }
        end(start)
    }

    /// At most 31.
    package mutating func addGoodbye(_ ssrcs: [UInt32]) {
        let start = begin(RtcpType.goodbye, count: UInt8(ssrcs.count))
        for ssrc in ssrcs { bytes.append(number32: ssrc) }
        end(start)
    }

    /// Generic NACK (RFC 4585 section 6.2.1); `sequences` ascending, as the numbers run.
    package mutating func addNack(sender: UInt32, media: UInt32, sequences: [UInt16]) {
        let start = begin(RtcpType.transportFeedback, count: RtcpFormat.nack)
        bytes.append(number32: sender)
        bytes.append(number32: media)
        var index = 0
        while index < sequences.count {
            let first = sequences[index]
            var mask: UInt16 = 0
            index += 1
            while index < sequences.count, (1...16).contains(sequences[index] &- first) {
                mask |= 1 << (sequences[index] &- first &- 1)
                index += 1
            }
            bytes.append(number16: first)
            bytes.append(number16: mask)
        }
        end(start)
    }

    /// Picture loss indication (RFC 4585 section 6.3.1).
    package mutating func addPli(sender: UInt32, media: UInt32) {
        let start = begin(RtcpType.payloadFeedback, count: RtcpFormat.pli)
        bytes.append(number32: sender)
        bytes.append(number32: media)
        end(start)
    }

    /// Full intra request (RFC 5104 section 4.3.1).
    package mutating func addFir(sender: UInt32, _ entries: [FirEntry]) {
        let start = begin(RtcpType.payloadFeedback, count: RtcpFormat.fir)
        bytes.append(number32: sender)
        bytes.append(number32: 0)
        for entry in entries {
            bytes.append(number32: entry.ssrc)
            bytes += [entry.sequence, 0, 0, 0]
        }
        end(start)
    }

    /// REMB (draft-alvestrand-rmcat-remb-03 section 2.2); at most 255 SSRCs.
    package mutating func addRemb(sender: UInt32, bitsPerSecond: UInt64, ssrcs: [UInt32]) {
        let start = begin(RtcpType.payloadFeedback, count: RtcpFormat.application)
        bytes.append(number32: sender)
        bytes.append(number32: 0)
        bytes.append(number32: 0x5245_4d42)
        var exponent: UInt8 = 0
        while bitsPerSecond >> exponent > 0x3ffff { exponent += 1 }
        let mantissa = UInt32(bitsPerSecond >> exponent)
        bytes.append(UInt8(ssrcs.count))
        bytes.append(exponent << 2 | UInt8(mantissa >> 16))
        bytes.append(number16: UInt16(truncatingIfNeeded: mantissa))
        for ssrc in ssrcs { bytes.append(number32: ssrc) }
        end(start)
    }

    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
    package mutating func addTransportFeedback(_ feedback: TransportFeedback) {
        let start = begin(RtcpType.transportFeedback, count: RtcpFormat.transportWide)
        bytes.append(number32: feedback.sender)
        bytes.append(number32: feedback.media)
        bytes.append(number16: feedback.baseSequence)
        bytes.append(number16: UInt16(feedback.deltas.count))
        bytes.append(number24: UInt32(bitPattern: feedback.referenceTime) & 0xff_ffff)
        bytes.append(feedback.feedbackCount)
        addChunks(feedback.deltas.map(symbol))
        for case .some(let delta) in feedback.deltas {
            if symbol(delta) == 1 {
                bytes.append(UInt8(delta))
            } else {
                bytes.append(number16: UInt16(bitPattern: delta))
            }
        }
        end(start)
    }

    private func symbol(_ delta: Int16?) -> UInt8 {
        guard let delta else { return 0 }
        return (0...255).contains(delta) ? 1 : 2
    }

    private mutating func addChunks(_ symbols: [UInt8]) {
        var at = 0
        while at < symbols.count {
            let run = symbols[at...].prefix { $0 == symbols[at] }.count
            if run >= 14 || run == symbols.count - at {
                let length = min(run, 0x1fff)
                bytes.append(number16: UInt16(symbols[at]) << 13 | UInt16(length))
                at += length
                continue
            }
            let isOneBit = symbols[at...].prefix(14).allSatisfy { $0 < 2 }
            let slice = symbols[at...].prefix(isOneBit ? 14 : 7)
            var chunk: UInt16 = isOneBit ? 0x8000 : 0xc000
            for (index, symbol) in slice.enumerated() {
                chunk |= UInt16(symbol) << UInt16(isOneBit ? 13 - index : 12 - 2 * index)
            }
            bytes.append(number16: chunk)
            at += slice.count
        }
    }
}
