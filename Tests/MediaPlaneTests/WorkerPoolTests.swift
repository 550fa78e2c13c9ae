// Workers with their real packet path on loopback. SPDX-License-Identifier: Apache-2.0

import Logging
import MediaPlane
import Testing

@Suite(.serialized) struct WorkerPoolTests {
    @Test(arguments: [1, 2]) func audioIsForwardedAtOnce(_ workers: Int) async throws {
        try await MediaStage.with(workers: workers) { stage in
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            let results = await stage.subscriber.remap([.bind(slots[0], track, bitrate: 64_000)])
            #expect(results == [.ok])
            stage.sendAudio(500...519)
            try stage.viewer.run { stage.viewer.rtp.count >= 20 }
            let packets = stage.viewer.rtp
            #expect(packets.allSatisfy { $0.ssrc == 7000 && $0.payloadType == 63 })
            #expect(packets.map(\.payload) == (500...519).map { [0x78, UInt8($0 & 255), 1, 2, 3] })
            for (former, next) in zip(packets, packets.dropFirst()) {
                #expect(next.sequence == former.sequence &+ 1)
                #expect(next.timestamp == former.timestamp &+ 960)
            }
            #expect(stage.viewer.undecrypted == 0)
        }
    }

    @Test(arguments: [1, 2]) func videoStartsAtAKeyframeThatIsAskedFor(
        _ workers: Int
    ) async throws {
        try await MediaStage.with(workers: workers) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            try await stage.startVideo(track, slots[1])
            for sequence in 101...110 as ClosedRange<UInt16> {
                stage.sendVideo(sequence, isKeyframe: false)
            }
            try stage.viewer.run { stage.video().count >= 11 }
            let packets = stage.video()
            #expect(packets.first?.payload.suffix(3) == [7, 7, 7])
            #expect(packets.allSatisfy { $0.payloadType == 98 })
            for (former, next) in zip(packets, packets.dropFirst()) {
                #expect(next.sequence == former.sequence &+ 1)
            }
        }
    }

    @Test(arguments: [1, 2]) func lossOnBothSidesIsRepaired(_ workers: Int) async throws {
        try await MediaStage.with(workers: workers) { stage in
            let track = try await stage.publishVideo()
            let slots = try await stage.addSlots()
            try await stage.startVideo(track, slots[1])
            stage.sendVideo(101, isKeyframe: false)
            stage.sendVideo(103, isKeyframe: false)
            // The node asks the publisher for 102.
            try stage.camera.run {
                stage.camera.rtcp.contains { packet in
                    if case .nack(_, 2000, [102]) = packet { true } else { false }
                }
            }
            stage.sendVideo(102, isKeyframe: false)
            try stage.viewer.run { stage.video().count >= 4 }
            let numbers = stage.video().map(\.sequence)
            let first = try #require(numbers.first)
            #expect(Set(numbers) == Set((0...3).map { first &+ $0 }))
            // The subscriber asks the node for its second packet and gets it as RTX (RFC 4588).
            var writer = RtcpWriter()
            writer.addNack(sender: 1, media: 8000, sequences: [first &+ 1])
            stage.viewer.send(writer)
            try stage.viewer.run { stage.viewer.rtp.contains { $0.ssrc == 8001 } }
            let resent = try #require(stage.viewer.rtp.first { $0.ssrc == 8001 })
            #expect(resent.payloadType == 99)
            let original = try #require(stage.video().first { $0.sequence == first &+ 1 })
            #expect(
                resent.payload == [UInt8(original.sequence >> 8), UInt8(original.sequence & 255)]
                    + original.payload)
        }
    }

    @Test func publishersGetFeedbackAndSubscribersReports() async throws {
        try await MediaStage.with(workers: 1) { stage in
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            _ = await stage.subscriber.remap([.bind(slots[0], track, bitrate: 64_000)])
            var writer = RtcpWriter()
            writer.addSenderReport(
                SenderInfo(ssrc: 1000, ntp: 0xe000_0000_0000_0000, rtp: 960, packets: 1, octets: 1))
            stage.sendAudio(1...1)
            stage.camera.send(writer)
            var next: UInt16 = 2
            try stage.camera.run {
                stage.sendAudio(next...next)
                next += 1
                let hasFeedback = stage.camera.rtcp.contains { packet in
                    if case .transportFeedback(let feedback) = packet {
                        feedback.receivedCount > 0
                    } else {
                        false
                    }
                }
                let hasReport = stage.camera.rtcp.contains { packet in
                    guard case .receiverReport(_, let blocks) = packet else { return false }
                    return blocks.contains {
                        $0.ssrc == 1000 && $0.lastSenderReport == 0 && $0.fractionLost == 0
                    }
                }
                return hasFeedback && hasReport
            }
            try stage.viewer.run {
                stage.viewer.rtcp.contains { packet in
                    guard case .senderReport(let info, _) = packet else { return false }
                    return info.ssrc == 7000 && info.packets > 0
                }
            }
            let names = stage.viewer.rtcp.contains { packet in
                guard case .sourceDescription(let names) = packet else { return false }
                return names.contains { $0.ssrc == 7000 && $0.cname == stage.subscriber.cname }
            }
            #expect(names)
        }
    }

    @Test func eventsTellOfConnectionsLayersLevelsAndGoodbye() async throws {
        try await MediaStage.with(workers: 1) { stage in
            let track = try await stage.publishAudio()
            var next: UInt16 = 1
            var seen: Set<String> = []
            let (events, publisher) = (stage.pool.events, stage.publisher.id)
            let reader = Task {
                var seen: Set<String> = []
                for await event in events {
                    switch event {
                    case .connected(let id) where id == publisher: seen.insert("connected")
                    case .audioLevels(let levels) where levels.first?.track == track:
                        #expect(levels.first?.levelDBov == -20)
                        seen.insert("levels")
                    case .layers(track, let layers) where layers.first?.isLive == true:
                        seen.insert("layers")
                    case .disconnected(publisher, .closedByPeer): seen.insert("goodbye")
                    default: break
                    }
                    if seen.count == 4 { break }
                }
                return seen
            }
            let start = ContinuousClock.now
            while ContinuousClock.now < start + .milliseconds(1500) {
                stage.sendAudio(next...next)
                next += 1
                stage.camera.receiveOnce(milliseconds: 10)
            }
            stage.camera.sayGoodbye()
            seen = await reader.value
            #expect(seen == ["connected", "levels", "layers", "goodbye"])
        }
    }

    @Test func refusalsAreSaid() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let audio = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            let results = await stage.subscriber.remap([
                .bind(slots[1], audio, bitrate: 1), .unbind(slots[0]), .setBitrate(slots[0], 5),
            ])
            #expect(results == [.noCommonCodec, .ok, .ok])
            await stage.publisher.unpublish(audio)
            let stale = await stage.subscriber.remap([.bind(slots[0], audio, bitrate: 1)])
            #expect(stale == [.staleTrack])
            let foreign = await stage.publisher.remap([.unbind(slots[0])])
            #expect(foreign == [.staleSlot])
            await #expect(throws: MediaError.self) { try await stage.addSlots() }
            await stage.subscriber.close()
            let closed = await stage.subscriber.remap([.unbind(slots[0])])
            #expect(closed == [.staleSlot])
            await #expect(throws: MediaError.stale) {
                try await stage.subscriber.apply(stage.viewer.description())
            }
        }
    }

    @Test func strangersAreRefusedAndLimited() async throws {
        try await MediaStage.with(workers: 1) { stage in
            stage.camera.forget()
            let wrong = IceCredentials(ufrag: stage.publisher.ice.ufrag, pwd: "wrong")
            stage.camera.check(wrong)
            try stage.camera.run { !stage.camera.stun.isEmpty }
            #expect(stage.camera.stun.first?.errorCode == 401)
            for _ in 0..<100 { stage.camera.check(wrong, username: "Zzzzzzzz:test") }
            stage.camera.sendRaw([0, 1, 0, 0])
            stage.camera.sendRaw([22, 254, 253])
            stage.camera.sendRaw([0x80, 200, 0, 1, 2, 3, 4])
            stage.camera.check(stage.publisher.ice)
            try stage.camera.run { stage.camera.stun.contains { $0.messageClass == .success } }
            let counters = await stage.pool.controlCounters()
            #expect(counters[0].stunRateLimited > 50)
            #expect(stage.camera.stun.count < 30)
        }
    }

    @Test func anIceRestartGoesOnWithNewCredentials() async throws {
        try await MediaStage.with(workers: 1) { stage in
            let fresh = await stage.publisher.requestIceRestart()
            #expect(fresh.ufrag != stage.publisher.ice.ufrag)
            stage.camera.forget()
            stage.camera.check(fresh)
            try stage.camera.run { stage.camera.stun.contains { $0.messageClass == .success } }
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            _ = await stage.subscriber.remap([.bind(slots[0], track, bitrate: 1)])
            stage.sendAudio(1...3)
            try stage.viewer.run { stage.viewer.rtp.count >= 3 }
        }
    }

    @Test func manyRemapsLeaveNoSlotBehind() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            for round in 0..<300 {
                let results = await stage.subscriber.remap([
                    .bind(slots[0], track, bitrate: round), .unbind(slots[0]),
                    .bind(slots[0], track, bitrate: round),
                ])
                #expect(results == [.ok, .ok, .ok])
            }
            stage.sendAudio(1...5)
            try stage.viewer.run { stage.viewer.rtp.count >= 5 }
            let statistics = await stage.subscriber.statistics()
            #expect(statistics.slots.first?.track == track)
            #expect(statistics.slots.first?.packets == 5)
            await stage.publisher.close()
        }
    }

    @Test func manyRemapsAtOnceAreAllAnswered() async throws {
        try await MediaStage.with(workers: 2) { stage in
            let track = try await stage.publishAudio()
            let slots = try await stage.addSlots()
            let (subscriber, slot) = (stage.subscriber, slots[0])
            // The first of them makes a mirror and suspends.
            let all = await withTaskGroup(of: [SlotResult].self) { group in
                for round in 0..<50 {
                    group.addTask { await subscriber.remap([.bind(slot, track, bitrate: round)]) }
                    group.addTask { await subscriber.remap([.unbind(slot)]) }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            #expect(all.count == 100 && all.allSatisfy { $0 == .ok })
        }
    }

    @Test func aStoppedPoolAnswersEveryoneAndFreesEverything() async throws {
        try await MediaStage.with(workers: 2) { stage in
            await stage.pool.stop()
            await stage.pool.stop()
            await #expect(throws: MediaError.self) { try await stage.pool.makeParticipant() }
            await #expect(throws: MediaError.stale) { try await stage.publishAudio() }
            await stage.publisher.close()
            for await _ in stage.pool.events {}
            let unstarted = try WorkerPool(.init(workers: 3), logger: Logger(label: "test"))
            #expect(Set(unstarted.ports).count == 3)
        }
    }

    @Test(arguments: [0, 65]) func impossibleConfigurationsAreRefused(_ workers: Int) {
        #expect(throws: MediaError.self) {
            _ = try WorkerPool(.init(workers: workers), logger: Logger(label: "test"))
        }
    }
}

@Suite struct MediaEventQueueTests {
    @Test func stateChangesAreKeptWhenNobodyReads() async throws {
        let pool = try WorkerPool(.init(), logger: Logger(label: "test"))
        try pool.start()
        let id = try await pool.makeParticipant().id
        await pool.stop()
        let queue = MediaEventQueue()
        for _ in 0..<(MediaEventQueue.droppableMax + 100) { queue.push(.audioLevels([])) }
        for _ in 0..<50 { queue.push(.connected(id)) }
        queue.finish()
        queue.push(.connected(id))
        var levels = 0
        var connections = 0
        for await event in queue.stream() {
            if case .connected = event { connections += 1 } else { levels += 1 }
        }
        #expect(levels == MediaEventQueue.droppableMax)
        #expect(connections == 50)
        #expect(queue.droppedCount == 100)
    }

    @Test func aCancelledReaderReturns() async {
        let queue = MediaEventQueue()
        let reader = Task {
            for await _ in queue.stream() {}
            return true
        }
        reader.cancel()
        #expect(await reader.value)
    }
}
