// Details of answers, on small offers that are changed line by line.
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Signaling
import Testing

private let head = """
    v=0
    o=- 1 2 IN IP4 127.0.0.1
    s=-
    t=0 0
    a=group:BUNDLE 0 1
    a=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F
    a=ice-ufrag:abcd
    a=ice-pwd:abcdefghijklmnopqrstuv
    a=setup:actpass

    """

private func section(_ kind: String, mid: String, _ lines: String...) -> String {
    let list = kind == "audio" ? "111" : "96 97 98 99 100 101 102"
    let first = "m=\(kind) 9 UDP/TLS/RTP/SAVPF \(list)\na=mid:\(mid)\na=rtcp-mux\n"
    return first + lines.map { $0 + "\n" }.joined()
}

private let opus = "a=rtpmap:111 opus/48000/2"
private let vp8 = "a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96"

private func answer(
    _ text: String, sources: [String: FeedSource] = [:], negotiator: Negotiator? = nil
) throws -> NegotiatedSession {
    var negotiator = negotiator ?? Negotiator(sessionID: 5)
    return try answer(text, sources: sources, with: &negotiator)
}

private func answer(
    _ text: String, sources: [String: FeedSource] = [:], with negotiator: inout Negotiator
) throws -> NegotiatedSession {
    var random = Seeded(state: 1)
    return try negotiator.answer(
        SessionDescription.parse(text), sources: sources, mayPublish: true,
        local: LocalTransport(
            ufrag: "server", password: "abcdefghijklmnopqrstuvwx",
            fingerprint: DTLSFingerprint(algorithm: "sha-256", bytes: Array(0..<32)),
            candidates: [LocalCandidate(address: "192.0.2.1", isIPv6: false, port: 4000)]),
        using: &random)
}

@Suite struct AnswerTests {
    @Test func h264NeedsPacketizationModeOneAndPrefersBaseline() throws {
        let video = section(
            "video", mid: "0", "a=recvonly",
            "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=0;profile-level-id=42e01f",
            "a=rtpmap:98 H264/90000", "a=fmtp:98 packetization-mode=1;profile-level-id=640032",
            "a=rtpmap:100 H264/90000", "a=fmtp:100 packetization-mode=1;profile-level-id=42E01F",
            "a=rtpmap:101 rtx/90000", "a=fmtp:101 apt=100")
        let session = try answer(head + video)
        let codecs = try #require(session.slots.first?.codecs)
        #expect(codecs.map(\.codec) == [.h264])
        #expect(codecs.map(\.payloadType) == [100])
        #expect(codecs.map(\.rtxPayloadType) == [101])
    }

    @Test func vp9ProfileTwoIsNotForwarded() throws {
        let video = section(
            "video", mid: "0", "a=recvonly", "a=rtpmap:96 VP9/90000", "a=fmtp:96 profile-id=2",
            "a=rtpmap:98 VP9/90000", "a=fmtp:98 profile-id=0", "a=rtpmap:99 AV1/90000")
        let codecs = try answer(head + video).slots.first?.codecs
        #expect(codecs?.map(\.codec) == [.vp9, .av1])
        #expect(codecs?.map(\.payloadType) == [98, 99])
    }

    @Test func publicationGetsOneCodec() throws {
        let video = section(
            "video", mid: "0", "a=sendonly", "a=rtpmap:98 VP9/90000", vp8)
        let session = try answer(head + video)
        #expect(session.publications.map(\.codec) == [.vp8])
        #expect(session.answer.contains("m=video 4000 UDP/TLS/RTP/SAVPF 96 97\r\n"))
    }

