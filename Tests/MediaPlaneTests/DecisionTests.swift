// Keyframes, the downlink, choice of encodings, speakers. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct KeyframePolicyTests {
    @Test func manyWishesMakeFewRequests() {
        var policy = KeyframePolicy()
        var requests: [UInt64] = []
        for now in stride(from: 0, to: second, by: 10_000) {
            policy.want()
            if policy.decide(nowUs: now, isAwaited: false) { requests.append(now) }
        }
        #expect(requests == [0, 400 * ms, 800 * ms])
    }

    @Test func aRequestIsRepeatedWhileSlotsWait() {
        var policy = KeyframePolicy()
        policy.want()
        var requests = 0
        for now in stride(from: 0, to: 10 * second, by: 50_000) {
            if policy.decide(nowUs: now, isAwaited: true) { requests += 1 }
        }
        // Five quick ones, then one a second.
        #expect((12...14).contains(requests))
        policy.noteKeyframe()
        #expect(policy.decide(nowUs: 20 * second, isAwaited: false) == false)
    }

    @Test func theFirstWishAfterQuietIsServedAtOnce() {
        var policy = KeyframePolicy()
        #expect(policy.decide(nowUs: 0, isAwaited: false) == false)
        policy.want()
        #expect(policy.decide(nowUs: 5, isAwaited: false) == true)
        policy.noteKeyframe()
        policy.want()
        #expect(policy.decide(nowUs: 100 * ms, isAwaited: false) == false)
        #expect(policy.decide(nowUs: 405 * ms, isAwaited: false) == true)
    }
}

@Suite struct DownlinkEstimateTests {
    @Test func anIdleReceiversLowReportLimitsNothing() {
        var estimate = DownlinkEstimate()
        estimate.noteSent(bps: 200_000)
        for now in stride(from: 0, to: 20 * second, by: 500_000) {
            estimate.noteRemb(bps: 280_000, nowUs: now)
            estimate.noteLoss(0, nowUs: now)
            estimate.onTick(nowUs: now)
        }
        #expect(estimate.limitBps == nil)
    }

    @Test func aFallingReportBelowWhatIsSentLimits() throws {
        var estimate = DownlinkEstimate()
        estimate.noteSent(bps: 2_000_000)
        estimate.noteRemb(bps: 2_100_000, nowUs: 0)
        estimate.noteRemb(bps: 900_000, nowUs: second)
        #expect(estimate.limitBps == 900_000)
    }

    @Test func lossCutsAndNeverBelowTheFloor() throws {
        var estimate = DownlinkEstimate()
        estimate.noteSent(bps: 1_000_000)
        for now in stride(from: 0, to: 60 * second, by: 1_000_000) {
            estimate.noteLoss(0.4, nowUs: now)
            estimate.onTick(nowUs: now)
        }
        let limit = try #require(estimate.limitBps)
        #expect(limit >= DownlinkEstimate.floorBps)
        #expect(limit < 300_000)
    }

    /// Small reports of a link that loses 2 %: now and then one loss in eight packets.
    @Test func chanceInSmallReportsDoesNotCut() {
        var estimate = DownlinkEstimate()
        estimate.noteSent(bps: 300_000)
        for step in 0..<600 {
            let now = UInt64(step) * 200_000
            estimate.noteLoss(step % 6 == 0 ? 0.125 : 0, packets: 8, nowUs: now)
            estimate.onTick(nowUs: now)
        }
        #expect(estimate.limitBps == nil)
        #expect((0.01...0.04).contains(estimate.lossFraction))
    }

    @Test func afterTheTroubleItGrowsAgain() throws {
        var estimate = DownlinkEstimate()
        estimate.noteSent(bps: 1_000_000)
        estimate.noteRemb(bps: 1_200_000, nowUs: 0)
        estimate.noteRemb(bps: 300_000, nowUs: second)
        let cut = try #require(estimate.limitBps)
        estimate.noteSent(bps: 250_000)
        for now in stride(from: second, to: 31 * second, by: 500_000) {
            estimate.noteLoss(0, nowUs: now)
            estimate.onTick(nowUs: now)
        }
        #expect((estimate.limitBps ?? .infinity) > cut * 3)
    }

