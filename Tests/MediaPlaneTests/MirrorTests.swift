// Tracks with subscribers on another worker: feedback goes back, nothing stays behind.
// SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite(.serialized) struct MirrorTests {
    /// Receives until it is so, 20 s at most; workers go on meanwhile.
    private static func until(
        _ stage: MediaStage, _ what: String, location: SourceLocation = #_sourceLocation,
        _ isSo: () async -> Bool
    ) async throws {
        let start = ContinuousClock.now
        while ContinuousClock.now < start + .seconds(20) {
            if await isSo() { return }
            stage.camera.receiveOnce(milliseconds: 2)
        }
        Issue.record("never: \(what)", sourceLocation: location)
    }

    private static func mirrors(_ stage: MediaStage) -> UInt64 { stage.pool.counters()[1].tracks }

    @Test func noMirrorStaysWhenTheLastSubscriberGoes() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            for round in 0..<2 {
                let bound = await stage.subscriber.remap([.bind(slots[0], track, bitrate: 1)])
                #expect(bound == [.ok])
                try await Self.until(stage, "a mirror") { Self.mirrors(stage) == 1 }
                if round == 0 {
                    _ = await stage.subscriber.remap([.unbind(slots[0])])
                } else {
                    await stage.subscriber.close()
                }
                try await Self.until(stage, "no mirror") { Self.mirrors(stage) == 0 }
            }
            // As soon as the publisher's worker knows, nothing is relayed any more.
            var sequence: UInt16 = 1
            try await Self.until(stage, "packets that are not relayed") {
                let before = stage.pool.counters()[0]
                stage.sendAudio(sequence...(sequence + 4))
                sequence += 5
                while stage.pool.counters()[0].receivedPackets < before.receivedPackets + 5 {
                    stage.camera.receiveOnce(milliseconds: 2)
                }
                // The counters of forwarding follow within the same wake-up.
                _ = await stage.pool.controlCounters()
                return stage.pool.counters()[0].relayedPackets == before.relayedPackets
            }
        }
    }

    @Test func anEndedTrackEndsItsMirrorAndFreesTheSlot() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            _ = await stage.subscriber.remap([.bind(slots[1], track, bitrate: 1_000_000)])
            try await Self.until(stage, "a mirror") { Self.mirrors(stage) == 1 }
            await stage.publisher.unpublish(track)
            try await Self.until(stage, "no mirror") { Self.mirrors(stage) == 0 }
            #expect(await stage.subscriber.statistics().slots.allSatisfy { $0.track == nil })
        }
    }

    @Test func keyframeWishesOfManyViewersBecomeFew() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            try await stage.startVideo(track, slots[1])
            let start = await stage.pool.controlCounters()
            let (plis, began) = (stage.plis, ContinuousClock.now)
            for _ in 0..<200 {
                var writer = RtcpWriter()
                writer.addPli(sender: 1, media: 8000)
                stage.viewer.send(writer)
            }
            try await Self.until(stage, "200 wishes") {
                await stage.pool.controlCounters()[1].keyframeRequestsReceived
                    >= start[1].keyframeRequestsReceived + 200
            }
            try stage.camera.run { stage.plis > plis }
            let end = await stage.pool.controlCounters()
            let relayed = end[1].keyframeRequestsRelayed - start[1].keyframeRequestsRelayed
            let sent = end[0].keyframeRequestsSent - start[0].keyframeRequestsSent
            // One at once and one in each further interval.
            let intervals = UInt64((ContinuousClock.now - began) / .microseconds(1))
                / KeyframePolicy.intervalUs
            #expect((1...intervals + 2).contains(relayed), "\(relayed)")
            #expect((1...intervals + 2).contains(sent), "\(sent)")
        }
    }

    @Test func aMutedTrackIsAskedForAKeyframeWhenItIsHeardAgain() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            stage.sendVideo(99, isKeyframe: false)
            try await stage.waitForVideo()
            await stage.publisher.setMuted(track, true)
            _ = await stage.subscriber.remap([.bind(slots[1], track, bitrate: 1_000_000)])
            // Some rounds of the mirror's repetitions.
            let jobs = stage.pool.counters()[1].jobsRun
            let start = ContinuousClock.now
            try await Self.until(stage, "time passes") {
                stage.pool.counters()[1].jobsRun >= jobs
                    && ContinuousClock.now > start + .milliseconds(600)
            }
            #expect(await stage.pool.controlCounters()[1].keyframeRequestsRelayed == 0)
            #expect(stage.plis == 0)
            await stage.publisher.setMuted(track, false)
            try stage.camera.run { stage.plis > 0 }
            stage.sendVideo(100, isKeyframe: true)
            try stage.viewer.run { !stage.video().isEmpty }
        }
    }

    @Test(arguments: [1, 2]) func aPacketThatNeverComesLeadsToAKeyframe(
        _ workers: Int
    ) async throws {
        try await MediaStage.with(workers: workers) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            try await stage.startVideo(track, slots[1])
            let before = stage.plis
            stage.sendVideo(101, isKeyframe: false)
            stage.sendVideo(103, isKeyframe: false)
            try stage.camera.run { stage.plis > before }
        }
    }

    /// A mirror tells which encodings are wanted; what nobody wants is not asked for again.
    @Test func lostPacketsThatNobodyWantsAreNotAskedFor() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            try await stage.startVideo(track, slots[1])
            _ = await stage.subscriber.remap([.unbind(slots[1])])
            try await Self.until(stage, "no mirror") { Self.mirrors(stage) == 0 }
            let before = await stage.pool.controlCounters()[0].nacksSent
            let packets = stage.pool.counters()[0].receivedPackets
            stage.sendVideo(101, isKeyframe: false)
            stage.sendVideo(110, isKeyframe: false)
            try await Self.until(stage, "both") {
                stage.pool.counters()[0].receivedPackets >= packets + 2
            }
            let start = ContinuousClock.now
            try await Self.until(stage, "some ticks") {
                ContinuousClock.now > start + .milliseconds(50)
            }
            #expect(await stage.pool.controlCounters()[0].nacksSent == before)
        }
    }
}