    @Test func congestionFeedbackDependsOnTheDirection() throws {
        let feedback =
            "a=rtcp-fb:96 transport-cc\na=rtcp-fb:96 goog-remb\na=rtcp-fb:96 nack\n"
            + "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        let text =
            head + section("video", mid: "0", "a=sendonly", vp8, feedback)
            + section("video", mid: "1", "a=recvonly", vp8, feedback)
        let session = try answer(text)
        let reply = try SessionDescription.parse(session.answer)
        #expect(reply.media[0].formats[0].feedback == ["transport-cc", "nack"])
        #expect(reply.media[0].extensions.map(\.id) == [3])
        #expect(reply.media[1].formats[0].feedback == ["goog-remb", "nack"])
        #expect(reply.media[1].extensions.isEmpty)
        #expect(session.extensions.transportCC == 3)
    }

    @Test func ridsKeepTheirOrderAndTheirCodec() throws {
        let video = section(
            "video", mid: "0", "a=sendonly", vp8, "a=rid:a send", "a=rid:b send pt=98",
            "a=rid:c send pt=96", "a=rid:d recv", "a=simulcast:send c;~a,b;b")
        let session = try answer(head + video)
        #expect(session.publications.first?.rids == ["c", "a"])
        #expect(session.answer.contains("a=rid:c recv\r\na=rid:a recv\r\na=simulcast:recv c;a\r\n"))
    }

    @Test func sourcesAreTheClientsWord() throws {
        let text =
            head + section("video", mid: "0", "a=sendonly", vp8)
            + section("video", mid: "1", "a=sendonly", vp8)
        #expect(try answer(text).publications.map(\.source) == [.camera, .screen])
        let named = try answer(text, sources: ["0": .screen])
        #expect(named.publications.map(\.source) == [.screen, .camera])
        #expect(throws: SDPError.self) { try answer(text, sources: ["0": .microphone]) }
        #expect(throws: SDPError.self) { try answer(text, sources: ["0": .screen, "1": .screen]) }
    }

    @Test func pausedCameraKeepsWhatWasAgreedOn() throws {
        let rid = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        let camera = [
            vp8, "a=rid:q send", "a=rid:f send", "a=simulcast:send q;f", "a=extmap:9 \(rid)",
        ]
        let screen = section("video", mid: "1", "a=sendonly", vp8)
        func offer(_ direction: String) -> String {
            head + section("video", mid: "0", "a=\(direction)", camera.joined(separator: "\n"))
        }
        var negotiator = Negotiator(sessionID: 5)
        let first = try answer(offer("sendonly"), with: &negotiator)
        let paused = try answer(offer("inactive") + screen, with: &negotiator)
        let again = try answer(offer("sendonly") + screen, with: &negotiator)
        #expect(paused.publications.map(\.source) == [.screen])
        #expect(again.publications.map(\.source) == [.camera, .screen])
        #expect(again.publications.first?.rids == ["q", "f"])
        for session in [first, paused, again] {
            #expect(session.answer.contains("a=simulcast:recv q;f\r\n"))
            #expect(session.answer.contains("a=extmap:9 \(rid)\r\n"))
        }
    }

    @Test func dataChannelsAndUnbundledSectionsAreRefused() throws {
        let text =
            head + section("audio", mid: "0", "a=sendonly", opus)
            + section("video", mid: "7", "a=recvonly", vp8)
            + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:1\n"
        let session = try answer(text)
        let reply = try SessionDescription.parse(session.answer)
        #expect(reply.media.map(\.port) == [4000, 0, 0])
        #expect(reply.bundles == [["0"]])
        #expect(session.answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"))
    }

    @Test func sectionInBothDirectionsIsPublicationAndSlot() throws {
        let session = try answer(head + section("audio", mid: "0", "a=sendrecv", opus))
        #expect(session.publications.count == 1 && session.slots.count == 1)
        #expect(session.answer.contains("a=sendrecv\r\n"))
        #expect(session.answer.contains("a=msid:slot-0 slot-0\r\n"))
    }

