// How services prove to each other who they are: short-lived tokens of one shared key.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
public import Hummingbird
public import JWTKit

/// The parts of the system that call each other.
public enum ServiceRole: String, Sendable, Codable, CaseIterable {
    case gateway, account, meeting, router, recorder
}

private struct CredentialClaims: JWTPayload {
    var iss: ServiceRole
    var aud: ServiceRole
    var iat: Int
    var exp: Int
    var jti: String
    var use: String

    static let use = "service"

    func verify(using algorithm: some JWTAlgorithm) throws {}
}

/// Makes and checks service credentials (JWT, ES256).
public struct ServiceCredentials: Sendable {
    /// Seconds for which a credential is good.
    public static let lifetime = 60
    private let keys: JWTKeyCollection
    private let keyID: JWKIdentifier
    private let issuer: ServiceRole
    private let now: @Sendable () -> Int

    /// - Parameters:
    ///   - key: shared by all services of an installation.
    ///   - role: of this service, both as issuer and as the audience it accepts.
    public init(
        key: ES256PrivateKey, role: ServiceRole,
        now: @escaping @Sendable () -> Int = UnixTime.now
    ) async {
        keyID = KeySet.identifier(of: key.publicKey)
        keys = JWTKeyCollection()
        issuer = role
        self.now = now
        await keys.add(ecdsa: key, kid: keyID)
    }

    /// A credential for a call to `audience`.
    public func issue(to audience: ServiceRole) async throws -> String {
        let claims = CredentialClaims(
            iss: issuer, aud: audience, iat: now(), exp: now() + Self.lifetime,
            jti: UUID().uuidString, use: CredentialClaims.use)
        return try await keys.sign(claims, kid: keyID)
    }

    /// The service that made `token` for this one; nil when it is anything else.
    public func verify(_ token: String) async -> ServiceRole? {
        guard token.utf8.count <= 4096,
            let claims = try? await keys.verify(token, as: CredentialClaims.self),
            claims.use == CredentialClaims.use, claims.aud == issuer,
            claims.exp > now(), claims.exp <= now() + Self.lifetime + 5
        else { return nil }
        return claims.iss
    }

    /// Lets only the named services through: 401 without a credential, 403 for another service.
    public func require(_ request: Request, from roles: Set<ServiceRole>) async throws {
        let token = try request.requireBearerToken()
        guard let role = await verify(token) else {
            throw Problem.unauthorized("this call is for services; the credential is not valid")
        }
        guard roles.contains(role) else {
            throw Problem(.forbidden, detail: "service '\(role.rawValue)' may not do this")
        }
    }
}
