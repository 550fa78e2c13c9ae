// DTLS-SRTP for one participant over the CDTLS shim. SPDX-License-Identifier: Apache-2.0

import CDTLS

/// The key and certificate of this process (ECDSA P-256, self-signed). Immutable, so any thread may
/// make connections from it.
package final class DtlsCertificate: @unchecked Sendable {
    // Unchecked: the C context is never changed after creation, and OpenSSL counts its references
    // atomically.
    fileprivate let context: OpaquePointer
    package let fingerprint: Fingerprint

    package init(days: Int) throws(MediaError) {
        guard (1...3650).contains(days) else { throw .invalid("certificate days: 1 to 3650") }
        guard let context = rh_dtls_context_create(UInt32(days)) else {
            throw .cryptography("OpenSSL made no certificate")
        }
        var hash = [UInt8](repeating: 0, count: Int(RH_DTLS_HASH_BYTES_MAX))
        let size = rh_dtls_context_fingerprint(context, RH_DTLS_SHA256, &hash)
        guard let fingerprint = Fingerprint(algorithm: .sha256, bytes: [UInt8](hash.prefix(size)))
        else {
            rh_dtls_context_destroy(context)
            throw .cryptography("OpenSSL made no fingerprint")
        }
        self.context = context
        self.fingerprint = fingerprint
    }

    deinit { rh_dtls_context_destroy(context) }
}

/// Where a connection is.
package enum DtlsState: Equatable, Sendable {
    case handshaking
    /// The peer's certificate has been checked too.
    case established
    case closed
    case failed(String)
}

/// SRTP master keys of both directions (RFC 5764 section 4.2).
package struct SrtpKeying: Equatable, Sendable {
    package enum Profile: UInt16, Sendable { case aes128CmSha1 = 0x0001, aeadAes128Gcm = 0x0007 }

    package struct Direction: Equatable, Sendable {
        package let key: [UInt8]
        package let salt: [UInt8]
    }

    package let profile: Profile
    /// The peer's write key.
    package let receive: Direction
    package let send: Direction

    /// Splits the exporter's block: client key, server key, client salt, server salt.
    package init?(profile: Profile, block: [UInt8], isClient: Bool) {
        let saltSize = profile == .aeadAes128Gcm ? 12 : 14
        guard block.count == 32 + 2 * saltSize else { return nil }
        let client = Direction(
            key: [UInt8](block[0..<16]), salt: [UInt8](block[32..<(32 + saltSize)]))
        let server = Direction(
            key: [UInt8](block[16..<32]), salt: [UInt8](block[(32 + saltSize)...]))
        self.profile = profile
        receive = isClient ? server : client
        send = isClient ? client : server
    }
}

/// One DTLS association. Owned by the participant's state; freed with it. Datagrams that are to be
/// sent are taken with `takeDatagrams` after each call.
package struct DtlsConnection: ~Copyable {
    private let handle: OpaquePointer
    private let role: DtlsRole
    private let fingerprints: [Fingerprint]
    /// A C handshake that ended without an acceptable certificate.
    private var refusal: String?

    /// - Parameters:
    ///   - fingerprints: one must match the peer's certificate.
    ///   - timerUs: the first retransmission after so long; doubles, 1 s at most.
    package init(
        _ certificate: DtlsCertificate, role: DtlsRole, fingerprints: [Fingerprint],
        timerUs: UInt32 = 100_000
    ) throws(MediaError) {
        guard let handle = rh_dtls_create(certificate.context, role == .active, timerUs) else {
            throw .cryptography("OpenSSL made no connection")
        }
        self.handle = handle
        self.role = role
        self.fingerprints = fingerprints
    }

    deinit { rh_dtls_destroy(handle) }

    package var state: DtlsState {
        if let refusal { return .failed(refusal) }
        return switch rh_dtls_get_state(handle) {
        case RH_DTLS_HANDSHAKING: .handshaking
        case RH_DTLS_ESTABLISHED: .established
        case RH_DTLS_CLOSED: .closed
        default: .failed(String(cString: rh_dtls_reason(handle)))
        }
    }

    /// The active side's first flight; nothing for a passive one.
    package mutating func start() { _ = rh_dtls_start(handle) }

    /// Takes in one datagram. Accepts any bytes.
    package mutating func receive(_ datagram: Span<UInt8>) {
        let before = rh_dtls_get_state(handle)
        datagram.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            _ = rh_dtls_receive(handle, base, bytes.count)
        }
        checkIdentity(after: before)
    }

    /// Resends what has not been answered. Call some 20 times a second while handshaking.
    package mutating func onTick() { _ = rh_dtls_on_tick(handle) }

    package mutating func close() { rh_dtls_close(handle) }

    private mutating func checkIdentity(after before: rh_dtls_state) {
        guard before == RH_DTLS_HANDSHAKING, rh_dtls_get_state(handle) == RH_DTLS_ESTABLISHED else {
            return
        }
        for fingerprint in fingerprints {
            let hash = fingerprint.algorithm.hash
            let bytes = fingerprint.bytes
            if rh_dtls_accept_fingerprint(handle, hash, bytes, bytes.count) { return }
        }
        rh_dtls_close(handle)
        refusal = "the certificate matches no fingerprint"
    }

    /// The datagrams that wait to be sent, oldest first.
    package mutating func takeDatagrams() -> [[UInt8]] {
        var all: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: Int(RH_DTLS_DATAGRAM_MAX))
        while true {
            let size = rh_dtls_take(handle, &buffer)
            if size == 0 { return all }
            all.append([UInt8](buffer[..<size]))
        }
    }

    /// The SRTP keys; nil before `established`.
    package func keying() -> SrtpKeying? {
        guard refusal == nil,
            let profile = SrtpKeying.Profile(rawValue: rh_dtls_srtp_profile(handle))
        else { return nil }
        let size = profile == .aeadAes128Gcm ? 56 : 60
        var block = [UInt8](repeating: 0, count: size)
        guard rh_dtls_export(handle, &block, size) else { return nil }
        return SrtpKeying(profile: profile, block: block, isClient: role == .active)
    }
}

extension Fingerprint.Algorithm {
    fileprivate var hash: rh_dtls_hash {
        switch self {
        case .sha256: RH_DTLS_SHA256
        case .sha384: RH_DTLS_SHA384
        case .sha512: RH_DTLS_SHA512
        }
    }
}
