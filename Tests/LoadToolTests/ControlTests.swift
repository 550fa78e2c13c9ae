// Session descriptions, ICE and packets of the load tool. SPDX-License-Identifier: Apache-2.0

import LoadTool
import MediaPlane
import NIOCore
import Signaling
import Testing

@Suite struct OfferTests {
    private let secret = IceCredentials(ufrag: "abcdefgh", pwd: "abcdefghijklmnopqrstuvwx")

    private func fingerprint() throws -> Fingerprint {
        try #require(Fingerprint(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32)))
    }

    private func plan(layers: Int = 1) -> OfferPlan {
        var plan = OfferPlan()
        plan.publications = [
            .init(source: .microphone, codec: .opus, ssrcs: [StreamNumbers(ssrc: 1)]),
            .init(
                source: .camera, codec: .vp8,
                ssrcs: (0..<UInt32(layers)).map { StreamNumbers(ssrc: 10 + $0, rtx: 20 + $0) }),
        ]
        plan.videoSlots = 49
        plan.audioSlots = 49
        return plan
    }

    /// The node's own negotiator takes the offer, and the reader takes its answer.
    private func negotiate(_ plan: OfferPlan) throws -> (NegotiatedSession, AnswerPlan) {
        let text = OfferWriter(secret: secret, fingerprint: try fingerprint()).write(plan)
        let offer = try SessionDescription.parse(text)
        var negotiator = Negotiator(sessionID: 1)
        var generator = Seeded(1)
        let local = LocalTransport(
            ufrag: "node", password: "passwordpasswordpassword",
            fingerprint: DTLSFingerprint(
                algorithm: "sha-256", bytes: [UInt8](repeating: 9, count: 32)),
            candidates: [
                LocalCandidate(address: "192.0.2.1", isIPv6: false, port: 5000),
                LocalCandidate(address: "2001:db8::1", isIPv6: true, port: 5000),
            ])
        let session = try negotiator.answer(
            offer, sources: plan.sources, mayPublish: true, local: local, using: &generator)
        return (session, try AnswerReader.read(session.answer))
    }

    @Test func theNodeAnswersEverySection() throws {
        let (session, answer) = try negotiate(plan())
        #expect(session.publications.map(\.source) == [.microphone, .camera])
        #expect(session.publications[1].ssrcs.map(\.ssrc) == [10])
        #expect(session.publications[1].ssrcs.map(\.rtx) == [20])
        #expect(session.slots.count == 98)
        #expect(session.remote.ufrag == secret.ufrag)
        #expect(answer.accepted == ["0", "1"])
        #expect(answer.slots.count == 98)
        #expect(answer.slots.map(\.plan.ssrc) == session.slots.map(\.ssrc))
        #expect(answer.slots.map(\.plan.rtxSSRC) == session.slots.map { $0.rtxSSRC ?? 0 })
        #expect(answer.slots.map(\.mid) == session.slots.map(\.mid))
        #expect(answer.candidates.map(\.description) == ["192.0.2.1:5000", "[2001:db8::1]:5000"])
        #expect(answer.secret == IceCredentials(ufrag: "node", pwd: "passwordpasswordpassword"))
        #expect(answer.role == .active)
        #expect(answer.extensions.transportSequence == session.extensions.transportCC)
        #expect(answer.extensions.mid != 0 && answer.extensions.absSendTime != 0)
    }

    @Test func layersAreSimulcastByRid() throws {
        let (session, answer) = try negotiate(plan(layers: 3))
        #expect(session.publications[1].rids == ["q", "h", "f"])
        #expect(answer.extensions.rid != 0)
    }

