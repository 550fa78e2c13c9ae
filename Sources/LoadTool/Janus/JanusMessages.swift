// The messages of Janus' WebSocket interface and of its videoroom plugin, version 1.x.
// SPDX-License-Identifier: Apache-2.0

/// A session description with its role.
package struct JanusDescription: Codable, Sendable {
    /// `offer` or `answer`.
    package var type: String
    package var sdp: String
}

/// A publisher to subscribe to, with all its streams.
struct JanusFeed: Encodable, Sendable {
    var feed: UInt64
}

/// What a message asks of the videoroom.
struct JanusBody: Encodable, Sendable {
    var request: String
    var ptype: String?
    var room: Int?
    var streams: [JanusFeed]?
}

/// A request. Everything but `janus` depends on what it is.
struct JanusRequest: Encodable, Sendable {
    /// `create`, `attach`, `message`, `keepalive` or `destroy`.
    var janus: String
    var transaction = ""
    var session_id: UInt64?
    var handle_id: UInt64?
    var plugin: String?
    var body: JanusBody?
    var jsep: JanusDescription?

    init(_ janus: String) { self.janus = janus }
}

/// Anything that Janus says. Fields of other kinds of messages are nil.
package struct JanusReply: Decodable, Sendable {
    package struct Identifier: Decodable, Sendable {
        package let id: UInt64
    }
    package struct Problem: Decodable, Sendable {
        package let code: Int
        package let reason: String
    }
    package struct Plugin: Decodable, Sendable {
        package let data: Videoroom
    }
    package struct Videoroom: Decodable, Sendable {
        package let publishers: [Identifier]?
        package let error: String?
        package let error_code: Int?
    }

    /// `success`, `ack`, `error`, `event`, `hangup`, `timeout`, `webrtcup`, …
    package let janus: String
    package let transaction: String?
    package let data: Identifier?
    package let error: Problem?
    package let plugindata: Plugin?
    package let jsep: JanusDescription?
    /// Of a hangup.
    package let reason: String?

    /// Why the request that this answers was refused.
    package var refusal: LoadFailure? {
        if let error { return LoadFailure("Janus refused", "\(error.code) \(error.reason)") }
        guard let code = plugindata?.data.error_code else { return nil }
        return LoadFailure("Janus' videoroom refused", "\(code) \(plugindata?.data.error ?? "")")
    }
}

/// The answer to what Janus offers a subscriber (RFC 9429 section 5.3): every section is received,
/// with the numbers of the offer.
package enum JanusAnswer {
    /// Lines that are taken over from the offer. Transport-wide feedback is not: nothing in Janus
    /// adapts to it.
    private static let kept = [
        "v=", "s=", "t=", "m=", "c=", "a=group:", "a=mid:", "a=rtcp-mux", "a=rtpmap:", "a=fmtp:",
        "a=rtcp-fb:", "a=extmap:", "a=extmap-allow-mixed", "a=msid-semantic:",
    ]

    /// - Parameters:
    ///   - offer: of Janus.
    ///   - transport: lines that tell credentials, fingerprint and DTLS role.
    package static func write(_ offer: String, transport: [String]) -> String {
        var lines: [String] = []
        for line in offer.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("o=") { lines.append("o=- 1 1 IN IP4 127.0.0.1") }
            guard kept.contains(where: { line.hasPrefix($0) }),
                !line.contains("transport-cc"), !line.contains("transport-wide-cc")
            else { continue }
            lines.append(String(line))
            if line.hasPrefix("a=mid:") { lines += ["a=recvonly"] + transport }
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }
}
