// STUN messages (RFC 8489) as ICE uses them (RFC 8445): reading.
// SPDX-License-Identifier: Apache-2.0

/// One received STUN message. Holds numbers and ranges into the bytes it was read from.
package struct StunMessage: Sendable {
    package enum Class: UInt8, Sendable { case request, indication, success, error }

    package static let bindingMethod: UInt16 = 0x001
    static let magicCookie: UInt32 = 0x2112_a442
    static let headerSize = 20
    /// Unknown attributes that a 420 lists, at most.
    static let unknownMax = 8

    package private(set) var messageClass = Class.request
    package private(set) var method: UInt16 = 0
    package private(set) var transaction = StunTransaction()
    package private(set) var username: Range<Int>?
    package private(set) var priority: UInt32?
    package private(set) var usesCandidate = false
    package private(set) var controlling: UInt64?
    package private(set) var controlled: UInt64?
    package private(set) var errorCode: Int?
    package private(set) var mappedAddress: Endpoint?
    package private(set) var hasFingerprint = false
    /// Comprehension-required attributes (0x0000...0x7fff) that this code does not know.
    package private(set) var unknownRequired: [UInt16] = []
    /// Where MESSAGE-INTEGRITY begins.
    private var integrityOffset: Int?

    package var hasIntegrity: Bool { integrityOffset != nil }

    private init() {}

    /// Reads one message. nil for anything that is not exactly one well-formed STUN message: wrong
    /// cookie, length or padding, a wrong FINGERPRINT (section 14.7), an attribute out of place.
    package static func parse(_ bytes: Span<UInt8>) -> StunMessage? {
        guard bytes.count >= headerSize, bytes.count <= 1500, bytes[0] < 4 else { return nil }
        let type = bytes.number16(at: 0)
        guard Int(bytes.number16(at: 2)) == bytes.count - headerSize, bytes.count % 4 == 0,
            bytes.number32(at: 4) == magicCookie
        else { return nil }
        var message = StunMessage()
        let classBits = UInt8((type >> 7 & 2) | (type >> 4 & 1))
        guard let messageClass = Class(rawValue: classBits) else { return nil }
        message.messageClass = messageClass
        message.method = (type & 0x000f) | (type & 0x00e0) >> 1 | (type & 0x3e00) >> 2
        message.transaction = StunTransaction(
            high: bytes.number32(at: 8),
            low: UInt64(bytes.number32(at: 12)) << 32 | UInt64(bytes.number32(at: 16)))
        return message.readAttributes(bytes) ? message : nil
    }

    private mutating func readAttributes(_ bytes: Span<UInt8>) -> Bool {
        var at = Self.headerSize
        while at < bytes.count {
            guard !hasFingerprint, bytes.count - at >= 4 else { return false }
            let type = bytes.number16(at: at)
            let size = Int(bytes.number16(at: at + 2))
            let value = at + 4
            guard size <= bytes.count - value else { return false }
            // What follows MESSAGE-INTEGRITY is not protected: only FINGERPRINT counts (14.5).
            if !hasIntegrity || type == StunAttribute.fingerprint {
                guard read(type, value..<(value + size), bytes) else { return false }
            }
            at = value + (size + 3) / 4 * 4
        }
        return at == bytes.count
    }

    private mutating func read(_ type: UInt16, _ value: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        let start = value.lowerBound
        switch (type, value.count) {
        case (StunAttribute.username, 0...513): if username == nil { username = value }
        case (StunAttribute.messageIntegrity, 20): integrityOffset = start - 4
        case (StunAttribute.fingerprint, 4):
            hasFingerprint = true
            let crc = Crc32.checksum(bytes, start - 4) ^ StunAttribute.fingerprintMask
            return crc == bytes.number32(at: start)
        case (StunAttribute.priority, 4): priority = bytes.number32(at: start)
        case (StunAttribute.useCandidate, 0): usesCandidate = true
        case (StunAttribute.iceControlling, 8): controlling = bytes.number64(at: start)
        case (StunAttribute.iceControlled, 8): controlled = bytes.number64(at: start)
        case (StunAttribute.errorCode, 4...):
            errorCode = Int(bytes[start + 2] & 7) * 100 + Int(bytes[start + 3])
        case (StunAttribute.xorMappedAddress, 8), (StunAttribute.xorMappedAddress, 20):
            mappedAddress = readMapped(value, bytes)
        case (StunAttribute.username, _), (StunAttribute.messageIntegrity, _),
            (StunAttribute.fingerprint, _), (StunAttribute.priority, _),
            (StunAttribute.useCandidate, _), (StunAttribute.iceControlling, _),
            (StunAttribute.iceControlled, _), (StunAttribute.errorCode, _),
            (StunAttribute.xorMappedAddress, _):
            return false
        default: noteUnknown(type)
        }
        return true
    }

    private mutating func noteUnknown(_ type: UInt16) {
        let isRequired = type < 0x8000 && !StunAttribute.harmless.contains(type)
        if isRequired, unknownRequired.count < Self.unknownMax { unknownRequired.append(type) }
    }

    private func readMapped(_ value: Range<Int>, _ bytes: Span<UInt8>) -> Endpoint? {
        let start = value.lowerBound
        let port = bytes.number16(at: start + 2) ^ UInt16(Self.magicCookie >> 16)
        let mask = transaction.addressMask
        let isV4 = bytes[start + 1] == 1 && value.count == 8
        guard isV4 || (bytes[start + 1] == 2 && value.count == 20) else { return nil }
        let plain = (0..<(isV4 ? 4 : 16)).map { bytes[start + 4 + $0] ^ mask[$0] }
        return IPAddress(networkBytes: plain).map { Endpoint(address: $0, port: port) }
    }

    /// True when MESSAGE-INTEGRITY is there and right for this key (section 14.5); for short-term
    /// credentials the key is the password.
    package func isAuthentic(_ bytes: Span<UInt8>, key: [UInt8]) -> Bool {
        guard let integrityOffset else { return false }
        var covered = (0..<integrityOffset).map { bytes[$0] }
        let size = UInt16(integrityOffset - Self.headerSize + 24)
        covered[2] = UInt8(size >> 8)
        covered[3] = UInt8(truncatingIfNeeded: size)
        let expected = HmacSha1.code(of: covered, key: key)
        guard expected.count == 20 else { return false }
        var difference: UInt8 = 0
        for index in 0..<20 { difference |= expected[index] ^ bytes[integrityOffset + 4 + index] }
        return difference == 0
    }
}

