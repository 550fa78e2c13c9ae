// What other services may know about accounts, and how they ask.
// SPDX-License-Identifier: Apache-2.0
public import AsyncHTTPClient
import FoundationEssentials
import HTTPTypes
import NIOCore
import NIOHTTP1

/// The owner of a valid token.
public struct VerifiedAccount: Sendable, Equatable, Codable {
    public var accountID: String
    /// Display name; may be empty.
    public var name: String
    /// When the token expires, in seconds since 1970.
    public var expires: Int

    public init(accountID: String, name: String, expires: Int) {
        self.accountID = accountID
        self.name = name
        self.expires = expires
    }

    enum CodingKeys: String, CodingKey {
        case accountID = "account_id"
        case name, expires
    }
}

/// How to reach the owner of an account.
public struct AccountContact: Sendable, Equatable, Codable {
    public var accountID: String
    public var email: String
    public var name: String

    public init(accountID: String, email: String, name: String) {
        self.accountID = accountID
        self.email = email
        self.name = name
    }

    enum CodingKeys: String, CodingKey {
        case accountID = "account_id"
        case email, name
    }
}

/// The account service as its neighbours see it.
public protocol AccountDirectory: Sendable {
    /// The owner of a user's token; nil when it is not valid now. Throws a 503 `Problem` when the
    /// service cannot be asked.
    func verify(token: String) async throws -> VerifiedAccount?

    /// Nil when there is no such account.
    func contact(accountID: String) async throws -> AccountContact?
}

/// Asks an account service over HTTP.
public struct RemoteAccountDirectory: AccountDirectory {
    private let baseURLs: [String]
    private let client: HTTPClient
    private let credentials: ServiceCredentials

    /// - Parameter baseURLs: of equal account services, the preferred first; not empty.
    public init(baseURLs: [String], client: HTTPClient, credentials: ServiceCredentials) {
        precondition(!baseURLs.isEmpty)
        self.baseURLs = baseURLs
        self.client = client
        self.credentials = credentials
    }

    public func verify(token: String) async throws -> VerifiedAccount? {
        guard token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return try await get("/account/verify", token: token)
    }

    public func contact(accountID: String) async throws -> AccountContact? {
        let token = try await credentials.issue(to: .account)
        return try await get("/account/contact/\(accountID)", token: token)
    }

    /// Tries the services in turn. Nil for 401, 403 and 404.
    private func get<Answer: Decodable>(_ path: String, token: String) async throws -> Answer? {
        for base in baseURLs {
            var request = HTTPClientRequest(url: base + path)
            request.headers.add(name: "authorization", value: "Bearer \(token)")
            guard let response = try? await client.execute(request, timeout: .seconds(5)) else {
                continue
            }
            if [401, 403, 404].contains(response.status.code) { return nil }
            guard response.status == .ok,
                let body = try? await response.body.collect(upTo: 64 * 1024),
                let answer = try? JSONDecoder().decode(
                    Answer.self, from: Data(body.readableBytesView))
            else { continue }
            return answer
        }
        throw Problem.retry(.serviceUnavailable, after: 5, "the account service does not answer")
    }
}
