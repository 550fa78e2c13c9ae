// RTCP reading and writing. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct RtcpTests {
    static func block(_ ssrc: UInt32, lost: Int32) -> ReportBlock {
        var block = ReportBlock(ssrc: ssrc)
        block.fractionLost = 77
        block.cumulativeLost = lost
        block.highestSequence = 0x0001_fffe
        block.jitter = 12345
        block.lastSenderReport = 0xdead_beef
        block.delaySinceLastSenderReport = 65536
        return block
    }

    static var feedback: TransportFeedback {
        var feedback = TransportFeedback()
        feedback.sender = 1
        feedback.media = 2
        feedback.baseSequence = 65530
        feedback.referenceTime = -3
        feedback.feedbackCount = 255
        feedback.deltas = [4, nil, nil, 255, 256, -1, nil, 0] + [Int16?](repeating: nil, count: 40)
            + [Int16?](repeating: 4, count: 30) + [.max, .min]
        return feedback
    }

    static var oneArrival: TransportFeedback {
        var feedback = TransportFeedback()
        feedback.sender = 1
        feedback.media = 2
        feedback.baseSequence = 1
        feedback.deltas = [4]
        return feedback
    }

    /// Every kind, as values.
    static let packets: [RtcpPacket] = [
        .senderReport(
            SenderInfo(ssrc: 5, ntp: 0x0123_4567_89ab_cdef, rtp: 90000, packets: 3, octets: 3000),
            [block(6, lost: -5), block(7, lost: 0x7f_ffff)]),
        .receiverReport(sender: 9, []),
        .receiverReport(sender: 9, [block(1, lost: 1)]),
        .sourceDescription([.init(ssrc: 5, cname: "abc"), .init(ssrc: 6, cname: "abcdef")]),
        .goodbye([1, 2, 3]),
        .nack(sender: 1, media: 2, sequences: [65530, 65531, 0, 10, 26, 27]),
        .pli(sender: 1, media: 2),
        .fir(sender: 1, [FirEntry(ssrc: 2, sequence: 255)]),
        .remb(sender: 1, bitsPerSecond: 0x3ffff << 5, ssrcs: [7, 8]),
        .transportFeedback(feedback),
    ]

    static func write(_ packet: RtcpPacket) -> [UInt8] {
        var writer = RtcpWriter()
        switch packet {
        case .senderReport(let info, let blocks): writer.addSenderReport(info, blocks)
        case .receiverReport(let sender, let blocks):
            writer.addReceiverReport(sender: sender, blocks)
        case .sourceDescription(let names): writer.addSourceNames(names)
        case .goodbye(let ssrcs): writer.addGoodbye(ssrcs)
        case .nack(let sender, let media, let sequences):
            writer.addNack(sender: sender, media: media, sequences: sequences)
        case .pli(let sender, let media): writer.addPli(sender: sender, media: media)
        case .fir(let sender, let entries): writer.addFir(sender: sender, entries)
        case .remb(let sender, let bitrate, let ssrcs):
            writer.addRemb(sender: sender, bitsPerSecond: bitrate, ssrcs: ssrcs)
        case .transportFeedback(let feedback): writer.addTransportFeedback(feedback)
        case .other: break
        }
        return writer.bytes
    }

    @Test(arguments: packets) func whatIsWrittenIsReadBack(_ packet: RtcpPacket) {
        #expect(parseRtcp(Self.write(packet)) == [packet])
    }

    @Test(arguments: packets) func everyPrefixIsRefused(_ packet: RtcpPacket) {
        let bytes = Self.write(packet)
        for count in 0..<bytes.count { #expect(parseRtcp([UInt8](bytes[..<count])) == nil) }
    }

    @Test func compoundsAreReadInOrder() {
        let bytes = Self.packets.flatMap(Self.write)
        #expect(parseRtcp(bytes) == Self.packets)
    }

    /// Hand-made rows from the RFCs' figures.
    @Test(arguments: [
        // Generic NACK, RFC 4585 section 6.2.1: lost 100, 101, 116.
        ("81cd0003 00000001 00000002 0064 8001", [RtcpPacket]([
            .nack(sender: 1, media: 2, sequences: [100, 101, 116])])),
        // PLI, RFC 4585 section 6.3.1.
        ("81ce0002 00000001 00000002", [.pli(sender: 1, media: 2)]),
        // FIR, RFC 5104 section 4.3.1.
        ("84ce0004 00000001 00000000 00000002 07000000", [
            .fir(sender: 1, [FirEntry(ssrc: 2, sequence: 7)])]),
        // REMB of 250000 bit/s, draft-alvestrand-rmcat-remb-03 section 2.2.
        ("8fce0005 00000001 00000000 52454d42 0103d090 00000009", [
            .remb(sender: 1, bitsPerSecond: 250_000, ssrcs: [9])]),
        // BYE without sources; APP; XR (RFC 3611): well-formed and ignored.
        ("80cb0000", [.goodbye([])]),
        ("80cc0002 00000001 6e616d65", [.other(type: 204, format: 0)]),
        ("80cf0001 00000001", [.other(type: 207, format: 0)]),
        // Padding on the last packet only, RFC 3550 section 6.4.1.
        ("a0c90002 00000001 00000004", [.receiverReport(sender: 1, [])]),
        // libwebrtc pads transport feedback to the next word only.
        ("afcd0005 00000001 00000002 00010001 00000000 20010401", [
            .transportFeedback(oneArrival)]),
    ])
    func rowsAreReadAsWritten(_ bytes: String, _ packets: [RtcpPacket]) {
        #expect(parseRtcp(hex(bytes)) == packets)
    }

    @Test(arguments: [
        "", "80", "40c90001 00000001",  // nothing, too short, version 1
        "80c90002 00000001",  // longer than the datagram
        "81c90001 00000001",  // a block too few
        "a0c90001 00000001 80c90001 00000001",  // padding before the last packet
        "a0c90001 00000000", "a0c90001 00000008",  // impossible paddings
        "81cd0002 00000001 00000002",  // NACK of nothing
        "81ca0001 00000001",  // SDES without an end
        "81ca0002 00000001 01ff0000",  // SDES item beyond the chunk
        "8fcd0004 00000001 00000002 0001 0000 00000000",  // no status
        "8fcd0004 00000001 00000002 0001 0001 00000000",  // no chunk
        "8fcd0005 00000001 00000002 0001 0002 00000000 2002 0000".replacing("2002", with: "4002"),
    ])
    func contradictionsAreRefused(_ bytes: String) {
        #expect(parseRtcp(hex(bytes)) == nil)
    }

    @Test func damagedPacketsNeverTrap() {
        var random = SeededGenerator(seed: 11)
        let whole = Self.packets.flatMap(Self.write)
        for _ in 0..<20_000 {
            var bytes = Self.packets.randomElement(using: &random).map(Self.write) ?? whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                bytes[at] = UInt8.random(in: 0...255, using: &random)
            }
            _ = parseRtcp(bytes)
        }
    }

    @Test func oneNackDoesNotGrowBeyondItsLimit() throws {
        var bytes = hex("81cd0000 00000001 00000002")
        for _ in 0..<300 { bytes += hex("0001ffff") }
        bytes[2] = UInt8((bytes.count / 4 - 1) >> 8)
        bytes[3] = UInt8((bytes.count / 4 - 1) & 255)
        let packets = try #require(parseRtcp(bytes))
        guard case .nack(_, _, let sequences) = packets[0] else {
            Issue.record("not a NACK")
            return
        }
        #expect(sequences.count <= 1024 + 17)
    }
}
