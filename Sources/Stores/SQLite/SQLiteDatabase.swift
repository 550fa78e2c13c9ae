// One SQLite file: WAL, migrations, errors of GRDB turned into ours.
// SPDX-License-Identifier: Apache-2.0
import Foundation
package import GRDB

/// Opens a database file and keeps its pool of connections.
package struct SQLiteDatabase: Sendable {
    private let pool: DatabasePool

    package init(path: String, migrations: DatabaseMigrator) throws(StoreError) {
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            configuration.maximumReaderCount = 4
            configuration.prepareDatabase { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            pool = try DatabasePool(path: path, configuration: configuration)
            try migrations.migrate(pool)
            chmod(path, 0o600)
        } catch {
            throw .unavailable("\(path): \(error)")
        }
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do { return try await pool.read(body) } catch { throw Self.translate(error) }
    }

    /// One immediate transaction; rolled back when `body` throws.
    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await pool.write(body)
        } catch {
            throw Self.translate(error)
        }
    }

    package func check() async throws(StoreError) {
        _ = try await read { try Int.fetchOne($0, sql: "SELECT 1") }
    }

    private static func translate(_ error: any Error) -> StoreError {
        if let error = error as? StoreError { return error }
        return .unavailable("\(error)")
    }
}
