// Argon2id password hashes (RFC 9106) as PHC strings, through libargon2.
// SPDX-License-Identifier: Apache-2.0
import CArgon2

/// Cost of one hash. The defaults take some 25 ms and 19 MiB.
public struct PasswordCost: Sendable, Equatable {
    public var memoryKiB: UInt32 = 19_456
    public var passes: UInt32 = 2
    public var lanes: UInt32 = 1

    public init() {}

    /// Beginning of the PHC strings of this cost.
    var prefix: String { "$argon2id$v=19$m=\(memoryKiB),t=\(passes),p=\(lanes)$" }
}

/// What libargon2 refused: no memory, or a parameter out of its range.
public struct PasswordHashError: Error, Sendable, CustomStringConvertible {
    public let code: Int32
    public var description: String { "argon2 failed with code \(code)" }
}

public enum PasswordHash {
    private static let saltBytes = 16
    private static let hashBytes = 32

    /// Hashes with a new random salt. Blocks for the time that the cost takes.
    public static func make(_ password: String, cost: PasswordCost) throws(PasswordHashError)
        -> String {
        var generator = SystemRandomNumberGenerator()
        let salt = (0..<saltBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let length = argon2_encodedlen(
            cost.passes, cost.memoryKiB, cost.lanes, UInt32(saltBytes), UInt32(hashBytes),
            Argon2_id)
        var encoded = [CChar](repeating: 0, count: length)
        let bytes = Array(password.utf8)
        let result = argon2id_hash_encoded(
            cost.passes, cost.memoryKiB, cost.lanes, bytes, bytes.count, salt, salt.count,
            hashBytes, &encoded, encoded.count)
        guard result == ARGON2_OK.rawValue else { throw PasswordHashError(code: result) }
        let text = encoded.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        return String(decoding: text, as: UTF8.self)
    }

    /// Compares in constant time. Blocks like `make`.
    public static func verify(_ password: String, _ encoded: String) -> Bool {
        let bytes = Array(password.utf8)
        return argon2id_verify(encoded, bytes, bytes.count) == ARGON2_OK.rawValue
    }

    /// Whether a hash was made with another cost and should be made anew at the next sign-in.
    public static func isOutdated(_ encoded: String, cost: PasswordCost) -> Bool {
        !encoded.hasPrefix(cost.prefix)
    }
}
