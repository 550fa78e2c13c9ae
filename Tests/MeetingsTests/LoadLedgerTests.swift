// Accounting of load in one instance.
// SPDX-License-Identifier: Apache-2.0
import Meetings
import Stores
import Testing

@Suite struct LoadLedgerTests {
    @Test func ownChangesCountAtOnce() {
        var ledger = LoadLedger()
        ledger.meetingCreated(node: "n")
        ledger.userJoined("a", meeting: "m", node: "n")
        ledger.userJoined("b", meeting: "m", node: "n")
        ledger.userLeft("b", meeting: "m", node: "n")
        #expect(ledger.load(of: "n").meetings == 1)
        #expect(ledger.load(of: "n").users == ["m": 1])
        #expect(ledger.load(of: "other").meetings == 0)
    }

    @Test func repeatedJoinsAndLeavesCountOnce() {
        var ledger = LoadLedger()
        for _ in 0..<3 { ledger.userJoined("a", meeting: "m", node: "n") }
        #expect(ledger.load(of: "n").users == ["m": 1])
        for _ in 0..<3 { ledger.userLeft("a", meeting: "m", node: "n") }
        ledger.userLeft("stranger", meeting: "m", node: "n")
        #expect(ledger.load(of: "n").users.isEmpty)
        #expect(!ledger.isPresent("a", in: "m"))
    }

    @Test func failedWriteIsRepeatedUnchanged() throws {
        var ledger = LoadLedger()
        ledger.meetingCreated(node: "n")
        let firstMade = ledger.batchToWrite(newID: "1")
        let first = try #require(firstMade)
        // The write fails; more happens meanwhile.
        ledger.meetingCreated(node: "n")
        let againMade = ledger.batchToWrite(newID: "2")
        let again = try #require(againMade)
        #expect(again == first)
        #expect(ledger.load(of: "n").meetings == 2)
        ledger.written(again)
        let secondMade = ledger.batchToWrite(newID: "2")
        let second = try #require(secondMade)
        #expect(second.id == "2")
        #expect(second.deltas["n"]?.meetings == 1)
        ledger.written(second)
        let third = ledger.batchToWrite(newID: "3")
        #expect(third == nil)
        #expect(!ledger.hasUnwritten)
    }

    @Test func writtenChangesAreNotCountedTwice() throws {
        var ledger = LoadLedger()
        ledger.adopt([row("n", meetings: 10)])
        ledger.meetingCreated(node: "n")
        let batchMade = ledger.batchToWrite(newID: "1")
        let batch = try #require(batchMade)
        #expect(ledger.load(of: "n").meetings == 11)
        ledger.written(batch)
        #expect(ledger.load(of: "n").meetings == 11)
        ledger.written(batch)
        #expect(ledger.load(of: "n").meetings == 11)
        ledger.adopt([row("n", meetings: 11)])
        #expect(ledger.load(of: "n").meetings == 11)
    }

    @Test func finishedMeetingLeavesNoUsers() throws {
        var ledger = LoadLedger()
        ledger.adopt([row("n", meetings: 1, users: ["m": 5])])
        ledger.userJoined("a", meeting: "m", node: "n")
        ledger.meetingEnded("m", node: "n")
        #expect(ledger.load(of: "n").users.isEmpty)
        #expect(ledger.load(of: "n").meetings == 0)
        let batchMade = ledger.batchToWrite(newID: "1")
        let batch = try #require(batchMade)
        #expect(batch.deltas["n"]?.finished == ["m"])
        #expect(batch.deltas["n"]?.meetings == -1)
    }

    @Test func countsBelowZeroReadAsZero() {
        var ledger = LoadLedger()
        ledger.adopt([row("n", meetings: -2, users: ["m": -1, "k": 2])])
        #expect(ledger.load(of: "n").meetings == 0)
        #expect(ledger.load(of: "n").users == ["k": 2])
    }

    private func row(_ id: String, meetings: Int, users: [String: Int] = [:]) -> ServerRow {
        let beat = ServerBeat(id: id, address: "ws://\(id)", capacity: 10, at: 0)
        return ServerRow(beat: beat, meetings: meetings, users: users)
    }
}