    @Test(arguments: ["", "v=0", "nonsense", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0"])
    func answersWithoutMediaAreRefused(text: String) {
        #expect(throws: LoadFailure.self) { try AnswerReader.read(text) }
    }

    @Test func anyPrefixOfAnAnswerIsReadOrRefused() throws {
        var small = plan()
        small.videoSlots = 1
        small.audioSlots = 0
        let (session, _) = try negotiate(small)
        for count in 0..<session.answer.count {
            do { _ = try AnswerReader.read(String(session.answer.prefix(count))) } catch {
                #expect(error is LoadFailure)
            }
        }
    }
}

@Suite struct IceTests {
    private let local = IceCredentials(ufrag: "client00", pwd: "clientclientclientclient")
    private let remote = IceCredentials(ufrag: "nodenode", pwd: "nodenodenodenodenodenode")

    private func node() -> IceLiteAgent {
        var agent = IceLiteAgent(local: remote, nowUs: 0)
        agent.setRemote(local, nowUs: 0)
        return agent
    }

    /// What the node says to the client's next request.
    private func exchange(
        _ client: inout IceClient, _ node: inout IceLiteAgent, nowUs: UInt64
    ) throws -> (selected: Endpoint?, reply: [UInt8]) {
        let polled = client.poll(nowUs: nowUs)
        let request = try #require(polled)
        let parsed = StunMessage.parse(request.span)
        let message = try #require(parsed)
        let from = Endpoint(address: .loopbackV4, port: 4000)
        let outcome = node.receive(message, request.span, from: from, nowUs: nowUs)
        return (outcome.select, try #require(outcome.reply))
    }

    @Test func theNodeAnswersAndThePairIsNominated() throws {
        var (client, node) = (IceClient(local: local, remote: remote), node())
        let answer = try exchange(&client, &node, nowUs: 0)
        let repeated = client.poll(nowUs: 1)
        #expect(repeated == nil, "not twice at once")
        #expect(answer.selected?.port == 4000)
        let isNews = client.receive(answer.reply, nowUs: 2)
        #expect(isNews && client.isConnected)
    }

    @Test func requestsAreRepeatedMoreAndMoreSlowly() {
        var client = IceClient(local: local, remote: remote)
        var times: [UInt64] = []
        for now in stride(from: UInt64(0), to: 4_000_000, by: 10_000) {
            if client.poll(nowUs: now) != nil { times.append(now) }
        }
        #expect(times == [0, 100_000, 300_000, 700_000, 1_500_000, 3_100_000])
    }

    @Test func consentIsKeptAndExpires() throws {
        var (client, node) = (IceClient(local: local, remote: remote), node())
        let first = try exchange(&client, &node, nowUs: 0)
        _ = client.receive(first.reply, nowUs: 0)
        let early = client.poll(nowUs: 3_900_000)
        #expect(early == nil)
        let second = try exchange(&client, &node, nowUs: 6_000_000)
        let isNews = client.receive(second.reply, nowUs: 6_000_000)
        #expect(!isNews, "connected before")
        #expect(!client.hasExpired(nowUs: 36_000_000))
        #expect(client.hasExpired(nowUs: 36_000_001))
    }

    @Test func checksOfTheFarSideAreAnswered() throws {
        let client = IceClient(local: local, remote: remote)
        let source = Endpoint(address: .loopbackV4, port: 4000)
        var farSide = IceClient(local: remote, remote: local)
        let polled = farSide.poll(nowUs: 0)
        let answer = client.answer(try #require(polled), from: source)
        let isConnected = farSide.receive(try #require(answer), nowUs: 1)
        #expect(isConnected)
        var stranger = IceClient(
            local: remote, remote: IceCredentials(ufrag: "client00", pwd: "somethingsomethingelse"))
        let forged = stranger.poll(nowUs: 0)
        #expect(client.answer(try #require(forged), from: source) == nil)
        #expect(client.answer(try #require(answer), from: source) == nil, "not a request")
        #expect(client.answer([], from: source) == nil)
    }

    @Test func foreignAnswersAreNothing() throws {
        var client = IceClient(local: local, remote: remote)
        let polled = client.poll(nowUs: 0)
        let own = try #require(polled)
        let other = IceCredentials(ufrag: "nodenode", pwd: "anotheranotheranotherxyz")
        var stranger = IceLiteAgent(local: other, nowUs: 0)
        stranger.setRemote(local, nowUs: 0)
        var friend = IceClient(local: local, remote: other)
        let foreign = try exchange(&friend, &stranger, nowUs: 0).reply
        for datagram in [[], own, foreign] {
            let isNews = client.receive(datagram, nowUs: 1)
            #expect(!isNews)
        }
        #expect(!client.isConnected)
    }
}

@Suite struct SnifferTests {
    @Test func typesAreFoundWithoutReadingAll() {
        let packet = Packet("meeting", .speakers([SpeakerLevel(accountID: "a", level: 3)]))
        #expect(PacketSniffer.contentType(ByteBuffer(string: packet.text)) == "SPEAKERS")
    }

    @Test(arguments: [
        "", "{", #"{"content_type":"#, #"{"content_type":"JOIN"#,
        #"{"meeting_id":"m","x":1}"#,
    ])
    func whatIsNotThereIsNotFound(text: String) {
        #expect(PacketSniffer.contentType(ByteBuffer(string: text)) == nil)
    }
}
