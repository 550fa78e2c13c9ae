// The rules of accounts: sign-up, sign-in, change, removal.
// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
public import ServiceKit
public import Stores

/// How long things last and how much is allowed.
public struct AccountConfiguration: Sendable {
    /// Validity of a sign-in.
    public var tokenLifetime: Duration = .seconds(30 * 86400)
    /// Sign-ins of one account at once; the oldest end first.
    public var tokensMax = 20
    /// Sign-ups and sign-ins of one client address: at once, and a second in the long run.
    public var addressBurst = 100
    public var addressRate = 1.0
    /// Sign-ins of one account: at once, and a second in the long run.
    public var accountBurst = 10
    public var accountRate = 0.2

    public init() {}
}

/// Answer of a sign-in.
public struct SignIn: Sendable {
    public let accountID: String
    public let token: String
    /// Seconds since 1970.
    public let expires: Int
}

/// The account service.
public final class AccountService: AccountDirectory {
    let store: any AccountStore
    private let passwords: PasswordWorkers
    private let configuration: AccountConfiguration
    private let now: @Sendable () -> Int
    private let byAddress: RateLimiter
    private let byAccount: RateLimiter
    /// Checked for unknown e-mail addresses, so that they take as long as known ones.
    private let decoy: String

    public init(
        store: any AccountStore, passwords: PasswordWorkers,
        configuration: AccountConfiguration = AccountConfiguration(),
        now: @escaping @Sendable () -> Int = UnixTime.now
    ) async throws {
        self.store = store
        self.passwords = passwords
        self.configuration = configuration
        self.now = now
        byAddress = RateLimiter(
            ratePerSecond: configuration.addressRate, burst: configuration.addressBurst)
        byAccount = RateLimiter(
            ratePerSecond: configuration.accountRate, burst: configuration.accountBurst)
        decoy = try await passwords.hash(Self.randomToken())
    }

    // MARK: Sign-up

    /// Makes an account. Problems: 409 when the e-mail address is taken, 429.
    public func signUp(
        email: String, password: String, name: String, address: String
    ) async throws -> String {
        try byAddress.require(address, "too many sign-ups from this address")
        let email = email.lowercased()
        if try await store.account(email: email) != nil { throw Self.emailTaken }
        let account = AccountRecord(
            accountID: UUID().uuidString.lowercased(), email: email, name: name,
            passwordHash: try await passwords.hash(password), created: now())
        try await Self.translating { try await self.store.create(account) }
        return account.accountID
    }

    /// Store errors that a client has to know become problems.
    private static func translating(_ call: () async throws -> Void) async throws {
        do {
            try await call()
        } catch let error as StoreError {
            switch error {
            case .emailTaken: throw emailTaken
            case .unknown: throw badToken
            default: throw error
            }
        }
    }

    private static let emailTaken = Problem(
        .conflict, detail: "an account with this e-mail address exists already")

    // MARK: Sign-in

    /// Checks a password and makes a token. 401 is the same, and takes the same time, whether the
    /// e-mail address or the password is wrong. 429 names the seconds to wait.
    public func signIn(
        email: String, password: String, address: String
    ) async throws -> SignIn {
        let email = email.lowercased()
        try byAddress.require(address, "too many sign-ins from this address")
        try byAccount.require(email, "too many sign-ins to this account")
        let account = try await store.account(email: email)
        let isRight = try await passwords.verify(password, account?.passwordHash ?? decoy)
        guard let account, isRight else {
            throw Problem.unauthorized("the e-mail address or the password is wrong")
        }
        if PasswordHash.isOutdated(account.passwordHash, cost: passwords.cost) {
            let hash = try await passwords.hash(password)
            try await store.change(id: account.accountID, AccountChanges(passwordHash: hash))
        }
        return try await makeToken(account.accountID)
    }

    private func makeToken(_ accountID: String) async throws -> SignIn {
        let token = Self.randomToken()
        let expires = now() + Int(configuration.tokenLifetime.components.seconds)
        try await store.add(
            TokenRecord(hash: Self.hash(token), accountID: accountID, expires: expires),
            keeping: configuration.tokensMax, now: now())
        return SignIn(accountID: accountID, token: token, expires: expires)
    }

    /// 256 random bits; the prefix makes tokens recognisable for secret scanners.
    static func randomToken() -> String {
        let bits = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        return "rhu_"
            + bits.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
    }

    static func hash(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Data(token.utf8))) }

    /// Ends the sign-in of a token.
    public func signOut(token: String) async throws {
        guard try await store.removeToken(hash: Self.hash(token)) else { throw Self.badToken }
    }

    static let badToken = Problem.unauthorized("the token is not valid (any more)")

    // MARK: With a token

    /// The account of a valid token, else 401.
    public func account(token: String) async throws -> AccountRecord {
        guard let known = try await store.token(hash: Self.hash(token), now: now()),
            let account = try await store.account(id: known.accountID)
        else { throw Self.badToken }
        return account
    }

    /// Changes an account. A new e-mail address or password needs the current password; a new
    /// password ends all other sign-ins.
    public func change(
        token: String, _ wanted: AccountWishes, address: String
    ) async throws -> AccountRecord {
        let account = try await account(token: token)
        if wanted.email != nil || wanted.password != nil {
            try byAddress.require(address, "too many changes from this address")
            try byAccount.require(account.email, "too many tries for this account")
            let isRight = try await passwords.verify(
                wanted.currentPassword ?? "", account.passwordHash)
            guard isRight else {
                throw Problem(.forbidden, detail: "'current_password' is missing or wrong")
            }
        }
        var hash: String?
        if let password = wanted.password { hash = try await passwords.hash(password) }
        let changes = AccountChanges(
            email: wanted.email?.lowercased(), name: wanted.name, passwordHash: hash)
        try await Self.translating { try await self.store.change(id: account.accountID, changes) }
        if wanted.password != nil {
            try await store.removeTokens(accountID: account.accountID, except: Self.hash(token))
        }
        return try await self.account(token: token)
    }

    /// Removes the account and all its sign-ins.
    public func delete(token: String) async throws {
        let account = try await account(token: token)
        try await Self.translating { try await self.store.delete(id: account.accountID) }
    }

    // MARK: AccountDirectory

    public func verify(token: String) async throws -> VerifiedAccount? {
        guard let known = try await store.token(hash: Self.hash(token), now: now()),
            let account = try await store.account(id: known.accountID)
        else { return nil }
        return VerifiedAccount(
            accountID: account.accountID, name: account.name, expires: known.expires)
    }

    public func contact(accountID: String) async throws -> AccountContact? {
        try await store.account(id: accountID).map {
            AccountContact(accountID: $0.accountID, email: $0.email, name: $0.name)
        }
    }

    /// Removes expired sign-ins; returns how many.
    public func prune() async throws -> Int { try await store.pruneTokens(now: now()) }
}

/// What a `PATCH /account` asks for.
public struct AccountWishes: Sendable {
    public var email: String?
    public var name: String?
    public var password: String?
    public var currentPassword: String?

    public init() {}
}
