// Accounts in a SQLite file.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

/// The embedded account store.
public struct SQLiteAccountStore: AccountStore {
    private let database: SQLiteDatabase

    /// Opens the file at `path`, made when it is missing.
    public init(path: String) throws(StoreError) {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE accounts (
                        account_id TEXT PRIMARY KEY NOT NULL,
                        email TEXT NOT NULL UNIQUE,
                        name TEXT NOT NULL,
                        password_hash TEXT NOT NULL,
                        created INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE active_auths (
                        token_hash BLOB PRIMARY KEY NOT NULL,
                        account_id TEXT NOT NULL
                            REFERENCES accounts(account_id) ON DELETE CASCADE,
                        expires INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX active_auths_account ON active_auths(account_id, expires);
                    CREATE INDEX active_auths_expires ON active_auths(expires);
                    """)
        }
        database = try SQLiteDatabase(path: path, migrations: migrator)
    }

    public func create(_ account: AccountRecord) async throws(StoreError) {
        try await database.write { database in
            try Self.requireFree(account.email, except: nil, database)
            let known = try Bool.fetchOne(
                database, sql: "SELECT 1 FROM accounts WHERE account_id = ?",
                arguments: [account.accountID])
            if known != nil { throw StoreError.duplicate }
            try database.execute(
                sql: "INSERT INTO accounts VALUES (?, ?, ?, ?, ?)",
                arguments: [
                    account.accountID, account.email, account.name, account.passwordHash,
                    account.created,
                ])
        }
    }

    private static func requireFree(
        _ email: String, except id: String?, _ database: Database
    ) throws {
        let owner = try String.fetchOne(
            database, sql: "SELECT account_id FROM accounts WHERE email = ?", arguments: [email])
        if let owner, owner != id { throw StoreError.emailTaken }
    }

    public func account(id: String) async throws(StoreError) -> AccountRecord? {
        try await database.read { try Self.account($0, where: "account_id = ?", id) }
    }

    public func account(email: String) async throws(StoreError) -> AccountRecord? {
        try await database.read { try Self.account($0, where: "email = ?", email) }
    }

    private static func account(
        _ database: Database, where condition: String, _ value: String
    ) throws -> AccountRecord? {
        let row = try Row.fetchOne(
            database, sql: "SELECT * FROM accounts WHERE \(condition)", arguments: [value])
        return row.map {
            AccountRecord(
                accountID: $0["account_id"], email: $0["email"], name: $0["name"],
                passwordHash: $0["password_hash"], created: $0["created"])
        }
    }

    public func change(id: String, _ changes: AccountChanges) async throws(StoreError) {
        try await database.write { database in
            guard var account = try Self.account(database, where: "account_id = ?", id) else {
                throw StoreError.unknown
            }
            if let email = changes.email {
                try Self.requireFree(email, except: id, database)
                account.email = email
            }
            account.name = changes.name ?? account.name
            account.passwordHash = changes.passwordHash ?? account.passwordHash
            try database.execute(
                sql: "UPDATE accounts SET email = ?, name = ?, password_hash = ? "
                    + "WHERE account_id = ?",
                arguments: [account.email, account.name, account.passwordHash, id])
        }
    }

    public func delete(id: String) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM accounts WHERE account_id = ?", arguments: [id])
            if database.changesCount == 0 { throw StoreError.unknown }
        }
    }

    public func add(_ token: TokenRecord, keeping: Int, now: Int) async throws(StoreError) {
        try await database.write { database in
            guard try Self.account(database, where: "account_id = ?", token.accountID) != nil else {
                throw StoreError.unknown
            }
            try database.execute(
                sql: "DELETE FROM active_auths WHERE account_id = ? AND expires <= ?",
                arguments: [token.accountID, now])
            try database.execute(
                sql: "INSERT INTO active_auths VALUES (?, ?, ?)",
                arguments: [Data(token.hash), token.accountID, token.expires])
            try database.execute(
                sql: """
                    DELETE FROM active_auths WHERE account_id = :id AND token_hash NOT IN (
                        SELECT token_hash FROM active_auths WHERE account_id = :id
                        ORDER BY expires DESC, rowid DESC LIMIT :keeping)
                    """, arguments: ["id": token.accountID, "keeping": keeping])
        }
    }

    public func token(hash: [UInt8], now: Int) async throws(StoreError) -> TokenRecord? {
        try await database.read { database in
            let row = try Row.fetchOne(
                database,
                sql: "SELECT account_id, expires FROM active_auths "
                    + "WHERE token_hash = ? AND expires > ?",
                arguments: [Data(hash), now])
            return row.map {
                TokenRecord(hash: hash, accountID: $0["account_id"], expires: $0["expires"])
            }
        }
    }

    public func removeToken(hash: [UInt8]) async throws(StoreError) -> Bool {
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM active_auths WHERE token_hash = ?", arguments: [Data(hash)])
            return database.changesCount > 0
        }
    }

    public func removeTokens(
        accountID: String, except hash: [UInt8]?
    ) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM active_auths WHERE account_id = ? AND token_hash IS NOT ?",
                arguments: [accountID, hash.map { Data($0) }])
        }
    }

    public func pruneTokens(now: Int) async throws(StoreError) -> Int {
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM active_auths WHERE expires <= ?", arguments: [now])
            return database.changesCount
        }
    }

    public func check() async throws(StoreError) { try await database.check() }
}
