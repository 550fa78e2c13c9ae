// Fuzz target: STUN messages of any bytes, and an ICE agent that answers them.
// SPDX-License-Identifier: Apache-2.0
//
// Fuzz-Sources: Sources/MediaPlane/Ice/StunMessage.swift Sources/MediaPlane/Ice/StunWriter.swift
// Fuzz-Sources: Sources/MediaPlane/Ice/IceLiteAgent.swift Sources/MediaPlane/Model/ByteOrder.swift
// Fuzz-Sources: Sources/MediaPlane/Model/Addresses.swift
// Fuzz-Sources: Sources/MediaPlane/Model/Descriptions.swift
// Fuzz-Sources: Sources/MediaPlane/Model/Identifiers.swift
// Fuzz-Sources: Sources/MediaPlane/Dtls/Fingerprint.swift

/// Stands in for OpenSSL's: the fuzzer can sign with it, and so reaches the answers.
enum HmacSha1 {
    static func code(of bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 0x61, count: 20)
    }
}

enum Secrets {
    static func randomBytes(_ count: Int) -> [UInt8]? { [UInt8](repeating: 0, count: count) }
}

private let local = IceCredentials(ufrag: "Aabcdefg", pwd: "abcdefghijklmnopqrstuvwx")
private let remote = IceCredentials(ufrag: "clnt", pwd: "zyxwvutsrqponmlkjihgfedc")

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzStun(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let buffer = UnsafeBufferPointer(start: start, count: count)
    let bytes = buffer.span
    guard let message = StunMessage.parse(bytes) else { return 0 }
    var agent = IceLiteAgent(local: local, nowUs: 0)
    agent.setRemote(remote, nowUs: 0)
    let from = Endpoint(address: .loopbackV4, port: 1)
    let outcome = agent.receive(message, bytes, from: from, nowUs: 1)
    // Whatever we answer must be a message that we read ourselves.
    if let reply = outcome.reply { precondition(StunMessage.parse(reply.span) != nil) }
    if let username = message.username { _ = IceCredentialMaker.key(bytes, username) }
    return 0
}