@Suite struct AssignmentTests {
    /// A generator with a fixed seed (SplitMix64).
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private func nodes(_ count: Int, capacity: Int = 1000) -> [NodeCandidate] {
        (0..<count).map { NodeCandidate(id: "n\($0)", address: "ws://n\($0)", capacity: capacity) }
    }

    @Test func orderNamesEachNodeOnce() {
        var generator = Seeded(state: 1)
        let ordered = Assignment.order(nodes(7), using: &generator)
        #expect(Set(ordered.map(\.id)).count == 7)
        #expect(Assignment.order([], using: &generator).isEmpty)
    }

    @Test func theIdlerOfTwoIsAsked() {
        var generator = Seeded(state: 2)
        var pair = nodes(2)
        pair[0].usersByMeeting = [50, 50]
        for _ in 0..<50 {
            #expect(Assignment.order(pair, using: &generator).first?.id == "n1")
        }
    }

    @Test func beatCountsWhenCountersAreOld() {
        var generator = Seeded(state: 3)
        var pair = nodes(2)
        pair[0].beatLoad = 0.8
        pair[1].beatUsers = 100
        #expect(Assignment.order(pair, using: &generator).first?.id == "n1")
    }

    @Test func nodesWithoutCapacityAreLeftOut() {
        var generator = Seeded(state: 4)
        var pair = nodes(2)
        pair[0].capacity = 0
        #expect(Assignment.order(pair, using: &generator).map(\.id) == ["n1"])
    }

    @Test func nodesThatSayTheyAreFullAreLeftOut() {
        var generator = Seeded(state: 5)
        var all = nodes(3, capacity: 50)
        all[0].beatLoad = 1
        all[2].beatUsers = 50
        #expect(Assignment.order(all, using: &generator).map(\.id) == ["n1"])
        all[1].beatLoad = 1
        #expect(Assignment.order(all, using: &generator).isEmpty)
    }

    @Test func costGrowsWithUsersTimesFeeds() {
        #expect(Assignment.cost(users: 0) == 0)
        #expect(Assignment.cost(users: 1) == 1)
        #expect(Assignment.cost(users: 10) == 100)
        #expect(Assignment.cost(users: 100) == 100 + 100 * 49)
    }

    /// The counters stand still while many meetings are assigned: nobody is herded.
    @Test func oldCountersDoNotHerd() {
        var generator = Seeded(state: 5)
        var fleet = nodes(20)
        for index in fleet.indices { fleet[index].meetings = index }
        var counts: [String: Int] = [:]
        for _ in 0..<2000 {
            guard let first = Assignment.order(fleet, using: &generator).first else { continue }
            counts[first.id, default: 0] += 1
        }
        #expect(counts.count >= 19)
        #expect((counts.values.max() ?? 0) < 2000 / 20 * 5 / 2)
    }

    @Test func largerNodesGetMore() {
        var generator = Seeded(state: 6)
        var fleet = nodes(10, capacity: 100) + [
            NodeCandidate(id: "large", address: "ws://large", capacity: 1000)
        ]
        for _ in 0..<1000 {
            guard let first = Assignment.order(fleet, using: &generator).first,
                let index = fleet.firstIndex(where: { $0.id == first.id })
            else { continue }
            fleet[index].meetings += 1
        }
        let large = fleet.last?.meetings ?? 0
        #expect((400...620).contains(large))
        #expect(fleet.dropLast().allSatisfy { (30...75).contains($0.meetings) })
    }

    @Test func idsHaveTheirForm() {
        var generator = Seeded(state: 7)
        let ids = (0..<100).map { _ in MeetingID.make(using: &generator) }
        #expect(Set(ids).count == 100)
        #expect(ids.allSatisfy(MeetingID.isValid))
        for bad in ["", "abc", "abc-defg-hi", "ABC-defg-hij", "abc-defg-hij ", "abc-de-fghij"] {
            #expect(!MeetingID.isValid(bad))
        }
    }
}
