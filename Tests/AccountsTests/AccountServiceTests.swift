// The account service through its HTTP routes.
// SPDX-License-Identifier: Apache-2.0
import Accounts
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JWTKit
import NIOCore
import ServiceKit
import Stores
import Synchronization
import Testing

/// The routes of the account service on a store of its own, with a clock that stands still.
struct AccountStage: Sendable {
    let store: any AccountStore
    let service: AccountService
    let time = TestTime()
    let key = ES256PrivateKey()
    let routes: [Route]

    init(_ configure: (inout AccountConfiguration) -> Void = { _ in }) async throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "roundhouse-tests-\(UUID().uuidString)/accounts.sqlite").path
        store = try SQLiteAccountStore(path: path)
        var cost = PasswordCost()
        cost.memoryKiB = 64
        cost.passes = 1
        var configuration = AccountConfiguration()
        configure(&configuration)
        let time = time
        service = try await AccountService(
            store: store, passwords: PasswordWorkers(threads: 2, cost: cost),
            configuration: configuration, now: { time.now })
        let credentials = await ServiceCredentials(key: key, role: .account)
        routes = AccountRoutes(service: service, credentials: credentials).routes
    }

    func run(_ body: @escaping @Sendable (Caller) async throws -> Void) async throws {
        let router = Router(context: HTTPContext.self)
        router.add(middleware: RequestMiddleware(methods: MethodIndex(routes), limiter: nil))
        router.add(routes)
        try await Application(router: router).test(.router) { client in
            try await body(Caller(client: client))
        }
    }
}

final class TestTime: Sendable {
    private let seconds = Mutex(1_000_000)
    var now: Int { seconds.withLock { $0 } }
    func advance(_ by: Int) { seconds.withLock { $0 += by } }
}

/// Makes JSON calls.
struct Caller: Sendable {
    let client: any TestClientProtocol

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPFields
        let body: [String: JSONValue]

