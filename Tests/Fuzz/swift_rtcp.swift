// Fuzz target: RTCP of any bytes; what is read and can be written is read back the same.
// SPDX-License-Identifier: Apache-2.0
//
// Fuzz-Sources: Sources/MediaPlane/Rtcp/RtcpPacket.swift Sources/MediaPlane/Rtcp/RtcpReader.swift
// Fuzz-Sources: Sources/MediaPlane/Rtcp/RtcpWriter.swift Sources/MediaPlane/Model/ByteOrder.swift

private func write(_ packet: RtcpPacket) -> [UInt8] {
    var writer = RtcpWriter()
    switch packet {
    case .senderReport(let info, let blocks): writer.addSenderReport(info, blocks)
    case .receiverReport(let sender, let blocks):
        writer.addReceiverReport(sender: sender, blocks)
    case .goodbye(let ssrcs): writer.addGoodbye(ssrcs)
    case .pli(let sender, let media): writer.addPli(sender: sender, media: media)
    case .fir(let sender, let entries): writer.addFir(sender: sender, entries)
    case .transportFeedback(let feedback): writer.addTransportFeedback(feedback)
    // Names are cleaned, NACKs regrouped and bitrates rounded: reading is enough for them.
    case .sourceDescription, .nack, .remb, .other: break
    }
    return writer.bytes
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRtcp(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let buffer = UnsafeBufferPointer(start: start, count: count)
    guard let packets = RtcpReader.parse(buffer.span) else { return 0 }
    for packet in packets {
        let bytes = write(packet)
        precondition(bytes.isEmpty || RtcpReader.parse(bytes.span) == [packet])
    }
    return 0
}
