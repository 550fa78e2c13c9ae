// DTLS against itself, over a perfect and a bad network. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct DtlsTests {
    static let certificates = try? (DtlsCertificate(days: 30), DtlsCertificate(days: 30))

    /// OpenSSL takes a timer with less than 15 ms left for expired: the first is due at once.
    static let retransmitUs: UInt32 = 16_000

    struct Outcome {
        var client: DtlsState
        var server: DtlsState
        var clientKeys: SrtpKeying?
        var serverKeys: SrtpKeying?
        var largest = 0
        var rounds = 0
    }

    /// Runs a handshake; `lose` says which datagram, by its number, is lost.
    static func handshake(
        clientExpects: Fingerprint? = nil, serverExpects: Fingerprint? = nil,
        lose: (Int) -> Bool = { _ in false }
    ) throws -> Outcome {
        let (one, two) = try #require(certificates)
        var client = try DtlsConnection(
            one, role: .active, fingerprints: [clientExpects ?? two.fingerprint],
            timerUs: Self.retransmitUs)
        var server = try DtlsConnection(
            two, role: .passive, fingerprints: [serverExpects ?? one.fingerprint],
            timerUs: Self.retransmitUs)
        var outcome = Outcome(client: client.state, server: server.state)
        client.start()
        var number = 0
        func carry(_ datagrams: [[UInt8]], _ deliver: ([UInt8]) -> Void) {
            for datagram in datagrams {
                outcome.largest = max(outcome.largest, datagram.count)
                number += 1
                if !lose(number) { deliver(datagram) }
            }
        }
        let start = ContinuousClock.now
        while ContinuousClock.now < start + .seconds(20) {
            outcome.rounds += 1
            carry(client.takeDatagrams()) { server.receive($0.span) }
            carry(server.takeDatagrams()) { client.receive($0.span) }
            if client.state != .handshaking, server.state != .handshaking { break }
            client.onTick()
            server.onTick()
        }
        (outcome.client, outcome.server) = (client.state, server.state)
        (outcome.clientKeys, outcome.serverKeys) = (client.keying(), server.keying())
        return outcome
    }

    @Test func bothSidesGetTheSameKeysCrossed() throws {
        let outcome = try Self.handshake()
        #expect(outcome.client == .established)
        #expect(outcome.server == .established)
        let client = try #require(outcome.clientKeys)
        let server = try #require(outcome.serverKeys)
        #expect(client.profile == .aeadAes128Gcm)
        #expect(client.send == server.receive)
        #expect(client.receive == server.send)
        #expect(client.send != client.receive)
        #expect(client.send.key.count == 16 && client.send.salt.count == 12)
        #expect(outcome.largest <= 1200)
    }

    @Test(arguments: 1...8) func anyOneDatagramMayBeLost(_ lost: Int) throws {
        let outcome = try Self.handshake(lose: { $0 == lost })
        #expect(outcome.client == .established)
        #expect(outcome.server == .established)
        #expect(outcome.clientKeys?.send == outcome.serverKeys?.receive)
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func aThirdOfTheDatagramsMayBeLost(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lost = (0..<2000).map { _ in Int.random(in: 0..<3, using: &random) == 0 }
        let outcome = try Self.handshake(lose: { lost[$0 % 2000] })
        #expect(outcome.client == .established)
        #expect(outcome.server == .established)
    }

    @Test func aWrongCertificateGivesNoKeys() throws {
        let wrong = try #require(
            Fingerprint(algorithm: .sha256, bytes: [UInt8](repeating: 7, count: 32)))
        let outcome = try Self.handshake(serverExpects: wrong)
        guard case .failed = outcome.server else {
            Issue.record("the server accepted an unknown certificate")
            return
        }
        #expect(outcome.serverKeys == nil)
    }

    @Test func anyBytesAreTakenIn() throws {
        let (one, two) = try #require(Self.certificates)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            var server = try DtlsConnection(
                one, role: .passive, fingerprints: [two.fingerprint], timerUs: Self.retransmitUs)
            for _ in 0..<10 {
                var bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                if bytes.count > 3 { bytes.replaceSubrange(0..<3, with: [22, 254, 253]) }
                server.receive(bytes.span)
                _ = server.takeDatagrams()
            }
        }
    }

    @Test func aDamagedHandshakeNeverTraps() throws {
        let (one, two) = try #require(Self.certificates)
        var random = SeededGenerator(seed: 5)
        for _ in 0..<100 {
            var client = try DtlsConnection(
                one, role: .active, fingerprints: [two.fingerprint], timerUs: Self.retransmitUs)
            var server = try DtlsConnection(
                two, role: .passive, fingerprints: [one.fingerprint], timerUs: Self.retransmitUs)
            client.start()
            for _ in 0..<6 {
                for var datagram in client.takeDatagrams() {
                    let at = Int.random(in: 0..<datagram.count, using: &random)
                    datagram[at] ^= UInt8.random(in: 1...255, using: &random)
                    server.receive(datagram.span)
                }
                for datagram in server.takeDatagrams() { client.receive(datagram.span) }
                client.onTick()
            }
        }
    }

    @Test func goodbyeIsHeard() throws {
        let (one, two) = try #require(Self.certificates)
        var client = try DtlsConnection(one, role: .active, fingerprints: [two.fingerprint])
        var server = try DtlsConnection(two, role: .passive, fingerprints: [one.fingerprint])
        client.start()
        for _ in 0..<5 {
            for datagram in client.takeDatagrams() { server.receive(datagram.span) }
            for datagram in server.takeDatagrams() { client.receive(datagram.span) }
        }
        #expect(server.state == .established)
        client.close()
        for datagram in client.takeDatagrams() { server.receive(datagram.span) }
        #expect(server.state == .closed)
    }

    @Test func fingerprintsAreReadAndWritten() throws {
        let (one, _) = try #require(Self.certificates)
        #expect(Fingerprint(attribute: one.fingerprint.attribute) == one.fingerprint)
        #expect(Fingerprint(attribute: one.fingerprint.attribute.lowercased()) == one.fingerprint)
        for bad in ["", "sha-256", "sha-256 AB", "md5 AB:CD", "sha-256 +1:02", "sha-256 A:B"] {
            #expect(Fingerprint(attribute: bad) == nil)
        }
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::1", "::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
    ])
    func addressesAreReadAndWritten(_ text: String, _ canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.256", "g::1", "localhost", "1.2.3.4 "])
    func otherTextsAreRefused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func candidatesAreWrittenAsSdpWantsThem() {
        let candidate = Candidate(
            endpoint: Endpoint(address: IPAddress(192, 0, 2, 1), port: 4000), foundation: "1",
            preference: 65_535)
        #expect(candidate.attribute == "1 1 udp 2130706431 192.0.2.1 4000 typ host")
    }
}
