// The REST calls of a participant. SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// Somebody who may join meetings.
package struct LoadAccount: Codable, Sendable, Equatable {
    package var accountID: String
    package var token: String
    /// Seconds since 1970.
    package var expires: Int
    /// Base URL of the system that knows it.
    package var url: String

    package init(accountID: String, token: String, expires: Int, url: String) {
        self.accountID = accountID
        self.token = token
        self.expires = expires
        self.url = url
    }
}

/// Answer to creating or joining a meeting.
package struct LoadGrant: Decodable, Sendable {
    package let meeting_id: String
    package let server: String
    package let ticket: String
}

/// A refusal with its status.
package struct HttpRefusal: Error, CustomStringConvertible {
    package let status: Int
    package let detail: String
    /// Seconds to wait, from `Retry-After`.
    package let retryAfter: Int?
    package var description: String { "HTTP \(status): \(detail)" }
}

/// The system's REST interface.
package struct HttpApi: Sendable {
    private static let answerBytesMax = 1 << 20
    static let timeout = TimeAmount.seconds(60)

    package let url: String
    private let client: HTTPClient

    package init(url: String, client: HTTPClient) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.client = client
    }

    /// Makes an account and signs it in.
    package func signUp(email: String, password: String, name: String) async throws
        -> LoadAccount {
        struct Created: Decodable {
            let account_id: String
        }
        struct SignedIn: Decodable {
            let token: String
            let expires: Int
        }
        let body = ["email": email, "password": password, "name": name]
        let made: Created = try await call(.POST, "/account", body: body)
        let signedIn: SignedIn = try await call(
            .POST, "/account/login", body: ["email": email, "password": password])
        return LoadAccount(
            accountID: made.account_id, token: signedIn.token, expires: signedIn.expires, url: url)
    }

    /// Whether the server takes the account's token.
    package func isKnown(_ account: LoadAccount) async throws -> Bool {
        do {
            _ = try await send(.GET, "/account", token: account.token, body: nil)
            return true
        } catch let refusal as HttpRefusal where refusal.status == 401 {
            return false
        }
    }

    /// Deletes the caller's account.
    package func delete(_ account: LoadAccount) async throws {
        _ = try await send(.DELETE, "/account", token: account.token, body: nil)
    }

    package func createMeeting(_ account: LoadAccount) async throws -> LoadGrant {
        try await call(.POST, "/meeting", token: account.token, body: [:])
    }

    package func joinMeeting(_ id: String, _ account: LoadAccount) async throws -> LoadGrant {
        try await call(.POST, "/meeting/join/\(id)", token: account.token, body: nil)
    }

    private func call<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, token: String? = nil, body: [String: String]?
    ) async throws -> Answer {
        let bytes = try await send(method, path, token: token, body: body)
        return try JSONDecoder().decode(Answer.self, from: bytes)
    }

    private func send(
        _ method: HTTPMethod, _ path: String, token: String?, body: [String: String]?
    ) async throws -> Data {
        var request = HTTPClientRequest(url: url + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(try JSONEncoder().encode(body))
        }
        let response = try await client.execute(request, timeout: Self.timeout)
        let answer = try await response.body.collect(upTo: Self.answerBytesMax)
        let bytes = Data(answer.readableBytesView)
        guard (200..<300).contains(response.status.code) else {
            struct Problem: Decodable {
                let detail: String?
                let title: String?
            }
            let problem = try? JSONDecoder().decode(Problem.self, from: bytes)
            throw HttpRefusal(
                status: Int(response.status.code),
                detail: problem?.detail ?? problem?.title ?? response.status.reasonPhrase,
                retryAfter: response.headers.first(name: "Retry-After").flatMap { Int($0) })
        }
        return bytes
    }
}