    /// A full queue before the link: delay grows no more, so the receiver's estimate stays above
    /// what arrives, and only loss tells.
    @Test func lossAloneBringsAThinLinkDown() {
        var estimate = DownlinkEstimate()
        let layers = [100_000, 300_000, 900_000].map { LayerState(isLive: true, bitrate: $0) }
        let link = 400_000.0
        var current: Int? = 2
        var history: [Int] = []
        for step in 0..<120 {
            let now = UInt64(step) * 500_000
            let demand = AllocationDemand(
                kind: .video, wantedBps: 5_000_000, layers: layers, current: current)
            current = Allocation.decide([demand], estimateBps: estimate.limitBps)[0]
            let sent = Double(layers[current ?? 0].bitrate)
            estimate.noteSent(bps: sent)
            estimate.noteLoss(max(0, 1 - link / sent), nowUs: now)
            estimate.noteRemb(bps: UInt64(min(sent, link) * 1.5), nowUs: now)
            estimate.onTick(nowUs: now)
            history.append(current ?? 0)
        }
        #expect(history.prefix(8).contains { $0 < 2 })
        #expect(history.count { $0 == 2 } < 25)
        #expect(history.count { $0 == 1 } > 60)
    }

    @Test func lossThatIsNotOursDoesNotStarveTheSubscriber() {
        var estimate = DownlinkEstimate()
        var sent = 3_000_000.0
        for step in 0..<240 {
            let now = UInt64(step) * 500_000
            estimate.noteSent(bps: sent)
            estimate.noteLoss(0.15, nowUs: now)
            estimate.onTick(nowUs: now)
            sent = min(3_000_000, estimate.limitBps ?? .infinity)
        }
        #expect(sent > 1_000_000)
    }

    /// A link of 600 kbit/s and layers of 150, 500 and 1500 kbit/s: it settles on the middle one
    /// and does not swing for long.
    @Test func aThinLinkSettlesOnALowerLayer() {
        var estimate = DownlinkEstimate()
        let layers = [150_000, 500_000, 1_500_000].map { LayerState(isLive: true, bitrate: $0) }
        let link = 600_000.0
        var current: Int? = 2
        var timeAt = [0, 0, 0]
        var received = 0.0
        for step in 0..<240 {
            let now = UInt64(step) * 500_000
            let demand = AllocationDemand(
                kind: .video, wantedBps: 5_000_000, layers: layers, current: current)
            current = Allocation.decide([demand], estimateBps: estimate.limitBps)[0]
            let sent = Double(layers[current ?? 0].bitrate)
            received = min(sent, link)
            estimate.noteSent(bps: sent)
            estimate.noteLoss(max(0, 1 - link / sent), nowUs: now)
            estimate.noteRemb(bps: UInt64(sent > link ? link * 0.85 : received * 1.5), nowUs: now)
            estimate.onTick(nowUs: now)
            timeAt[current ?? 0] += 1
        }
        #expect(timeAt[1] > 150)
        #expect(timeAt[2] < 30)
    }
}

@Suite struct AllocationTests {
    static let camera = [150_000, 500_000, 1_500_000].map { LayerState(isLive: true, bitrate: $0) }

    private func video(
        _ wanted: Int, _ layers: [LayerState] = camera, priority: SlotPriority = .normal,
        current: Int? = nil
    ) -> AllocationDemand {
        AllocationDemand(
            kind: .video, priority: priority, wantedBps: wanted, layers: layers, current: current)
    }

    @Test(arguments: [(0, 0), (150_000, 0), (499_000, 1), (500_000, 1), (1_000_000, 1),
        (1_500_000, 2), (Int.max, 2)])
    func theBitrateIsTheMostWanted(_ wanted: Int, _ encoding: Int) {
        #expect(Allocation.decide([video(wanted)], estimateBps: nil) == [encoding])
    }

    @Test func anEncodingThatDoesNotLiveIsNotChosen() {
        var layers = Self.camera
        layers[2].isLive = false
        #expect(Allocation.decide([video(.max, layers)], estimateBps: nil) == [1])
        layers[0].isLive = false
        #expect(Allocation.decide([video(0, layers)], estimateBps: nil) == [1])
        layers[1].isLive = false
        #expect(Allocation.decide([video(.max, layers)], estimateBps: nil) == [0])
    }

    @Test func aStillPicturesFullResolutionIsNoThumbnail() {
        let still = [(30_000, 150_000), (35_000, 500_000), (60_000, 1_500_000)].map {
            LayerState(isLive: true, bitrate: $0.0, nominal: $0.1)
        }
        #expect(Allocation.decide([video(120_000, still)], estimateBps: nil) == [0])
        #expect(Allocation.decide([video(400_000, still)], estimateBps: nil) == [1])
        #expect(Allocation.decide([video(2_000_000, still)], estimateBps: 80_000) == [2])
    }