/// The 96-bit transaction id (RFC 8489 section 5).
package struct StunTransaction: Hashable, Sendable {
    package var high: UInt32 = 0
    package var low: UInt64 = 0

    package init(high: UInt32 = 0, low: UInt64 = 0) {
        self.high = high
        self.low = low
    }

    /// Cookie and id: what XOR-MAPPED-ADDRESS is masked with (section 14.2).
    var addressMask: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number32: StunMessage.magicCookie)
        bytes.append(number32: high)
        bytes.append(number64: low)
        return bytes
    }
}

enum StunAttribute {
    static let username: UInt16 = 0x0006
    static let messageIntegrity: UInt16 = 0x0008
    static let errorCode: UInt16 = 0x0009
    static let unknownAttributes: UInt16 = 0x000a
    static let xorMappedAddress: UInt16 = 0x0020
    static let priority: UInt16 = 0x0024
    static let useCandidate: UInt16 = 0x0025
    static let fingerprint: UInt16 = 0x8028
    static let iceControlled: UInt16 = 0x8029
    static let iceControlling: UInt16 = 0x802a
    static let fingerprintMask: UInt32 = 0x5354_554e
    /// Comprehension-required by number, but of no meaning for a binding: MAPPED-ADDRESS, REALM,
    /// NONCE, UNKNOWN-ATTRIBUTES, MESSAGE-INTEGRITY-SHA256 beside MESSAGE-INTEGRITY.
    static let harmless: [UInt16] = [0x0001, 0x0014, 0x0015, unknownAttributes, 0x001c]
}

/// CRC-32 (ITU V.42), as FINGERPRINT uses it.
enum Crc32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1
        }
    }

    /// Of the first `count` bytes.
    static func checksum(_ bytes: Span<UInt8>, _ count: Int) -> UInt32 {
        let table = table
        var crc: UInt32 = 0xffff_ffff
        for index in 0..<count {
            crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])] ^ crc >> 8
        }
        return ~crc
    }
}
