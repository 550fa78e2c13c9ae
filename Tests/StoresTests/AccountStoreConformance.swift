// What every account store must do. A new implementation is added to `accountStores`.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Stores
import Testing

/// Makes an empty store; the name shows up in the results.
struct StoreKind<Store: Sendable>: Sendable, CustomTestStringConvertible {
    let name: String
    let make: @Sendable () async throws -> Store
    var testDescription: String { name }
}

/// A new folder for a store's files.
func temporaryPath(_ name: String) -> String {
    FileManager.default.temporaryDirectory
        .appending(path: "roundhouse-tests-\(UUID().uuidString)/\(name)").path
}

let accountStores: [StoreKind<any AccountStore>] = [
    StoreKind(name: "SQLite") { try SQLiteAccountStore(path: temporaryPath("accounts.sqlite")) }
]

func account(_ id: String, _ email: String) -> AccountRecord {
    AccountRecord(
        accountID: id, email: email, name: "N\u{e4}me", passwordHash: "$argon2id$x", created: 7)
}

@Suite struct AccountStoreConformance {
    @Test(arguments: accountStores)
    func createdAccountIsFoundByIDAndEmail(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        #expect(try await store.account(id: "a") == account("a", "a@example.org"))
        #expect(try await store.account(email: "a@example.org")?.accountID == "a")
        #expect(try await store.account(id: "b") == nil)
        #expect(try await store.account(email: "b@example.org") == nil)
        try await store.check()
    }

    @Test(arguments: accountStores)
    func sameEmailOrIDIsRefused(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        await #expect(throws: StoreError.emailTaken) {
            try await store.create(account("b", "a@example.org"))
        }
        await #expect(throws: StoreError.duplicate) {
            try await store.create(account("a", "b@example.org"))
        }
        #expect(try await store.account(email: "b@example.org") == nil)
    }

    @Test(arguments: accountStores)
    func raceForOneEmailHasOneWinner(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        let winners = await withTaskGroup(of: String?.self) { group in
            for number in 0..<40 {
                group.addTask {
                    do {
                        try await store.create(account("id\(number)", "same@example.org"))
                        return "id\(number)"
                    } catch let error as StoreError {
                        return error == .emailTaken ? nil : "unexpected \(error)"
                    } catch {
                        return "unexpected \(error)"
                    }
                }
            }
            return await group.reduce(into: [String]()) { if let winner = $1 { $0.append(winner) } }
        }
        #expect(winners.count == 1)
        #expect(try await store.account(email: "same@example.org")?.accountID == winners.first)
    }

    @Test(arguments: accountStores)
    func changeKeepsWhatIsNotNamed(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        try await store.create(account("b", "b@example.org"))
        try await store.change(id: "a", AccountChanges(name: "New"))
        #expect(try await store.account(id: "a")?.email == "a@example.org")
        #expect(try await store.account(id: "a")?.name == "New")
        await #expect(throws: StoreError.emailTaken) {
            try await store.change(id: "a", AccountChanges(email: "b@example.org"))
        }
        try await store.change(id: "a", AccountChanges(email: "c@example.org"))
        #expect(try await store.account(email: "a@example.org") == nil)
        #expect(try await store.account(email: "c@example.org")?.name == "New")
        await #expect(throws: StoreError.unknown) {
            try await store.change(id: "z", AccountChanges(name: "x"))
        }
    }

    @Test(arguments: accountStores)
    func deletedAccountFreesItsEmailAndTokens(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        try await store.add(token(1, "a", expires: 100), keeping: 5, now: 0)
        try await store.delete(id: "a")
        #expect(try await store.account(id: "a") == nil)
        #expect(try await store.token(hash: hash(1), now: 0) == nil)
        try await store.create(account("b", "a@example.org"))
        await #expect(throws: StoreError.unknown) { try await store.delete(id: "a") }
    }

    @Test(arguments: accountStores)
    func tokensExpireAndArePruned(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        try await store.add(token(1, "a", expires: 100), keeping: 5, now: 0)
        try await store.add(token(2, "a", expires: 200), keeping: 5, now: 0)
        #expect(try await store.token(hash: hash(1), now: 99) == token(1, "a", expires: 100))
        #expect(try await store.token(hash: hash(1), now: 100) == nil)
        #expect(try await store.pruneTokens(now: 150) == 1)
        #expect(try await store.token(hash: hash(1), now: 0) == nil)
        #expect(try await store.token(hash: hash(2), now: 150) != nil)
        #expect(try await store.removeToken(hash: hash(2)))
        #expect(try await !store.removeToken(hash: hash(2)))
    }

    @Test(arguments: accountStores)
    func oldestSignInsGoBeyondTheLimit(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        for number in 1...4 {
            let record = token(UInt8(number), "a", expires: 100 + number)
            try await store.add(record, keeping: 3, now: 0)
        }
        var left: [UInt8] = []
        for number in 1...4 where try await store.token(hash: hash(UInt8(number)), now: 0) != nil {
            left.append(UInt8(number))
        }
        #expect(left == [2, 3, 4])
    }

    @Test(arguments: accountStores)
    func allTokensButOneAreRemoved(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        try await store.create(account("a", "a@example.org"))
        try await store.create(account("b", "b@example.org"))
        for number in 1...3 {
            try await store.add(token(UInt8(number), "a", expires: 9), keeping: 9, now: 0)
        }
        try await store.add(token(4, "b", expires: 9), keeping: 9, now: 0)
        try await store.removeTokens(accountID: "a", except: hash(2))
        #expect(try await store.token(hash: hash(1), now: 0) == nil)
        #expect(try await store.token(hash: hash(2), now: 0) != nil)
        #expect(try await store.token(hash: hash(4), now: 0) != nil)
        try await store.removeTokens(accountID: "a", except: nil)
        #expect(try await store.token(hash: hash(2), now: 0) == nil)
    }

    @Test(arguments: accountStores)
    func tokenOfNobodyIsRefused(_ kind: StoreKind<any AccountStore>) async throws {
        let store = try await kind.make()
        await #expect(throws: StoreError.unknown) {
            try await store.add(token(1, "nobody", expires: 9), keeping: 9, now: 0)
        }
    }

    private func hash(_ number: UInt8) -> [UInt8] { Array(repeating: number, count: 32) }

    private func token(_ number: UInt8, _ account: String, expires: Int) -> TokenRecord {
        TokenRecord(hash: hash(number), accountID: account, expires: expires)
    }
}
