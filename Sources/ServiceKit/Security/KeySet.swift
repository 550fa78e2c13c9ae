// JSON Web Key Sets (RFC 7517) of P-256 public keys.
// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
public import JWTKit

/// A key set as it is served and read.
public struct KeySet: Codable, Sendable, Equatable {
    public struct Key: Codable, Sendable, Equatable {
        public var kty: String
        public var crv: String
        public var x: String
        public var y: String
        public var kid: String?
        public var use: String?
        public var alg: String?
    }
    public var keys: [Key]

    /// The public parts of the keys.
    public init(_ keys: [ES256PublicKey]) {
        self.keys = keys.compactMap { key in
            key.parameters.map {
                Key(
                    kty: "EC", crv: "P-256", x: KeySet.base64URL($0.x), y: KeySet.base64URL($0.y),
                    kid: KeySet.identifier(of: key).string, use: "sig", alg: "ES256")
            }
        }
    }

    /// The base64url alphabet without padding, whatever variant comes in.
    static func base64URL(_ text: String) -> String {
        text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

extension KeySet {
    /// The thumbprint of RFC 7638, which serves as key id.
    package static func identifier(of key: ES256PublicKey) -> JWKIdentifier {
        let (x, y) = key.parameters.map { (base64URL($0.x), base64URL($0.y)) } ?? ("", "")
        let canonical = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"\(x)\",\"y\":\"\(y)\"}"
        let digest = Data(SHA256.hash(data: Data(canonical.utf8)))
        return JWKIdentifier(string: base64URL(digest.base64EncodedString()))
    }
}