        func text(_ name: String) -> String? {
            if case .string(let text) = body[name] { text } else { nil }
        }
    }

    func call(
        _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, token: String? = nil,
        type: String = "application/json"
    ) async throws -> Answer {
        var headers: HTTPFields = [:]
        if body != nil { headers[.contentType] = type }
        if let token { headers[.authorization] = "Bearer \(token)" }
        return try await client.execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }
        ) { response in
            let members = try? JSONMembers(parsing: Data(buffer: response.body))
            return Answer(
                status: response.status.code, headers: response.headers,
                body: members?.members ?? [:])
        }
    }

    func signUp(_ email: String, password: String = "password1") async throws -> Answer {
        try await call(
            .post, "/account", #"{"email":"\#(email)","password":"\#(password)","name":"Ann"}"#)
    }

    func signIn(_ email: String, password: String = "password1") async throws -> Answer {
        try await call(
            .post, "/account/login", #"{"email":"\#(email)","password":"\#(password)"}"#)
    }

    func token(_ email: String) async throws -> String {
        try #require(try await signIn(email).text("token"))
    }
}

@Suite struct AccountServiceTests {
    @Test func signUpSignInReadSignOut() async throws {
        try await AccountStage().run { caller in
            let made = try await caller.signUp("Ann@Example.org")
            #expect(made.status == 201)
            let signIn = try await caller.signIn("ann@example.ORG")
            #expect(signIn.status == 200)
            #expect(signIn.text("account_id") == made.text("account_id"))
            #expect(signIn.body["expires"] == .number(Double(1_000_000 + 30 * 86_400)))
            let token = try #require(signIn.text("token"))
            let account = try await caller.call(.get, "/account", token: token)
            #expect(account.text("email") == "ann@example.org")
            #expect(account.text("name") == "Ann")
            #expect(try await caller.call(.get, "/account/verify", token: token).status == 200)
            #expect(try await caller.call(.post, "/account/logout", token: token).status == 204)
            #expect(try await caller.call(.get, "/account", token: token).status == 401)
            #expect(try await caller.call(.post, "/account/logout", token: token).status == 401)
        }
    }

    @Test func takenEmailIsAConflict() async throws {
        try await AccountStage().run { caller in
            #expect(try await caller.signUp("a@example.org").status == 201)
            let again = try await caller.signUp("A@example.org")
            #expect(again.status == 409)
            #expect(again.headers[.contentType] == "application/problem+json")
        }
    }

    @Test func signUpRaceMakesExactlyOneAccount() async throws {
        try await AccountStage().run { caller in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<24 {
                    group.addTask { try await caller.signUp("race@example.org").status }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 201 } == 1)
            #expect(statuses.count { $0 == 409 } == 23)
        }
    }

    @Test func wrongPasswordAndUnknownEmailLookTheSame() async throws {
        try await AccountStage().run { caller in
            _ = try await caller.signUp("a@example.org")
            let wrong = try await caller.signIn("a@example.org", password: "password2")
            let unknown = try await caller.signIn("b@example.org")
            #expect(wrong.status == 401 && unknown.status == 401)
            #expect(wrong.text("detail") == unknown.text("detail"))
            #expect(wrong.headers[.wwwAuthenticate] == "Bearer")
        }
    }

    @Test func tokensExpire() async throws {
        let stage = try await AccountStage { $0.tokenLifetime = .seconds(60) }
        try await stage.run { caller in
            _ = try await caller.signUp("a@example.org")
            let token = try await caller.token("a@example.org")
            stage.time.advance(59)
            #expect(try await caller.call(.get, "/account", token: token).status == 200)
            stage.time.advance(1)
            #expect(try await caller.call(.get, "/account", token: token).status == 401)
            #expect(try await stage.service.prune() == 1)
        }
    }

    @Test func onlyHashesOfTokensAndPasswordsAreStored() async throws {
        let stage = try await AccountStage()
        try await stage.run { caller in
            let made = try await caller.signUp("a@example.org")
            let token = try await caller.token("a@example.org")
            let id = try #require(made.text("account_id"))
            let account = try #require(try await stage.store.account(id: id))
            #expect(account.passwordHash.hasPrefix("$argon2id$"))
            #expect(try await stage.store.token(hash: Array(token.utf8), now: 0) == nil)
        }
    }

    @Test func newPasswordEndsOtherSignIns() async throws {
        try await AccountStage().run { caller in
            _ = try await caller.signUp("a@example.org")
            let old = try await caller.token("a@example.org")
            let mine = try await caller.token("a@example.org")
            let refused = try await caller.call(
                .patch, "/account", #"{"password":"password9"}"#, token: mine)
            #expect(refused.status == 403)
            let changed = try await caller.call(
                .patch, "/account",
                #"{"password":"password9","current_password":"password1","name":"Bo"}"#,
                token: mine)
            #expect(changed.status == 200)
            #expect(changed.text("name") == "Bo")
            #expect(try await caller.call(.get, "/account", token: old).status == 401)
            #expect(try await caller.call(.get, "/account", token: mine).status == 200)
            #expect(try await caller.signIn("a@example.org").status == 401)
            #expect(try await caller.signIn("a@example.org", password: "password9").status == 200)
        }
    }

    @Test func deletedAccountIsGone() async throws {
        try await AccountStage().run { caller in
            _ = try await caller.signUp("a@example.org")
            let token = try await caller.token("a@example.org")
            #expect(try await caller.call(.delete, "/account", token: token).status == 204)
            #expect(try await caller.call(.get, "/account", token: token).status == 401)
            #expect(try await caller.signIn("a@example.org").status == 401)
            #expect(try await caller.signUp("a@example.org").status == 201)
        }
    }

    @Test func signInsOfAnAccountAreLimited() async throws {
        let stage = try await AccountStage { $0.accountBurst = 3 }
        try await stage.run { caller in
            _ = try await caller.signUp("a@example.org")
            for _ in 0..<3 { #expect(try await caller.signIn("a@example.org").status == 200) }
            let limited = try await caller.signIn("a@example.org")
            #expect(limited.status == 429)
            #expect(limited.headers[.retryAfter] != nil)
            #expect(try await caller.signIn("b@example.org").status == 401)
        }
    }

    @Test(arguments: [
        ("not json", 400), ("[]", 400), ("{}", 400), (#"{"email":"a@b"}"#, 400),
        (#"{"email":"a@b","password":"short"}"#, 400),
        (#"{"email":5,"password":"password1"}"#, 400),
        (#"{"email":"a b@c","password":"password1"}"#, 400),
        (#"{"email":"a@b","password":"password1","name":null}"#, 400),
        (#"{"email":"a@b","password":"password1","name":"x\u0007"}"#, 400), ("\u{ff}", 400),
    ])
    func badBodiesAreRefused(_ body: String, _ status: Int) async throws {
        try await AccountStage().run { caller in
            let answer = try await caller.call(.post, "/account", body)
            #expect(answer.status == status)
        }
    }

    @Test func otherMediaTypesAndMethodsAreRefused() async throws {
        try await AccountStage().run { caller in
            let body = #"{"email":"a@b","password":"password1"}"#
            let text = try await caller.call(.post, "/account", body, type: "text/plain")
            #expect(text.status == 415)
            let put = try await caller.call(.put, "/account", body)
            #expect(put.status == 405)
            #expect(put.headers[.allow] == "DELETE, GET, HEAD, PATCH, POST")
            #expect(try await caller.call(.get, "/account/none").status == 404)
            let large = String(repeating: " ", count: 70_000)
            #expect(try await caller.call(.post, "/account", large).status == 413)
        }
    }

    @Test func contactsAreForServices() async throws {
        let stage = try await AccountStage()
        try await stage.run { caller in
            let made = try await caller.signUp("a@example.org")
            let path = "/account/contact/\(made.text("account_id") ?? "")"
            let user = try await caller.token("a@example.org")
            #expect(try await caller.call(.get, path).status == 401)
            #expect(try await caller.call(.get, path, token: user).status == 401)
            for (role, status) in [(ServiceRole.meeting, 200), (.router, 403)] {
                let credential = try await ServiceCredentials(key: stage.key, role: role)
                    .issue(to: .account)
                #expect(try await caller.call(.get, path, token: credential).status == status)
            }
        }
    }

    @Test func routesAreThoseOfTheDocument() async throws {
        let stage = try await AccountStage()
        let documented = try OpenAPIDocument.operations().filter { $0.contains(" /account") }
        #expect(Set(stage.routes.map(\.name)) == documented)
    }
}
