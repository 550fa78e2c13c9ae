// Accounts and their sign-ins.
// SPDX-License-Identifier: Apache-2.0

/// One account.
public struct AccountRecord: Sendable, Equatable {
    /// UUID in lower case.
    public var accountID: String
    /// In lower case; unique among all accounts.
    public var email: String
    /// Display name; may be empty.
    public var name: String
    /// PHC string of a memory-hard hash.
    public var passwordHash: String
    /// Seconds since 1970.
    public var created: Int

    public init(
        accountID: String, email: String, name: String, passwordHash: String, created: Int
    ) {
        self.accountID = accountID
        self.email = email
        self.name = name
        self.passwordHash = passwordHash
        self.created = created
    }
}

/// One sign-in. Only a hash of the token is ever stored.
public struct TokenRecord: Sendable, Equatable {
    /// SHA-256 of the token: 32 bytes.
    public var hash: [UInt8]
    public var accountID: String
    /// Seconds since 1970.
    public var expires: Int

    public init(hash: [UInt8], accountID: String, expires: Int) {
        self.hash = hash
        self.accountID = accountID
        self.expires = expires
    }
}

/// What changes in an account; nil leaves a field as it is.
public struct AccountChanges: Sendable, Equatable {
    public var email: String?
    public var name: String?
    public var passwordHash: String?

    public init(email: String? = nil, name: String? = nil, passwordHash: String? = nil) {
        self.email = email
        self.name = name
        self.passwordHash = passwordHash
    }
}

/// Where accounts live. All calls are atomic and may be made from many processes at once.
public protocol AccountStore: Sendable {
    /// Adds an account. Throws `emailTaken` or `duplicate` (id); of any number of calls with one
    /// e-mail address at the same time exactly one succeeds.
    func create(_ account: AccountRecord) async throws(StoreError)

    /// Nil when there is none.
    func account(id: String) async throws(StoreError) -> AccountRecord?

    /// Nil when there is none.
    func account(email: String) async throws(StoreError) -> AccountRecord?

    /// Changes an account. Throws `unknown` or `emailTaken`.
    func change(id: String, _ changes: AccountChanges) async throws(StoreError)

    /// Removes the account and its tokens. Its e-mail address is free again. Throws `unknown`.
    func delete(id: String) async throws(StoreError)

    /// Adds a sign-in. Expired ones of the account are removed, and the oldest beyond `keeping`.
    func add(_ token: TokenRecord, keeping: Int, now: Int) async throws(StoreError)

    /// Nil when there is none or when it has expired at `now`.
    func token(hash: [UInt8], now: Int) async throws(StoreError) -> TokenRecord?

    /// Removes a sign-in; false when there was none.
    func removeToken(hash: [UInt8]) async throws(StoreError) -> Bool

    /// Removes all sign-ins of an account but one.
    func removeTokens(accountID: String, except hash: [UInt8]?) async throws(StoreError)

    /// Removes all sign-ins that have expired at `now`; returns how many.
    func pruneTokens(now: Int) async throws(StoreError) -> Int

    /// Throws when the store cannot be used now.
    func check() async throws(StoreError)
}
