// Tickets: signed permission to enter a meeting on a node (JWT, RFC 7519, ES256).
// SPDX-License-Identifier: Apache-2.0
import Foundation
public import JWTKit

/// What a participant may be in a meeting.
public enum TicketRole: String, Sendable, Codable {
    case host, participant, recorder
}

/// What a ticket says.
public struct Ticket: Sendable, Equatable {
    public var meetingID: String
    public var accountID: String
    /// Account of the meeting's host.
    public var host: String
    public var role: TicketRole
    /// Display name.
    public var name: String?
    /// Id of the node that the meeting lives on.
    public var node: String
    /// Seconds since 1970.
    public var issued: Int
    /// Seconds since 1970.
    public var expires: Int
    /// Unique for each ticket.
    public var id: String

    public init(
        meetingID: String, accountID: String, host: String, role: TicketRole, name: String?,
        node: String, issued: Int, expires: Int, id: String
    ) {
        self.meetingID = meetingID
        self.accountID = accountID
        self.host = host
        self.role = role
        self.name = name
        self.node = node
        self.issued = issued
        self.expires = expires
        self.id = id
    }
}

/// Why a ticket is not accepted.
public enum TicketError: Error, Sendable, Equatable {
    /// No JWT, or one without the claims of a ticket.
    case malformed
    /// Not signed with a known key, or changed.
    case badSignature
    case expired
}

/// The claims on the wire.
private struct TicketClaims: JWTPayload {
    var meeting_id: String
    var account_id: String
    var host: String
    var role: TicketRole
    var name: String?
    var node: String
    var iat: Int
    var exp: Int
    var jti: String
    /// Keeps other tokens of the same key from being taken for tickets.
    var use: String

    static let use = "ticket"

    func verify(using algorithm: some JWTAlgorithm) throws {}
}

/// Signs tickets; the meeting role has it.
public struct TicketIssuer: Sendable {
    private let keys: JWTKeyCollection
    private let keyID: JWKIdentifier

    public init(key: ES256PrivateKey) async {
        keyID = KeySet.identifier(of: key.publicKey)
        keys = JWTKeyCollection()
        await keys.add(ecdsa: key, kid: keyID)
    }

    public func sign(_ ticket: Ticket) async throws -> String {
        try await keys.sign(
            TicketClaims(
                meeting_id: ticket.meetingID, account_id: ticket.accountID, host: ticket.host,
                role: ticket.role, name: ticket.name, node: ticket.node, iat: ticket.issued,
                exp: ticket.expires, jti: ticket.id, use: TicketClaims.use), kid: keyID)
    }
}

/// Checks tickets with public keys alone.
public struct TicketVerifier: Sendable {
    private let keys: JWTKeyCollection
    private let now: @Sendable () -> Int
    /// Tolerated difference between the clocks of two machines, in seconds.
    private let leeway = 5

    public init(
        key: ES256PublicKey, now: @escaping @Sendable () -> Int = UnixTime.now
    ) async {
        keys = JWTKeyCollection()
        self.now = now
        await keys.add(ecdsa: key, kid: KeySet.identifier(of: key))
    }

    /// `jwks` is a JSON Web Key Set (RFC 7517) with P-256 keys.
    public init(
        jwks: some Sequence<UInt8>, now: @escaping @Sendable () -> Int = UnixTime.now
    ) async throws(TicketError) {
        keys = JWTKeyCollection()
        self.now = now
        do {
            let set = try JSONDecoder().decode(KeySet.self, from: Data(jwks))
            for key in set.keys where key.kty == "EC" && key.crv == "P-256" {
                let parsed = try ES256PublicKey(parameters: (x: key.x, y: key.y))
                await keys.add(ecdsa: parsed, kid: KeySet.identifier(of: parsed))
            }
        } catch {
            throw .malformed
        }
    }

    /// The ticket in `token`, if it was signed with a known key and has not expired.
    public func verify(_ token: String) async throws(TicketError) -> Ticket {
        guard token.utf8.count <= 4096 else { throw .malformed }
        let claims: TicketClaims
        do {
            claims = try await keys.verify(token, as: TicketClaims.self)
        } catch let error as JWTError {
            throw Self.reason(error)
        } catch {
            throw .malformed
        }
        guard claims.use == TicketClaims.use else { throw .malformed }
        guard claims.exp + leeway > now() else { throw .expired }
        return Ticket(
            meetingID: claims.meeting_id, accountID: claims.account_id, host: claims.host,
            role: claims.role, name: claims.name, node: claims.node, issued: claims.iat,
            expires: claims.exp, id: claims.jti)
    }

    private static func reason(_ error: JWTError) -> TicketError {
        switch error.errorType {
        case .signatureVerificationFailed, .unknownKID, .noKeyProvided, .unsupportedAlgorithm,
            .signingAlgorithmFailure, .missingKIDHeader:
            .badSignature
        default: .malformed
        }
    }
}

/// Seconds since 1970.
public enum UnixTime {
    public static let now: @Sendable () -> Int = { Int(Date().timeIntervalSince1970) }
}
