// STUN messages (RFC 8489): writing. SPDX-License-Identifier: Apache-2.0

/// Builds one STUN message attribute by attribute.
package struct StunWriter: Sendable {
    private var bytes: [UInt8] = []
    private let transaction: StunTransaction

    package init(
        _ messageClass: StunMessage.Class, method: UInt16 = StunMessage.bindingMethod,
        transaction: StunTransaction
    ) {
        self.transaction = transaction
        let bits = UInt16(messageClass.rawValue)
        let classBits = (bits & 2) << 7 | (bits & 1) << 4
        let type = (method & 0x00f) | (method & 0x070) << 1 | (method & 0xf80) << 2 | classBits
        bytes.append(number16: type)
        bytes.append(number16: 0)
        bytes += transaction.addressMask
    }

    private mutating func add(_ type: UInt16, _ value: [UInt8]) {
        bytes.append(number16: type)
        bytes.append(number16: UInt16(value.count))
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
        setLength(bytes.count)
    }

    private mutating func setLength(_ total: Int) {
        bytes.set(number16: UInt16(total - StunMessage.headerSize), at: 2)
    }

    package mutating func addUsername(_ username: String) {
        add(StunAttribute.username, [UInt8](username.utf8))
    }

    package mutating func addPriority(_ priority: UInt32) {
        var value: [UInt8] = []
        value.append(number32: priority)
        add(StunAttribute.priority, value)
    }

    package mutating func addUseCandidate() { add(StunAttribute.useCandidate, []) }

    /// ICE-CONTROLLING, or ICE-CONTROLLED (RFC 8445 section 16.1).
    package mutating func addRole(isControlling: Bool, tieBreaker: UInt64) {
        var value: [UInt8] = []
        value.append(number64: tieBreaker)
        add(isControlling ? StunAttribute.iceControlling : StunAttribute.iceControlled, value)
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
    package mutating func addMapped(_ endpoint: Endpoint) {
        let mask = transaction.addressMask
        var value: [UInt8] = [0, endpoint.address.family == .v4 ? 1 : 2]
        value.append(number16: endpoint.port ^ UInt16(StunMessage.magicCookie >> 16))
        for (index, byte) in endpoint.address.networkBytes.enumerated() {
            value.append(byte ^ mask[index])
        }
        add(StunAttribute.xorMappedAddress, value)
    }

    /// ERROR-CODE (section 14.8).
    package mutating func addError(_ code: Int, _ reason: String) {
        add(
            StunAttribute.errorCode,
            [0, 0, UInt8(code / 100), UInt8(code % 100)] + [UInt8](reason.utf8))
    }

    package mutating func addUnknown(_ types: [UInt16]) {
        var value: [UInt8] = []
        for type in types { value.append(number16: type) }
        add(StunAttribute.unknownAttributes, value)
    }

    /// For tests: any attribute.
    package mutating func addRaw(_ type: UInt16, _ value: [UInt8]) { add(type, value) }

    /// The message with MESSAGE-INTEGRITY (when there is a key) and FINGERPRINT at its end.
    package consuming func finish(key: [UInt8]?) -> [UInt8] {
        var writer = self
        if let key {
            writer.setLength(writer.bytes.count + 24)
            let code = HmacSha1.code(of: writer.bytes, key: key)
            writer.add(StunAttribute.messageIntegrity, code)
        }
        writer.setLength(writer.bytes.count + 8)
        let crc = Crc32.checksum(writer.bytes.span, writer.bytes.count)
        var value: [UInt8] = []
        value.append(number32: crc ^ StunAttribute.fingerprintMask)
        writer.add(StunAttribute.fingerprint, value)
        return writer.bytes
    }
}
