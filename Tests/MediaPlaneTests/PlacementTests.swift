// Which worker a participant lives on. SPDX-License-Identifier: Apache-2.0

import Logging
import MediaPlane
import Testing

private func workers(_ count: Int) -> [WorkerLoad] { (0..<count).map { WorkerLoad(index: $0) } }

@Suite struct PlacementTests {
    @Test func aMeetingStaysTogetherWhileItIsSmall() {
        var loads = workers(4)
        loads[2].busy = 0.3
        loads[2].peers = 100
        // Others are idle, and yet the meeting is not split.
        #expect(Placement.choose(loads, meeting: [2: 3]) == 2)
        #expect(Placement.choose(loads, meeting: [:]) == 0)
    }

    @Test func aLargeMeetingOpensABranchOnTheLeastLoadedWorker() {
        var loads = workers(3)
        loads[0].peers = Placement.togetherMax
        loads[1].busy = 0.2
        #expect(Placement.choose(loads, meeting: [0: Placement.togetherMax]) == 2)
    }

    @Test func aMeetingLeavesALoadedWorker() {
        var loads = workers(2)
        loads[0].busy = Placement.loadedBusy
        #expect(Placement.choose(loads, meeting: [0: 2]) == 1)
        // When the other is no better, nothing is gained by a branch.
        loads[1].busy = 0.9
        #expect(Placement.choose(loads, meeting: [0: 2]) == 0)
    }

    @Test func aMeetingThatLivesOnTwoWorkersGathersWhereMostAre() {
        #expect(Placement.choose(workers(2), meeting: [0: 3, 1: 7]) == 1)
    }

    @Test func oneLargeMeetingFillsAllWorkersEvenly() {
        var loads = workers(4)
        var meeting: [Int: Int] = [:]
        for _ in 0..<400 {
            guard let chosen = Placement.choose(loads, meeting: meeting) else { break }
            meeting[chosen, default: 0] += 1
            loads[chosen].peers += 1
            loads[chosen].slots += Placement.slotsPerParticipant
        }
        #expect(meeting == [0: 100, 1: 100, 2: 100, 3: 100])
    }

    @Test func smallMeetingsAreSpreadWhole() {
        var loads = workers(2)
        var used: [Int: Int] = [:]
        for _ in 0..<200 {
            var meeting: [Int: Int] = [:]
            for _ in 0..<4 {
                guard let chosen = Placement.choose(loads, meeting: meeting) else { return }
                meeting[chosen, default: 0] += 1
                loads[chosen].peers += 1
                loads[chosen].busy += 0.001
            }
            #expect(meeting.count == 1)
            for (worker, count) in meeting { used[worker, default: 0] += count }
        }
        let difference = abs((used[0] ?? 0) - (used[1] ?? 0))
        #expect(difference <= 100, "\(used)")
    }

    @Test func fullWorkersArePassedOver() {
        let causes: [(inout WorkerLoad) -> Void] = [
            { $0.peers = $0.peersMax },
            { $0.tracks = $0.tracksMax - Placement.tracksPerParticipant + 1 },
            { $0.slots = $0.slotsMax - Placement.slotsPerParticipant + 1 },
            { $0.busy = Placement.busyMax },
        ]
        for cause in causes {
            var loads = workers(2)
            cause(&loads[0])
            #expect(Placement.isFull(loads[0]))
            #expect(Placement.choose(loads, meeting: [0: 3]) == 1)
            cause(&loads[1])
            #expect(Placement.choose(loads, meeting: [0: 3]) == nil)
        }
        #expect(Placement.choose([], meeting: [:]) == nil)
    }

    @Test func aPoolRefusesWhenEveryWorkerIsFullAndTakesAgainLater() async throws {
        var configuration = WorkerPool.Configuration(workers: 2)
        configuration.participantsMax = 3
        let pool = try WorkerPool(configuration, logger: Logger(label: "test"))
        try pool.start()
        var all: [MediaParticipant] = []
        for _ in 0..<6 {
            all.append(try await pool.makeParticipant(.init(meeting: "m")))
        }
        #expect(Set(all.map(\.worker)) == [0, 1])
        #expect(!pool.hasRoom)
        await #expect(throws: MediaError.self) {
            try await pool.makeParticipant(.init(meeting: "m"))
        }
        #expect(pool.placementRefusals == 1)
        await all[0].close()
        let again = try await pool.makeParticipant(.init(meeting: "m"))
        #expect(again.worker == all[0].worker)
        await pool.stop()
    }

    @Test func aMeetingsParticipantsShareAWorkerAndAreForgottenWhenTheyLeave() async throws {
        let pool = try WorkerPool(.init(workers: 3), logger: Logger(label: "test"))
        try pool.start()
        var first: [MediaParticipant] = []
        for _ in 0..<4 { first.append(try await pool.makeParticipant(.init(meeting: "a"))) }
        let second = try await pool.makeParticipant(.init(meeting: "b"))
        #expect(Set(first.map(\.worker)).count == 1)
        #expect(second.worker != first[0].worker)
        for participant in first { await participant.close() }
        let third = try await pool.makeParticipant(.init(meeting: "c"))
        _ = try await pool.makeParticipant(.init(worker: 2, meeting: "c"))
        let fourth = try await pool.makeParticipant(.init(meeting: "a"))
        #expect(third.worker != second.worker)
        #expect(fourth.worker != second.worker)
        await pool.stop()
    }
}
