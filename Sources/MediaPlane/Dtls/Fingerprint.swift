// Certificate fingerprints (RFC 8122 section 5). SPDX-License-Identifier: Apache-2.0

/// The hash of a certificate's DER encoding.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
    public enum Algorithm: String, Sendable, CaseIterable {
        case sha256 = "sha-256", sha384 = "sha-384", sha512 = "sha-512"

        /// Bytes of the hash.
        public var size: Int {
            switch self {
            case .sha256: 32
            case .sha384: 48
            case .sha512: 64
            }
        }
    }

    public let algorithm: Algorithm
    public let bytes: [UInt8]

    /// nil when the number of bytes isn't the algorithm's.
    public init?(algorithm: Algorithm, bytes: [UInt8]) {
        guard bytes.count == algorithm.size else { return nil }
        self.algorithm = algorithm
        self.bytes = bytes
    }

    /// Reads the value of `a=fingerprint:`, as `sha-256 12:AB:…`. Case does not matter. nil for
    /// other algorithms (RFC 8122 section 5.1 forbids MD2 and MD5; SHA-1 is refused as too weak).
    public init?(attribute: String) {
        let parts = attribute.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count == 2, let algorithm = Algorithm(rawValue: parts[0].lowercased()) else {
            return nil
        }
        var bytes: [UInt8] = []
        for pair in parts[1].split(separator: ":", omittingEmptySubsequences: false) {
            guard pair.utf8.count == 2, pair.utf8.allSatisfy(isHexDigit),
                let byte = UInt8(pair, radix: 16)
            else { return nil }
            bytes.append(byte)
        }
        self.init(algorithm: algorithm, bytes: bytes)
    }

    /// The value of `a=fingerprint:`.
    public var attribute: String {
        let digits = bytes.map { byte in
            let text = String(byte, radix: 16, uppercase: true)
            return text.count == 1 ? "0" + text : text
        }
        return "\(algorithm.rawValue) \(digits.joined(separator: ":"))"
    }

    public var description: String { attribute }
}

private func isHexDigit(_ unit: UInt8) -> Bool {
    (0x30...0x39).contains(unit) || (0x41...0x46).contains(unit) || (0x61...0x66).contains(unit)
}
