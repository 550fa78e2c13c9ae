// Load of the routing nodes in a SQLite file: a row a node, users of each meeting as a JSON object.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

/// The embedded load store.
public struct SQLiteServerLoadStore: ServerLoadStore {
    private let database: SQLiteDatabase

    /// Opens the file at `path`, made when it is missing.
    public init(path: String) throws(StoreError) {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE servers (
                        server_id TEXT PRIMARY KEY NOT NULL,
                        address TEXT NOT NULL,
                        capacity INTEGER NOT NULL,
                        load REAL NOT NULL,
                        live_meetings INTEGER NOT NULL,
                        live_users INTEGER NOT NULL,
                        draining INTEGER NOT NULL,
                        last_beat INTEGER NOT NULL,
                        meetings INTEGER NOT NULL DEFAULT 0,
                        users TEXT NOT NULL DEFAULT '{}'
                    ) STRICT;
                    CREATE TABLE applied_batches (
                        batch_id TEXT PRIMARY KEY NOT NULL,
                        applied INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE recorders (
                        recorder_id TEXT PRIMARY KEY NOT NULL,
                        address TEXT NOT NULL,
                        capacity INTEGER NOT NULL,
                        jobs INTEGER NOT NULL,
                        draining INTEGER NOT NULL,
                        last_beat INTEGER NOT NULL
                    ) STRICT;
                    """)
        }
        database = try SQLiteDatabase(path: path, migrations: migrator)
    }

    public func beat(_ beat: ServerBeat) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: """
                    INSERT INTO servers (server_id, address, capacity, load, live_meetings,
                        live_users, draining, last_beat)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (server_id) DO UPDATE SET address = excluded.address,
                        capacity = excluded.capacity, load = excluded.load,
                        live_meetings = excluded.live_meetings,
                        live_users = excluded.live_users, draining = excluded.draining,
                        last_beat = max(last_beat, excluded.last_beat)
                    """,
                arguments: [
                    beat.id, beat.address, beat.capacity, beat.load, beat.liveMeetings,
                    beat.liveUsers, beat.draining, beat.at,
                ])
        }
    }

    public func servers(since: Int) async throws(StoreError) -> [ServerRow] {
        try await database.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM servers WHERE last_beat >= ? ORDER BY server_id",
                arguments: [since]
            ).map(Self.server)
        }
    }

    private static func server(_ row: Row) throws -> ServerRow {
        var beat = ServerBeat(
            id: row["server_id"], address: row["address"], capacity: row["capacity"],
            at: row["last_beat"])
        beat.load = row["load"]
        beat.liveMeetings = row["live_meetings"]
        beat.liveUsers = row["live_users"]
        beat.draining = row["draining"]
        let text: String = row["users"]
        let users = try JSONDecoder().decode([String: Int].self, from: Data(text.utf8))
        return ServerRow(beat: beat, meetings: row["meetings"], users: users)
    }

    public func apply(_ batch: LoadBatch, now: Int) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO applied_batches VALUES (?, ?)",
                arguments: [batch.id, now])
            if database.changesCount == 0 { return }
            for (server, delta) in batch.deltas {
                try Self.apply(delta, to: server, database)
            }
        }
    }

    private static func apply(
        _ delta: ServerDelta, to server: String, _ database: Database
    ) throws {
        try database.execute(
            sql: "UPDATE servers SET meetings = meetings + ? WHERE server_id = ?",
            arguments: [delta.meetings, server])
        for (meeting, change) in delta.users where !delta.finished.contains(meeting) {
            try database.execute(
                sql: """
                    UPDATE servers SET users = json_set(users, :path,
                        coalesce(json_extract(users, :path), 0) + :change)
                    WHERE server_id = :server
                    """,
                arguments: ["path": path(meeting), "change": change, "server": server])
        }
        for meeting in delta.finished {
            try database.execute(
                sql: "UPDATE servers SET users = json_remove(users, ?) WHERE server_id = ?",
                arguments: [path(meeting), server])
        }
    }

    /// The JSON path of a member; quotes cannot occur in the ids that the services make.
    private static func path(_ meeting: String) -> String {
        "$.\"\(meeting.replacing("\"", with: ""))\""
    }

    public func beat(recorder: RecorderBeat) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO recorders VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    recorder.id, recorder.address, recorder.capacity, recorder.jobs,
                    recorder.draining, recorder.at,
                ])
        }
    }

    public func recorders(since: Int) async throws(StoreError) -> [RecorderBeat] {
        try await database.read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM recorders WHERE last_beat >= ? ORDER BY recorder_id",
                arguments: [since]
            ).map {
                RecorderBeat(
                    id: $0["recorder_id"], address: $0["address"], capacity: $0["capacity"],
                    jobs: $0["jobs"], draining: $0["draining"], at: $0["last_beat"])
            }
        }
    }

    public func prune(before: Int) async throws(StoreError) {
        try await database.write { database in
            for (table, column) in [
                ("servers", "last_beat"), ("recorders", "last_beat"),
                ("applied_batches", "applied"),
            ] {
                try database.execute(
                    sql: "DELETE FROM \(table) WHERE \(column) < ?", arguments: [before])
            }
        }
    }

    public func check() async throws(StoreError) { try await database.check() }
}