    @Test func roleFollowsTheOfferAndStays() throws {
        let audio = section("audio", mid: "0", "a=sendonly", opus)
        let passive = head.replacing("actpass", with: "passive")
        #expect(try answer(passive + audio).role == .active)
        var negotiator = Negotiator(sessionID: 5)
        var random = Seeded(state: 1)
        let local = LocalTransport(
            ufrag: "abcd", password: "abcdefghijklmnopqrstuv",
            fingerprint: DTLSFingerprint(algorithm: "sha-256", bytes: []), candidates: [])
        _ = try negotiator.answer(
            SessionDescription.parse(head + audio), sources: [:], mayPublish: true, local: local,
            using: &random)
        #expect(throws: SDPError.self) { try answer(passive + audio, negotiator: negotiator) }
        #expect(try answer(head + audio, negotiator: negotiator).role == .passive)
    }

    @Test func otherCertificateIsAnotherConnection() throws {
        let audio = section("audio", mid: "0", "a=sendonly", opus)
        var negotiator = Negotiator(sessionID: 5)
        var random = Seeded(state: 1)
        let offer = try SessionDescription.parse(head + audio)
        #expect(negotiator.continues(offer))
        _ = try negotiator.answer(
            offer, sources: [:], mayPublish: true,
            local: LocalTransport(
                ufrag: "abcd", password: "abcdefghijklmnopqrstuv",
                fingerprint: DTLSFingerprint(algorithm: "sha-256", bytes: []), candidates: []),
            using: &random)
        #expect(negotiator.continues(offer))
        let other = try SessionDescription.parse(head.replacing("1E:1F", with: "1E:20") + audio)
        #expect(!negotiator.continues(other))
    }

    @Test func contradictingExtensionIsNotTaken() throws {
        let mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
        let text =
            head + section("audio", mid: "0", "a=sendonly", opus, "a=extmap:4 \(mid)")
            + section("video", mid: "1", "a=sendonly", vp8, "a=extmap:5/recvonly \(mid)")
        let session = try answer(text)
        let reply = try SessionDescription.parse(session.answer)
        #expect(session.extensions.mid == 4)
        #expect(reply.media.map(\.extensions.count) == [1, 0])
    }

    @Test(arguments: [
        "a=fmtp:96 x\ra=evil", "a=rtpmap:x", "a=rid:!", "a=ssrc:99999999999 x", "a=extmap:a b",
        "a=ice-pwd:short", "a=fingerprint:sha-256 00", "a=setup:nobody", "a=mid:0\na=mid:\u{1}",
        "a=simulcast:send", "a=ssrc-group:FID x",
    ])
    func malformedLinesAreNamed(line: String) throws {
        let text = head + section("video", mid: "0", "a=sendonly", vp8, line)
        #expect {
            try SessionDescription.parse(text)
        } throws: { error in
            (error as? SDPError)?.message.hasPrefix("SDP line ") ?? false
        }
    }
}

@Suite struct SchemaTests {
    private func schema() throws -> [String: JSONValue] {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appending(path: "API/packets.schema.json"), encoding: .utf8)
        guard case .object(let schema) = try JSONValue.parse(Array(text.utf8).span),
            case .object(let definitions)? = schema["$defs"]
        else { return [:] }
        return definitions
    }

    /// The schema describes exactly the packets that are read, and what it requires is missed.
    @Test func schemaAndReaderAgree() throws {
        let definitions = try schema()
        let packets = Set(definitions.keys.filter { $0.allSatisfy { $0.isUppercase || $0 == "_" } })
        #expect(packets == Set(Packet.contentTypes))
        for type in packets {
            guard case .object(let definition)? = definitions[type],
                case .array(let required)? = definition["required"]
            else {
                Issue.record("no required members for \(type)")
                continue
            }
            let names = required.compactMap { if case .string(let text) = $0 { text } else { nil } }
            #expect(names.contains("meeting_id") && names.contains("content_type"))
            let own = names.filter { $0 != "meeting_id" && $0 != "content_type" }
            let bare = #"{"content_type":"\#(type)","meeting_id":"m"}"#
            guard !own.isEmpty else { continue }
            #expect {
                try Packet.decode(bare)
            } throws: { error in
                let message = (error as? PacketError)?.message ?? ""
                return own.contains { message == "\(type): \($0) is missing" }
            }
        }
    }
}
