// Answers to the offers of real clients (Tests/Vectors/sdp).
// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Signaling
import Testing

struct Client: Sendable, CustomTestStringConvertible {
    let file: String
    let publications: Int
    let slots: Int
    let rids: [String]
    var testDescription: String { file }

    func offer() throws -> String {
        let tests = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(
            contentsOf: tests.appending(path: "Vectors/sdp/\(file).sdp"), encoding: .utf8)
    }
}

private let clients = [
    Client(file: "chromium-plain", publications: 2, slots: 0, rids: []),
    Client(file: "chromium-simulcast-2x2", publications: 2, slots: 4, rids: ["q", "h", "f"]),
    Client(file: "chromium-49x49", publications: 2, slots: 98, rids: ["q", "h", "f"]),
    Client(file: "firefox-simulcast-2x2", publications: 2, slots: 4, rids: ["q", "h", "f"]),
    Client(file: "libwebrtc-simulcast-3x3", publications: 2, slots: 6, rids: ["q", "h", "f"]),
    Client(file: "aiortc-sendrecv", publications: 2, slots: 4, rids: []),
    Client(file: "gstreamer-webrtcbin", publications: 2, slots: 3, rids: []),
]

private let local = LocalTransport(
    ufrag: "Aabcdefg", password: "abcdefghijklmnopqrstuvwx",
    fingerprint: DTLSFingerprint(algorithm: "sha-256", bytes: Array(0..<32)),
    candidates: [
        LocalCandidate(address: "192.0.2.1", isIPv6: false, port: 40000),
        LocalCandidate(address: "2001:db8::1", isIPv6: true, port: 40000),
    ])

private func negotiate(
    _ text: String, with negotiator: inout Negotiator, mayPublish: Bool = true
) throws -> NegotiatedSession {
    var random = SystemRandomNumberGenerator()
    return try negotiator.answer(
        SessionDescription.parse(text), sources: [:], mayPublish: mayPublish, local: local,
        using: &random)
}

@Suite struct NegotiationTests {
    @Test(arguments: clients)
    func sectionsBecomePublicationsAndSlots(client: Client) throws {
        var negotiator = Negotiator(sessionID: 1)
        let session = try negotiate(client.offer(), with: &negotiator)
        #expect(session.publications.count == client.publications)
        #expect(session.slots.count == client.slots)
        #expect(session.role == .passive)
        let camera = try #require(session.publications.first { $0.kind == .video })
        #expect(camera.source == .camera)
        #expect(camera.codec == .vp8)
        #expect(camera.rids == client.rids)
        let microphone = try #require(session.publications.first { $0.kind == .audio })
        #expect(microphone.codec == .opus && microphone.clockRate == 48000)
        let ssrcs = session.slots.flatMap { [$0.ssrc] + ($0.rtxSSRC.map { [$0] } ?? []) }
        #expect(Set(ssrcs).count == ssrcs.count && !ssrcs.contains(0))
    }

    @Test(arguments: clients)
    func answerMirrorsTheOffer(client: Client) throws {
        var negotiator = Negotiator(sessionID: 1)
        let offer = try client.offer()
        let session = try negotiate(offer, with: &negotiator)
        let answer = try SessionDescription.parse(session.answer)
        let offered = try SessionDescription.parse(offer)
        #expect(answer.media.map(\.mid) == offered.media.map(\.mid))
        #expect(answer.media.map(\.type) == offered.media.map(\.type))
        #expect(session.answer.contains("a=ice-lite\r\n"))
        #expect(session.answer.contains(" 192.0.2.1 40000 typ host"))
        #expect(session.answer.contains(" 2001:db8::1 40000 typ host"))
        for (ours, theirs) in zip(answer.media, offered.media) where !ours.isRejected {
            #expect(ours.hasRtcpMux)
            #expect(!ours.direction.sends || theirs.direction.receives)
            #expect(!ours.direction.receives || theirs.direction.sends)
            let known = Set(theirs.formats.map(\.payloadType))
            #expect(ours.formats.allSatisfy { known.contains($0.payloadType) })
            let ids = Dictionary(theirs.extensions.map { ($0.id, $0.uri) }) { first, _ in first }
            #expect(ours.extensions.allSatisfy { ids[$0.id] == $0.uri })
        }
    }

    @Test(arguments: clients)
    func everyPrefixIsReadOrRefusedCalmly(client: Client) throws {
        let bytes = Array(try client.offer().utf8)
        let step = max(1, bytes.count / 300)
        for length in stride(from: 0, to: bytes.count, by: step) {
            let prefix = Array(bytes[..<length])
            guard let offer = try? SessionDescription.parse(prefix.span) else { continue }
            var negotiator = Negotiator(sessionID: 1)
            var random = SystemRandomNumberGenerator()
            _ = try? negotiator.answer(
                offer, sources: [:], mayPublish: true, local: local, using: &random)
        }
    }

    @Test func numbersOfASlotStayFromOfferToOffer() throws {
        let offer = try clients[1].offer()
        var negotiator = Negotiator(sessionID: 1)
        let first = try negotiate(offer, with: &negotiator)
        let second = try negotiate(offer, with: &negotiator)
        #expect(first.slots == second.slots)
        #expect(!second.isIceRestart)
    }

    @Test func newCredentialsAreAnIceRestart() throws {
        let offer = try clients[1].offer()
        var negotiator = Negotiator(sessionID: 1)
        let first = try negotiate(offer, with: &negotiator)
        let again = offer.replacing(first.remote.ufrag, with: "other")
        #expect(negotiator.isIceRestart(try SessionDescription.parse(again)))
        #expect(try negotiate(again, with: &negotiator).isIceRestart)
    }

    @Test func ghostPublishesNothing() throws {
        var negotiator = Negotiator(sessionID: 1)
        let session = try negotiate(clients[1].offer(), with: &negotiator, mayPublish: false)
        #expect(session.publications.isEmpty)
        #expect(session.slots.count == 4)
    }

    @Test(arguments: [
        ("a=fingerprint", "a=nothing", "fingerprint"), ("a=ice-ufrag", "a=nothing", "ICE"),
        ("a=setup:actpass", "a=setup:holdconn", "holdconn"),
    ])
    func offersThatCannotBeAnsweredSaySo(old: String, new: String, word: String) throws {
        let offer = try clients[0].offer().replacing(old, with: new)
        var negotiator = Negotiator(sessionID: 1)
        #expect { try negotiate(offer, with: &negotiator) } throws: {
            ($0 as? SDPError)?.message.contains(word) == true
        }
    }

    @Test(arguments: ["", "v=1\r\n", "hello", "v=0\r\nm=video 9\r\n", "v=0\r\nm=audio x y z\r\n"])
    func whatIsNoDescriptionIsRefused(text: String) {
        var negotiator = Negotiator(sessionID: 1)
        #expect { try negotiate(text, with: &negotiator) } throws: { $0 is SDPError }
    }

    @Test func sizeIsLimited() {
        let text = "v=0\r\n" + String(repeating: "a=x\r\n", count: 200_000)
        #expect { try SessionDescription.parse(text) } throws: { $0 is SDPError }
    }
}
