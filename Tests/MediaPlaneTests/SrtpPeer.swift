// The far side's SRTP: AEAD_AES_128_GCM (RFC 7714) over OpenSSL, written for the tests so that the
// packet path is checked by something that is not itself. SPDX-License-Identifier: Apache-2.0

import COpenSSL
import MediaPlane

/// Session keys of one direction.
struct SrtpPeer {
    private let rtpKey: [UInt8], rtpSalt: [UInt8]
    private let rtcpKey: [UInt8], rtcpSalt: [UInt8]
    private var rtcpIndex: UInt32 = 0

    init(_ direction: SrtpKeying.Direction) {
        func derive(_ label: UInt8, _ size: Int) -> [UInt8] {
            // RFC 3711 section 4.3.1; a 96-bit salt is padded at its end (RFC 7714 section 11).
            var iv = direction.salt + [UInt8](repeating: 0, count: 16 - direction.salt.count)
            iv[7] ^= label
            return Self.counterMode(key: direction.key, iv: iv, size: size)
        }
        (rtpKey, rtpSalt) = (derive(0, 16), derive(2, 12))
        (rtcpKey, rtcpSalt) = (derive(3, 16), derive(5, 12))
    }

    private static func counterMode(key: [UInt8], iv: [UInt8], size: Int) -> [UInt8] {
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var out = [UInt8](repeating: 0, count: size)
        var written: Int32 = 0
        EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, key, iv)
        EVP_EncryptUpdate(
            context, &out, &written, [UInt8](repeating: 0, count: size), Int32(size))
        return out
    }

    private static func seal(key: [UInt8], iv: [UInt8], aad: [UInt8], _ plain: [UInt8]) -> [UInt8] {
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var out = [UInt8](repeating: 0, count: plain.count + 16)
        var written: Int32 = 0
        EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nil, key, iv)
        EVP_EncryptUpdate(context, nil, &written, aad, Int32(aad.count))
        EVP_EncryptUpdate(context, &out, &written, plain, Int32(plain.count))
        var tag = [UInt8](repeating: 0, count: 16)
        EVP_EncryptFinal_ex(context, &tag, &written)
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag)
        out.replaceSubrange(plain.count..., with: tag)
        return out
    }

    private static func open(
        key: [UInt8], iv: [UInt8], aad: [UInt8], _ sealed: [UInt8]
    ) -> [UInt8]? {
        guard sealed.count >= 16 else { return nil }
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        let size = sealed.count - 16
        var out = [UInt8](repeating: 0, count: max(size, 1))
        var tag = [UInt8](sealed[size...])
        var written: Int32 = 0
        EVP_DecryptInit_ex(context, EVP_aes_128_gcm(), nil, key, iv)
        EVP_DecryptUpdate(context, nil, &written, aad, Int32(aad.count))
        EVP_DecryptUpdate(context, &out, &written, sealed, Int32(size))
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, &tag)
        var rest = [UInt8](repeating: 0, count: 16)
        guard EVP_DecryptFinal_ex(context, &rest, &written) == 1 else { return nil }
        return [UInt8](out[..<size])
    }

    private static func vector(_ parts: [UInt8], _ salt: [UInt8]) -> [UInt8] {
        zip([0, 0] + parts, salt).map { $0 ^ $1 }
    }

    /// Bytes of the RTP header with CSRCs and extension.
    static func headerSize(_ packet: [UInt8]) -> Int? {
        guard packet.count >= 12 else { return nil }
        var size = 12 + 4 * Int(packet[0] & 15)
        if packet[0] & 0x10 != 0 {
            guard packet.count >= size + 4 else { return nil }
            size += 4 + 4 * (Int(packet[size + 2]) << 8 | Int(packet[size + 3]))
        }
        return size <= packet.count ? size : nil
    }

    /// The roll-over counter stays 0: tests send few packets.
    func protect(rtp packet: [UInt8]) -> [UInt8] {
        guard let header = Self.headerSize(packet) else { return packet }
        let iv = Self.vector([UInt8](packet[8..<12]) + [0, 0, 0, 0] + packet[2..<4], rtpSalt)
        let aad = [UInt8](packet[..<header])
        return aad + Self.seal(key: rtpKey, iv: iv, aad: aad, [UInt8](packet[header...]))
    }

    func unprotect(rtp packet: [UInt8]) -> [UInt8]? {
        guard let header = Self.headerSize(packet) else { return nil }
        let iv = Self.vector([UInt8](packet[8..<12]) + [0, 0, 0, 0] + packet[2..<4], rtpSalt)
        let aad = [UInt8](packet[..<header])
        return Self.open(key: rtpKey, iv: iv, aad: aad, [UInt8](packet[header...])).map { aad + $0 }
    }

    private func rtcpVector(_ ssrc: ArraySlice<UInt8>, _ index: ArraySlice<UInt8>) -> [UInt8] {
        var number = [UInt8](index)
        number[0] &= 0x7f
        return Self.vector([UInt8](ssrc) + [0, 0] + number, rtcpSalt)
    }

    mutating func protect(rtcp packet: [UInt8]) -> [UInt8] {
        let word = 0x8000_0000 | rtcpIndex
        rtcpIndex += 1
        let index = (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) }
        let header = [UInt8](packet[..<8])
        let iv = rtcpVector(packet[4..<8], index[...])
        let sealed = Self.seal(key: rtcpKey, iv: iv, aad: header + index, [UInt8](packet[8...]))
        return header + sealed + index
    }

    func unprotect(rtcp packet: [UInt8]) -> [UInt8]? {
        guard packet.count >= 28 else { return nil }
        let index = packet[(packet.count - 4)...]
        let header = [UInt8](packet[..<8])
        let iv = rtcpVector(packet[4..<8], index)
        let sealed = [UInt8](packet[8..<(packet.count - 4)])
        return Self.open(key: rtcpKey, iv: iv, aad: header + index, sealed).map { header + $0 }
    }
}
