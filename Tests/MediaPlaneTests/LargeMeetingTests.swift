// A thousand participants in one meeting, without media: what the workers' tables bear.
// SPDX-License-Identifier: Apache-2.0

import Logging
import MediaPlane
import Testing

@Suite(.serialized) struct LargeMeetingTests {
    private static let participants = 1000
    private static let feeds = 49

    private struct Member {
        let participant: MediaParticipant
        let microphone: TrackID, camera: TrackID
        let slots: [SlotID]
    }

    private static func join(_ pool: WorkerPool, _ number: Int) async throws -> Member {
        let participant = try await pool.makeParticipant(.init(meeting: "all"))
        let microphone = try await participant.publish(
            PublicationDescription(mid: "0", kind: .audio, codec: .opus, payloadType: 111))
        let camera = try await participant.publish(
            PublicationDescription(
                mid: "1", kind: .video, codec: .vp8, payloadType: 96, rtxPayloadType: 97,
                encodings: ["q", "h", "f"].map { EncodingDescription(rid: $0) }))
        let slots = try await participant.addSlots(
            (0..<UInt32(feeds)).flatMap { index in
                [
                    SlotDescription(
                        mid: "v\(index)", kind: .video, ssrc: 1000 + index, rtxSSRC: 2000 + index,
                        payloads: [PayloadMapping(codec: .vp8, payloadType: 96)]),
                    SlotDescription(
                        mid: "a\(index)", kind: .audio, ssrc: 3000 + index,
                        payloads: [PayloadMapping(codec: .opus, payloadType: 111)]),
                ]
            })
        return Member(
            participant: participant, microphone: microphone, camera: camera, slots: slots)
    }

    /// Binds a member's slots to the cameras and microphones of those who follow it.
    private static func remap(_ members: [Member], _ own: Int, from first: Int) async -> Bool {
        var changes: [SlotChange] = []
        for feed in 0..<feeds {
            let other = members[(own + first + feed) % members.count]
            changes.append(.bind(members[own].slots[2 * feed], other.camera, bitrate: 150_000))
            changes.append(.bind(members[own].slots[2 * feed + 1], other.microphone, bitrate: 0))
        }
        return await members[own].participant.remap(changes).allSatisfy { $0 == .ok }
    }

    @Test func aThousandParticipantsReceive49FeedsEach() async throws {
        var configuration = WorkerPool.Configuration(workers: 2)
        configuration.reserve(participants: Self.participants)
        configuration.mirrorLingerMicroseconds = 0
        let pool = try WorkerPool(configuration, logger: Logger(label: "test"))
        try pool.start()
        let clock = ContinuousClock()
        let startBytes = ProcessReadings.read().residentBytes
        var members: [Member] = []
        let joining = try await clock.measure {
            for number in 0..<Self.participants {
                members.append(try await Self.join(pool, number))
            }
        }
        let spread = Dictionary(grouping: members) { $0.participant.worker }.mapValues(\.count)
        #expect(spread == [0: Self.participants / 2, 1: Self.participants / 2])
        var areBound = true
        let binding = await clock.measure {
            for own in members.indices {
                let isBound = await Self.remap(members, own, from: 1)
                areBound = areBound && isBound
            }
        }
        #expect(areBound)
        let slots = Self.participants * Self.feeds * 2
        #expect(pool.counters().reduce(0) { $0 + $1.slots } == UInt64(slots))
        // Each worker mirrors all tracks of the other.
        #expect(pool.counters().map(\.tracks) == [2000, 2000])
        let moving = await clock.measure {
            for own in members.indices {
                let isBound = await Self.remap(members, own, from: 500)
                areBound = areBound && isBound
            }
        }
        #expect(areBound)
        let usedBytes = ProcessReadings.read().residentBytes
        let lag = pool.counters().map(\.loopLagMaxMicroseconds).max() ?? 0
        let closing = await clock.measure {
            for member in members { await member.participant.close() }
        }
        print(
            "1,000 participants, \(slots) slots: joined in \(joining), bound in \(binding), "
                + "bound anew in \(moving), closed in \(closing); longest loop lag \(lag) us; "
                + "\((usedBytes - min(startBytes, usedBytes)) >> 20) MiB")
        await pool.stop()
        #expect(pool.counters().allSatisfy { $0.peers == 0 && $0.slots == 0 })
    }
}
