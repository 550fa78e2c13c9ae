// The accounts of a run: made for it, or kept in a file from run to run.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Makes accounts and takes them away again.
package struct Accounts: Sendable {
    /// Sign-ups at once: each takes some 50 ms of a server's core, on purpose.
    private static let signUpsAtOnce = 4
    private static let callsAtOnce = 8
    /// Accounts of the file that expire within so many seconds are made anew.
    private static let expiryMargin = 3600

    private let api: HttpApi
    private let file: String?

    package init(_ api: HttpApi, file: String?) {
        self.api = api
        self.file = file
    }

    /// So many accounts, from the file first. New ones are added to the file.
    ///
    /// - Parameter progress: called with the number that is there.
    package func take(_ count: Int, progress: @escaping @Sendable (Int) -> Void) async throws
        -> [LoadAccount] {
        let kept = try read()
        let usable = kept.filter {
            $0.url == api.url && $0.expires > Int(Date().timeIntervalSince1970) + Self.expiryMargin
        }
        let taken = try await known(Array(usable.prefix(count)))
        guard taken.count < count else { return taken }
        let others = kept.filter { $0.url != api.url } + taken
        let made = Mutex<[LoadAccount]>([])
        do {
            try await makeAll(count - taken.count) { account in
                let number = made.withLock { made in
                    made.append(account)
                    return made.count
                }
                progress(taken.count + number)
            }
        } catch {
            let fresh = made.withLock { $0 }
            if file == nil { await delete(fresh) } else { try write(others + fresh) }
            throw Self.explain(error, made: taken.count + fresh.count, of: count)
        }
        let fresh = made.withLock { $0 }
        if file != nil { try write(others + fresh) }
        return taken + fresh
    }

    /// Those that the server still knows, in their order: it may have begun anew.
    private func known(_ accounts: [LoadAccount]) async throws -> [LoadAccount] {
        let found = try await withThrowingTaskGroup(of: LoadAccount?.self) { group in
            var found = Set<String>()
            func note(_ account: LoadAccount?) { account.map { _ = found.insert($0.accountID) } }
            for (index, account) in accounts.enumerated() {
                if index >= Self.callsAtOnce { note(try await group.next() ?? nil) }
                group.addTask { try await api.isKnown(account) ? account : nil }
            }
            for try await account in group { note(account) }
            return found
        }
        return accounts.filter { found.contains($0.accountID) }
    }

    /// Deletes accounts that no file keeps.
    package func giveBack(_ accounts: [LoadAccount]) async {
        if file == nil { await delete(accounts) }
    }

    private func makeAll(
        _ count: Int, made: @escaping @Sendable (LoadAccount) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                if index >= Self.signUpsAtOnce { try await group.next() }
                group.addTask { made(try await makeOne()) }
            }
            try await group.waitForAll()
        }
    }

    private func makeOne() async throws -> LoadAccount {
        let name = UUID().uuidString.lowercased()
        let password = UUID().uuidString + UUID().uuidString
        return try await api.signUp(
            email: "load-\(name)@load.invalid", password: password,
            name: "Load \(name.prefix(4))")
    }

    private func delete(_ accounts: [LoadAccount]) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, account) in accounts.enumerated() {
                if index >= Self.signUpsAtOnce { await group.next() }
                // Nothing depends on it: an account without use is only untidy.
                group.addTask { try? await api.delete(account) }
            }
        }
    }

    private static func explain(_ error: any Error, made: Int, of count: Int) -> any Error {
        guard let refusal = error as? HttpRefusal, refusal.status == 429 else { return error }
        let wait = refusal.retryAfter.map { " in \($0) s" } ?? " later"
        return LoadFailure(
            "the server limits sign-ups from one address",
            "\(made) of \(count) accounts exist. Keep accounts with --accounts FILE and run again"
                + "\(wait), or start the server with a higher --sign-ins-per-address")
    }

    private func read() throws -> [LoadAccount] {
        guard let file, FileManager.default.fileExists(atPath: file) else { return [] }
        do {
            return try JSONDecoder().decode(
                [LoadAccount].self, from: Data(contentsOf: URL(filePath: file)))
        } catch {
            throw LoadFailure("--accounts \(file) is no list of accounts", "\(error)")
        }
    }

    /// Tokens are secrets: the file is for this user alone.
    private func write(_ accounts: [LoadAccount]) throws {
        guard let file else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes = try encoder.encode(accounts)
        let manager = FileManager.default
        let fresh = file + ".new"
        guard manager.createFile(
            atPath: fresh, contents: bytes, attributes: [.posixPermissions: 0o600])
        else { throw LoadFailure("--accounts \(file) cannot be written") }
        guard rename(fresh, file) == 0 else {
            let reason = String(cString: strerror(errno))
            throw LoadFailure("--accounts \(file) cannot be written", reason)
        }
    }
}
