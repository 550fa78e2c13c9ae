// Hashes and randomness from OpenSSL. SPDX-License-Identifier: Apache-2.0

import CDTLS

/// HMAC-SHA1 (RFC 2104).
enum HmacSha1 {
    /// 20 bytes; empty when OpenSSL refuses.
    static func code(of bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 20)
        let isMade = rh_hmac_sha1(key, key.count, bytes, bytes.count, &code)
        return isMade ? code : []
    }
}

enum Secrets {
    /// Cryptographically random; nil when OpenSSL has no entropy.
    static func randomBytes(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return rh_random(&bytes, count) ? bytes : nil
    }
}
