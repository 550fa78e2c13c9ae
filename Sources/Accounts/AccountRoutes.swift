// The REST calls under /account.
// SPDX-License-Identifier: Apache-2.0
import Hummingbird
public import ServiceKit
import Stores

private struct Created: Encodable {
    let account_id: String
}

private struct SignedIn: Encodable {
    let account_id: String
    let token: String
    let expires: Int
}

private struct AccountAnswer: Encodable {
    let account_id: String
    let email: String
    let name: String
    let created: Int

    init(_ account: AccountRecord) {
        account_id = account.accountID
        email = account.email
        name = account.name
        created = account.created
    }
}

/// HTTP face of the account service.
public struct AccountRoutes: Sendable {
    private let service: AccountService
    private let credentials: ServiceCredentials

    /// `credentials` must be those of the role `account`.
    public init(service: AccountService, credentials: ServiceCredentials) {
        self.service = service
        self.credentials = credentials
    }

    public var routes: [Route] {
        [
            Route(.post, "/account", signUp),
            Route(.get, "/account") { request, _ in
                let token = try request.requireBearerToken()
                return try .json(AccountAnswer(try await service.account(token: token)))
            },
            Route(.patch, "/account", change),
            Route(.delete, "/account") { request, _ in
                try await service.delete(token: request.requireBearerToken())
                return .empty
            },
            Route(.post, "/account/login", signIn),
            Route(.post, "/account/logout") { request, _ in
                try await service.signOut(token: request.requireBearerToken())
                return .empty
            },
            Route(.get, "/account/verify") { request, _ in
                let token = try request.requireBearerToken()
                guard let verified = try await service.verify(token: token) else {
                    throw AccountService.badToken
                }
                return try .json(verified)
            },
            Route(.get, "/account/contact/{account_id}", contact),
        ]
    }

    @Sendable private func signUp(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        let body = try await request.jsonMembers(context)
        let email = try AccountFields.email(body.string("email", AccountFields.emailLength))
        let password = try body.string("password", AccountFields.passwordLength)
        let name = try body.optionalString("name", AccountFields.nameLength) ?? ""
        let id = try await service.signUp(
            email: email, password: password, name: AccountFields.name(name),
            address: context.clientAddress)
        return try .json(Created(account_id: id), status: .created)
    }

    @Sendable private func signIn(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        let body = try await request.jsonMembers(context)
        let email = try AccountFields.email(body.string("email", AccountFields.emailLength))
        let password = try body.string("password", 1...256)
        let answer = try await service.signIn(
            email: email, password: password, address: context.clientAddress)
        return try .json(
            SignedIn(account_id: answer.accountID, token: answer.token, expires: answer.expires))
    }

    @Sendable private func change(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        let token = try request.requireBearerToken()
        _ = try await service.account(token: token)
        let body = try await request.jsonMembers(context)
        var wanted = AccountWishes()
        if let email = try body.optionalString("email", AccountFields.emailLength) {
            wanted.email = try AccountFields.email(email)
        }
        if let name = try body.optionalString("name", AccountFields.nameLength) {
            wanted.name = try AccountFields.name(name)
        }
        wanted.password = try body.optionalString("password", AccountFields.passwordLength)
        wanted.currentPassword = try body.optionalString("current_password", 1...256)
        let account = try await service.change(
            token: token, wanted, address: context.clientAddress)
        return try .json(AccountAnswer(account))
    }

    @Sendable private func contact(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        try await credentials.require(request, from: [.meeting, .recorder])
        let id = try context.parameters.require("account_id")
        guard let contact = try await service.contact(accountID: id) else {
            throw Problem(.notFound, detail: "there is no such account")
        }
        return try .json(contact)
    }
}
