// Fuzz target: packets of any bytes; what is read is written and read again.
// SPDX-License-Identifier: Apache-2.0
//
// Fuzz-Sources: Sources/Signaling/JSON/JSONReader.swift Sources/Signaling/JSON/JSONValue.swift
// Fuzz-Sources: Sources/Signaling/Packets/Packet.swift
// Fuzz-Sources: Sources/Signaling/Packets/PacketDecoding.swift
// Fuzz-Sources: Sources/Signaling/Packets/PacketEncoding.swift
// Fuzz-Sources: Sources/Signaling/Packets/PacketFields.swift

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPackets(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: count).span
    guard let packet = try? Packet.decode(bytes) else { return 0 }
    guard let again = try? Packet.decode(packet.text) else {
        fatalError("written but not readable: \(packet.text)")
    }
    precondition(again.body.contentType == packet.body.contentType)
    return 0
}
