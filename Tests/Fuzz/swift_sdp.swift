// Fuzz target: session descriptions of any bytes, parsed and answered.
// SPDX-License-Identifier: Apache-2.0
//
// Fuzz-Sources: Sources/Signaling/SDP/SDPReader.swift Sources/Signaling/SDP/AnswerWriter.swift
// Fuzz-Sources: Sources/Signaling/SDP/SessionDescription.swift
// Fuzz-Sources: Sources/Signaling/SDP/CodecMatching.swift
// Fuzz-Sources: Sources/Signaling/SDP/NegotiatedSession.swift
// Fuzz-Sources: Sources/Signaling/SDP/Negotiator.swift Sources/Signaling/SDP/SectionPlan.swift
// Fuzz-Sources: Sources/Signaling/Packets/Packet.swift
// Fuzz-Sources: Sources/Signaling/Meeting/MeetingTypes.swift

private let local = LocalTransport(
    ufrag: "Aabcdefg", password: "abcdefghijklmnopqrstuvwx",
    fingerprint: DTLSFingerprint(algorithm: "sha-256", bytes: [UInt8](repeating: 7, count: 32)),
    candidates: [LocalCandidate(address: "192.0.2.1", isIPv6: false, port: 9)])

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSdp(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: count).span
    guard let offer = try? SessionDescription.parse(bytes) else { return 0 }
    var negotiator = Negotiator(sessionID: 1)
    var random = SystemRandomNumberGenerator()
    let session = try? negotiator.answer(
        offer, sources: [:], mayPublish: true, local: local, using: &random)
    guard let session else { return 0 }
    guard (try? SessionDescription.parse(session.answer)) != nil else {
        fatalError("our own answer is not readable:\n\(session.answer)")
    }
    return 0
}
