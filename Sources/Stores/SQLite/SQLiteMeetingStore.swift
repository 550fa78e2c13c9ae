// Meetings in a SQLite file.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import GRDB

/// The embedded meeting store.
public struct SQLiteMeetingStore: MeetingStore {
    private let database: SQLiteDatabase

    /// Opens the file at `path`, made when it is missing.
    public init(path: String) throws(StoreError) {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE meetings (
                        meeting_id TEXT PRIMARY KEY NOT NULL,
                        host TEXT NOT NULL,
                        server TEXT NOT NULL,
                        node TEXT NOT NULL,
                        recording INTEGER NOT NULL DEFAULT 0,
                        recorder TEXT,
                        created INTEGER NOT NULL,
                        ended INTEGER,
                        recording_started INTEGER
                    ) STRICT;
                    CREATE TABLE record_recipients (
                        meeting_id TEXT NOT NULL
                            REFERENCES meetings(meeting_id) ON DELETE CASCADE,
                        position INTEGER NOT NULL,
                        account_id TEXT NOT NULL,
                        PRIMARY KEY (meeting_id, account_id)
                    ) STRICT;
                    """)
        }
        database = try SQLiteDatabase(path: path, migrations: migrator)
    }

    public func create(_ meeting: MeetingRecord) async throws(StoreError) {
        try await database.write { database in
            if try Self.find(meeting.meetingID, database) != nil { throw StoreError.duplicate }
            try database.execute(
                sql: "INSERT INTO meetings (meeting_id, host, server, node, created) "
                    + "VALUES (?, ?, ?, ?, ?)",
                arguments: [
                    meeting.meetingID, meeting.host, meeting.server, meeting.node,
                    meeting.created,
                ])
        }
    }

    public func meeting(id: String) async throws(StoreError) -> MeetingRecord? {
        try await database.read { try Self.find(id, $0) }
    }

    private static func find(_ id: String, _ database: Database) throws -> MeetingRecord? {
        let found = try Row.fetchOne(
            database, sql: "SELECT * FROM meetings WHERE meeting_id = ?", arguments: [id])
        guard let row = found else { return nil }
        var meeting = MeetingRecord(
            meetingID: row["meeting_id"], host: row["host"], server: row["server"],
            node: row["node"], created: row["created"])
        meeting.recording = row["recording"]
        meeting.recorder = row["recorder"]
        meeting.ended = row["ended"]
        meeting.recordingStarted = row["recording_started"]
        meeting.recordRecipients = try String.fetchAll(
            database,
            sql: "SELECT account_id FROM record_recipients WHERE meeting_id = ? ORDER BY position",
            arguments: [id])
        return meeting
    }

    public func end(id: String, now: Int) async throws(StoreError) -> MeetingEnd {
        try await database.write { database in
            guard let meeting = try Self.find(id, database) else { return .unknown }
            if meeting.hasEnded { return .alreadyEnded }
            if meeting.recording {
                try database.execute(
                    sql: "UPDATE meetings SET server = '', ended = ? WHERE meeting_id = ?",
                    arguments: [now, id])
                return .kept
            }
            try database.execute(
                sql: "DELETE FROM meetings WHERE meeting_id = ?", arguments: [id])
            return .deleted
        }
    }

    public func requestRecording(
        id: String, recipient: String, now: Int, pendingMax: Int
    ) async throws(StoreError) -> RecordingRequest {
        try await database.write { database in
            guard let meeting = try Self.find(id, database) else { return .unknown }
            if meeting.hasEnded { return .ended }
            if meeting.recording, meeting.recorder == nil,
                now - (meeting.recordingStarted ?? now) <= pendingMax {
                return .pending
            }
            try database.execute(
                sql: "INSERT OR IGNORE INTO record_recipients VALUES (?, ?, ?)",
                arguments: [id, meeting.recordRecipients.count, recipient])
            if meeting.recorder != nil { return .running }
            try database.execute(
                sql: "UPDATE meetings SET recording = 1, recording_started = ? "
                    + "WHERE meeting_id = ?", arguments: [now, id])
            return .started
        }
    }

    public func recordingTaken(id: String, recorder: String) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "UPDATE meetings SET recorder = ? WHERE meeting_id = ? AND recording = 1",
                arguments: [recorder, id])
            if database.changesCount == 0 { throw StoreError.unknown }
        }
    }

    public func recordingFailed(id: String) async throws(StoreError) {
        try await database.write { database in
            try database.execute(
                sql: "UPDATE meetings SET recording = 0, recording_started = NULL "
                    + "WHERE meeting_id = ? AND recorder IS NULL", arguments: [id])
            if database.changesCount == 0 { return }
            try database.execute(
                sql: "DELETE FROM record_recipients WHERE meeting_id = ?", arguments: [id])
            // It may have ended while a recorder was looked for; then nobody needs the record.
            try database.execute(
                sql: "DELETE FROM meetings WHERE meeting_id = ? AND server = ''", arguments: [id])
        }
    }

    public func delete(id: String) async throws(StoreError) -> Bool {
        try await database.write { database in
            try database.execute(
                sql: "DELETE FROM meetings WHERE meeting_id = ?", arguments: [id])
            return database.changesCount > 0
        }
    }

    public func prune(createdBefore: Int) async throws(StoreError) -> [MeetingRecord] {
        try await database.write { database in
            let ids = try String.fetchAll(
                database,
                sql: "SELECT meeting_id FROM meetings WHERE created < ? AND recording = 0",
                arguments: [createdBefore])
            let meetings = try ids.compactMap { try Self.find($0, database) }
            try database.execute(
                sql: "DELETE FROM meetings WHERE created < ? AND recording = 0",
                arguments: [createdBefore])
            return meetings
        }
    }

    public func live(among ids: [String]) async throws(StoreError) -> Set<String> {
        try await database.read { database in
            let marks = databaseQuestionMarks(count: ids.count)
            return Set(
                try String.fetchAll(
                    database,
                    sql: "SELECT meeting_id FROM meetings "
                        + "WHERE server <> '' AND meeting_id IN (\(marks))",
                    arguments: StatementArguments(ids)))
        }
    }

    public func check() async throws(StoreError) { try await database.check() }
}