    @Test func measuredRatesALittleAboveStillCount() {
        var layers = Self.camera
        layers[1].bitrate = 590_000
        #expect(Allocation.decide([video(500_000, layers)], estimateBps: nil) == [1])
    }

    @Test func audioComesFirstAndTheLowestOfEachBeforeMoreOfOne() {
        let audio = AllocationDemand(
            kind: .audio, wantedBps: 64_000, layers: [LayerState(isLive: true, bitrate: 40_000)])
        let demands = [video(.max), audio, video(.max), video(.max)]
        let chosen = Allocation.decide(demands, estimateBps: 40_000 + 3 * 175_000)
        #expect(chosen == [0, 0, 0, 0])
        let more = Allocation.decide(demands, estimateBps: 40_000 + 3 * 175_000 + 450_000)
        #expect(more == [1, 0, 0, 0])
    }

    @Test func whatDoesNotFitIsPausedTheLeastImportantFirst() {
        let demands = [
            video(.max, priority: .low), video(.max), video(.max, priority: .high),
        ]
        #expect(Allocation.decide(demands, estimateBps: 380_000) == [nil, 0, 0])
        #expect(Allocation.decide(demands, estimateBps: 10_000) == [nil, nil, 0])
    }

    @Test func raisingNeedsMoreRoomThanStaying() {
        #expect(Allocation.decide([video(.max, current: 1)], estimateBps: 520_000) == [1])
        #expect(Allocation.decide([video(.max, current: 0)], estimateBps: 520_000) == [0])
        #expect(Allocation.decide([video(.max, current: 0)], estimateBps: 600_000) == [1])
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func theEstimateIsNeverExceededExceptByTheFirstPicture(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let demands = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                video(Int.random(in: 0...2_000_000, using: &random), Self.camera.map { layer in
                    LayerState(isLive: Bool.random(using: &random), bitrate: layer.bitrate)
                }, current: [nil, 0, 1, 2].randomElement(using: &random) ?? nil)
            }
            let estimate = Double.random(in: 100_000...8_000_000, using: &random)
            let chosen = Allocation.decide(demands, estimateBps: estimate)
            let used = zip(demands, chosen).reduce(0) { sum, pair in
                sum + (pair.1.map { pair.0.layers[$0].bitrate } ?? 0)
            }
            #expect(Double(used) <= max(estimate, 1_500_000))
            #expect(chosen.contains { $0 != nil })
        }
    }
}

@Suite struct MeterTests {
    @Test func ratesAreMeasuredAndSilenceIsDeath() {
        var meter = LayerMeter()
        #expect(!meter.isLive(nowUs: 0))
        #expect(meter.state(index: 1, declared: nil, nowUs: 0).bitrate == 500_000)
        #expect(meter.state(index: 1, declared: 7, nowUs: 0).bitrate == 7)
        for step in 1...20 as ClosedRange<UInt64> {
            let now = step * 500_000
            meter.note(bytes: step * 62_500, lastArrivalUs: now, nowUs: now)
        }
        #expect(meter.measured == 1_000_000)
        #expect(meter.isLive(nowUs: 11 * second))
        #expect(!meter.isLive(nowUs: 12 * second))
        for step in 21...24 as ClosedRange<UInt64> {
            meter.note(bytes: 20 * 62_500, lastArrivalUs: 10 * second, nowUs: step * 500_000)
        }
        #expect(meter.measured == nil)
    }

    @Test func levelsAreAveragedFromTotals() {
        var meter = AudioMeter()
        #expect(meter.take(sum: 0, count: 0) == nil)
        #expect(meter.take(sum: 300, count: 10) == -30)
        #expect(meter.take(sum: 300, count: 10) == nil)
        #expect(meter.take(sum: 300 + 1270 * 5, count: 20) == -127)
    }

    @Test func theDominantSpeakerKeepsItsPlaceAgainstACough() {
        var ranking = SpeakerRanking<String>()
        for _ in 0..<10 { _ = ranking.update(["anna": -20]) }
        #expect(ranking.dominant == "anna")
        _ = ranking.update(["anna": -25, "ben": -5])
        #expect(ranking.dominant == "anna")
        for _ in 0..<10 { _ = ranking.update(["anna": -25]) }
        #expect(ranking.dominant == "anna")
        for _ in 0..<10 { _ = ranking.update(["ben": -15]) }
        #expect(ranking.dominant == "ben")
        let audible = ranking.update(["ben": -15, "carl": -100])
        #expect(audible.map(\.key) == ["ben"])
        ranking.remove("ben")
        #expect(ranking.dominant == nil)
    }
}
