// The end journal: what a crash at any byte leaves, restarts, compaction, retries.
// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing

@Suite struct EndJournalTests {
    let folder: ScratchFolder
    let clock = ManualClock()

    init() throws { folder = try ScratchFolder() }

    private func open(retention: Duration = .seconds(3600)) throws -> EndJournal {
        try EndJournal(folder: folder.path, retention: retention, clock: clock, logger: quiet)
    }

    @Test func remembersAcrossRestart() async throws {
        let journal = try open()
        journal.markOpen("a", host: "h a/ü")
        journal.markOpen("b", host: "hb")
        journal.markEnded("b")
        journal.markEnded("c")
        journal.markAccepted("c")
        await journal.flush()
        let again = try open()
        #expect(again.open.map(\.meetingID) == ["a"] && again.open.map(\.host) == ["h a/ü"])
        #expect(again.pending == ["b"])
        #expect(again.isEnded("b") && again.isEnded("c") && !again.isEnded("a"))
    }

    @Test func endedNeverOpensAgain() async throws {
        let journal = try open()
        journal.markEnded("a")
        journal.markOpen("a", host: "h")
        await journal.flush()
        #expect(try open().open.isEmpty)
    }

    @Test func tornAtEveryByteKeepsWholeLines() async throws {
        let journal = try open()
        for name in ["a", "b", "c"] { journal.markEnded(name) }
        await journal.flush()
        let whole = try folder.read("ends.journal")
        for length in 0...whole.count {
            try folder.write("ends.journal", whole[..<length])
            let lines = whole[..<length].count { $0 == UInt8(ascii: "\n") }
            let torn = try open()
            #expect(torn.pending.count == lines)
            // What is written after the damage must be readable too.
            torn.markEnded("later")
            await torn.flush()
            #expect(try open().pending.count == lines + 1)
        }
    }

    @Test func damagedLineIsSkipped() async throws {
        let journal = try open()
        for name in ["a", "b", "c"] { journal.markEnded(name) }
        await journal.flush()
        var bytes = try folder.read("ends.journal")
        let second = try #require(bytes.firstIndex(of: UInt8(ascii: "\n"))) + 15
        bytes[second] ^= 1
        try folder.write("ends.journal", bytes)
        #expect(try open().pending == ["a", "c"])
    }

    @Test func forgetsAcceptedAfterRetention() async throws {
        let journal = try open()
        journal.markEnded("old")
        journal.markAccepted("old")
        journal.markEnded("pending")
        await journal.flush()
        clock.advance(by: .seconds(3601))
        let again = try open()
        #expect(!again.isEnded("old"))
        #expect(again.pending == ["pending"])
        #expect(try folder.read("ends.journal").count { $0 == UInt8(ascii: "\n") } == 1)
    }

    @Test func compactsWhileItRuns() async throws {
        let journal = try open(retention: .seconds(1))
        for index in 0..<5000 {
            journal.markEnded("m\(index)")
            journal.markAccepted("m\(index)")
            if index % 500 == 0 {
                clock.advance(by: .seconds(2))
                await journal.flush()
            }
        }
        journal.markEnded("last")
        await journal.flush()
        #expect(try folder.read("ends.journal").count { $0 == UInt8(ascii: "\n") } < 5000)
        #expect(try open().pending == ["last"])
    }

    @Test(arguments: ["", "\n\n", "garbage\n", "00000000 end 1 a\n", "\u{0}\u{0}\n"])
    func nonsenseIsNoJournal(_ text: String) throws {
        try folder.write("ends.journal", text.utf8)
        #expect(try open().pending.isEmpty)
    }

    @Test func recordsReadWhatTheyWrite() throws {
        for kind in [JournalRecord.Kind.open, .end, .accepted] {
            for host in [nil, "", "plain", "with space\n%", "日本"] {
                let record = JournalRecord(kind: kind, meetingID: "a/b c", at: 12, host: host)
                let line = record.line.dropLast()
                #expect(JournalRecord(line: line) == record)
                for cut in line.indices { #expect(JournalRecord(line: line[..<cut]) == nil) }
            }
        }
    }
}

@Suite struct RetryTests {
    @Test func waitsGrowAndStayBelowTheLongest() {
        var schedule = RetrySchedule(first: .seconds(1), longest: .seconds(8))
        schedule.add("a", now: .zero)
        var now = Duration.zero
        var waits: [Duration] = []
        for _ in 0..<6 {
            #expect(schedule.takeDue(now: now, limit: 1) == ["a"])
            #expect(schedule.takeDue(now: now, limit: 1).isEmpty)
            schedule.failed("a", now: now, random: 1)
            let next = schedule.deadline ?? .zero
            waits.append(next - now)
            now = next
        }
        #expect(waits == [1, 2, 4, 8, 8, 8].map { .seconds($0) })
        _ = schedule.takeDue(now: now, limit: 1)
        schedule.succeeded("a")
        #expect(schedule.isEmpty)
    }

    @Test func jitterNeverRetriesAtOnce() {
        var schedule = RetrySchedule(first: .seconds(1), longest: .seconds(8))
        schedule.add("a", now: .zero)
        _ = schedule.takeDue(now: .zero, limit: 1)
        schedule.failed("a", now: .zero, random: 0)
        #expect(schedule.deadline == .milliseconds(100))
    }

    @Test func endIsReportedUntilAcceptedAndAcrossRestart() async throws {
        let stage = try Stage()
        stage.service.answer(nil)
        stage.core.journal.markEnded("m")
        await stage.core.report()
        #expect(stage.service.ends == ["m"])
        await stage.core.report()
        #expect(stage.service.ends.count == 1, "not before its time")
        stage.clock.advance(by: .seconds(60))
        stage.service.answer(500)
        await stage.core.report()
        #expect(stage.service.ends.count == 2)

        let restarted = try Stage(in: stage.folder, clock: stage.clock)
        await restarted.core.report()
        #expect(restarted.service.ends == ["m"])
        #expect(restarted.core.journal.pending.isEmpty)
        await restarted.core.journal.flush()
        let third = try Stage(in: stage.folder, clock: stage.clock)
        await third.core.report()
        #expect(third.service.ends.isEmpty)
        #expect(third.core.journal.isEnded("m"))
    }

    @Test func manyEndsAreReportedEachUnderItsName() async throws {
        let stage = try Stage()
        let names = (10..<40).map { "a-meeting-with-a-long-name-\($0)" }
        for name in names { stage.core.journal.markEnded(name) }
        for _ in 0..<4 { await stage.core.report() }
        #expect(stage.service.ends.sorted() == names)
        #expect(stage.core.journal.pending.isEmpty)
    }

    @Test(arguments: [200, 204, 404, 410]) func acceptedAnswers(_ status: Int) async throws {
        let stage = try Stage()
        stage.service.answer(status)
        stage.core.journal.markEnded("m")
        await stage.core.report()
        #expect(stage.core.journal.pending.isEmpty)
    }

    @Test(arguments: [301, 400, 401, 403, 429, 503]) func otherAnswersAreRetried(
        _ status: Int
    ) async throws {
        let stage = try Stage()
        stage.service.answer(status)
        stage.core.journal.markEnded("m")
        await stage.core.report()
        #expect(stage.core.journal.pending == ["m"])
    }
}
