// STUN reading and writing. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct StunTests {
    static let password = [UInt8]("VOkJxbRl1RmTxUk/WvJxBt".utf8)
    /// RFC 5769 section 2.1.
    static let request = hex(
        """
        00010058 2112a442 b7e7a701 bc34d686 fa87dfae
        80220010 5354554e 20746573 7420636c 69656e74
        00240004 6e0001ff 80290008 932ff9b1 51263b36
        00060009 6576746a 3a683676 59202020
        00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
        80280004 e57a3bcf
        """)
    /// RFC 5769 section 2.2.
    static let responseV4 = hex(
        """
        0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
        8022000b 74657374 20766563 746f7220
        00200008 0001a147 e112a643
        00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
        80280004 c07d4c96
        """)
    /// RFC 5769 section 2.3.
    static let responseV6 = hex(
        """
        01010048 2112a442 b7e7a701 bc34d686 fa87dfae
        8022000b 74657374 20766563 746f7220
        00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
        00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
        80280004 c8fb0b4c
        """)

    @Test func readsTheSampleRequest() throws {
        let message = try #require(parseStun(Self.request))
        #expect(message.messageClass == .request)
        #expect(message.method == StunMessage.bindingMethod)
        #expect(message.priority == 0x6e00_01ff)
        #expect(message.controlled == 0x932f_f9b1_5126_3b36)
        #expect(message.hasFingerprint)
        let username = try #require(message.username)
        #expect(String(decoding: Self.request[username], as: UTF8.self) == "evtj:h6vY")
        #expect(isAuthentic(message, Self.request, key: Self.password))
        #expect(!isAuthentic(message, Self.request, key: [UInt8]("other".utf8)))
    }

    @Test(arguments: [
        (responseV4, "192.0.2.1"), (responseV6, "2001:db8:1234:5678:11:2233:4455:6677"),
    ])
    func readsTheSampleResponses(_ bytes: [UInt8], _ address: String) throws {
        let message = try #require(parseStun(bytes))
        #expect(message.messageClass == .success)
        #expect(message.mappedAddress?.address == IPAddress(address))
        #expect(message.mappedAddress?.port == 32853)
        #expect(isAuthentic(message, bytes, key: Self.password))
    }

    @Test(arguments: [request, responseV4, responseV6])
    func everyPrefixIsRefused(_ bytes: [UInt8]) {
        for count in 0..<bytes.count { #expect(parseStun([UInt8](bytes[..<count])) == nil) }
    }

    @Test func everyFlippedBitIsRefusedOrUnauthentic() {
        // All but FINGERPRINT, which nothing protects.
        for bit in 0..<((Self.request.count - 8) * 8) {
            var bytes = Self.request
            bytes[bit / 8] ^= 1 << (bit % 8)
            guard let message = parseStun(bytes) else { continue }
            #expect(!isAuthentic(message, bytes, key: Self.password))
        }
    }

    @Test(arguments: ["192.0.2.1", "2001:db8::7", "127.0.0.1"])
    func writtenMessagesAreReadBack(_ address: String) throws {
        let endpoint = Endpoint(address: try #require(IPAddress(address)), port: 54321)
        let transaction = StunTransaction(high: 7, low: 0x0123_4567_89ab_cdef)
        var writer = StunWriter(.success, transaction: transaction)
        writer.addMapped(endpoint)
        let bytes = writer.finish(key: Self.password)
        let message = try #require(parseStun(bytes))
        #expect(message.transaction == transaction)
        #expect(message.mappedAddress == endpoint)
        #expect(isAuthentic(message, bytes, key: Self.password))
    }

    @Test func unknownRequiredAttributesAreNamed() throws {
        var writer = StunWriter(.request, transaction: StunTransaction())
        writer.addRaw(0x7f01, [1, 2, 3])
        writer.addRaw(0xc001, [])
        let message = try #require(parseStun(writer.finish(key: nil)))
        #expect(message.unknownRequired == [0x7f01])
    }

    @Test func attributesAfterIntegrityDoNotCount() throws {
        var writer = StunWriter(.request, transaction: StunTransaction())
        writer.addUsername("a:b")
        var bytes = writer.finish(key: Self.password)
        bytes.removeLast(8)
        bytes += hex("00250000")
        bytes[3] = UInt8(bytes.count - 20)
        let message = try #require(parseStun(bytes))
        #expect(!message.usesCandidate)
    }

    @Test func refusalsAreLimitedForOneAddressAndForAll() {
        var limit = StunRateLimit(seed: 1, nowUs: 0)
        let one = IPAddress(192, 0, 2, 1)
        let allowed = (0..<100).count { _ in limit.allow(one, nowUs: 0) }
        #expect(allowed == 10)
        let later = (0..<100).count { _ in limit.allow(one, nowUs: second) }
        #expect(later == 10)
        var flood = StunRateLimit(seed: 1, nowUs: 0)
        var total = 0
        for number in 0..<5000 {
            let address = IPAddress(10, 0, UInt8(number >> 8), UInt8(number & 255))
            if flood.allow(address, nowUs: 0) { total += 1 }
        }
        #expect(total == 500)
    }
}
