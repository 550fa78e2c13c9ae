// A pool of workers with a publisher and a subscriber on loopback.
// SPDX-License-Identifier: Apache-2.0

import Logging
import MediaPlane
import Testing

private let audioPayload: UInt8 = 111
private let videoPayload: UInt8 = 96
private let rtxPayload: UInt8 = 97

/// A pool and two connected clients, on the same worker or on two.
struct MediaStage {
    let pool: WorkerPool
    let publisher: MediaParticipant, subscriber: MediaParticipant
    let camera: LoopbackClient, viewer: LoopbackClient

    static func make(workers: Int) async throws -> MediaStage {
        var configuration = WorkerPool.Configuration(workers: workers)
        configuration.mirrorLingerMicroseconds = 0
        let pool = try WorkerPool(configuration, logger: Logger(label: "test"))
        try pool.start()
        let publisher = try await pool.makeParticipant(.init(worker: 0, label: "publisher"))
        let subscriber = try await pool.makeParticipant(
            .init(worker: workers - 1, label: "subscriber"))
        let camera = try LoopbackClient(port: publisher.candidates[0].endpoint.port)
        let viewer = try LoopbackClient(port: subscriber.candidates[0].endpoint.port)
        var ids = ExtensionIDs()
        ids.transportSequence = 5
        ids.audioLevel = 1
        try await publisher.apply(camera.description(extensions: ids))
        try await subscriber.apply(viewer.description())
        try camera.connect(publisher, expecting: pool.certificateFingerprint)
        try viewer.connect(subscriber, expecting: pool.certificateFingerprint)
        return MediaStage(
            pool: pool, publisher: publisher, subscriber: subscriber, camera: camera,
            viewer: viewer)
    }

    func publishAudio() async throws -> TrackID {
        try await publisher.publish(
            PublicationDescription(
                mid: "0", kind: .audio, codec: .opus, payloadType: audioPayload,
                encodings: [EncodingDescription(ssrc: 1000)], feedback: [.transportCC]))
    }

    func publishVideo() async throws -> TrackID {
        try await publisher.publish(
            PublicationDescription(
                mid: "1", kind: .video, codec: .vp8, payloadType: videoPayload,
                rtxPayloadType: rtxPayload,
                encodings: [EncodingDescription(ssrc: 2000, rtxSSRC: 2001)]))
    }

    func addSlots() async throws -> [SlotID] {
        try await subscriber.addSlots([
            SlotDescription(
                mid: "2", kind: .audio, ssrc: 7000,
                payloads: [PayloadMapping(codec: .opus, payloadType: 63)]),
            SlotDescription(
                mid: "3", kind: .video, ssrc: 8000, rtxSSRC: 8001,
                payloads: [PayloadMapping(codec: .vp8, payloadType: 98, rtxPayloadType: 99)]),
        ])
    }

    func sendAudio(_ range: ClosedRange<UInt16>) {
        for sequence in range {
            camera.send(
                RtpPacket(
                    payloadType: audioPayload, sequence: sequence,
                    timestamp: UInt32(sequence) * 960, ssrc: 1000,
                    payload: [0x78, UInt8(sequence & 255), 1, 2, 3]),
                extensions: [(1, [0x80 | 20]), (5, [0, UInt8(sequence & 255)])])
        }
    }

    /// One VP8 picture of one packet: descriptor with a 15-bit picture id (RFC 7741 section 4.2).
    func sendVideo(_ sequence: UInt16, isKeyframe: Bool) {
        let descriptor: [UInt8] = [0x90, 0x80, 0x80 | UInt8(sequence >> 8), UInt8(sequence & 255)]
        let frame: [UInt8] =
            isKeyframe
            ? [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 7, 7, 7]
            : [0x11, 0x02, 0x00, 9, 9, 9]
        camera.send(
            RtpPacket(
                payloadType: videoPayload, sequence: sequence, timestamp: UInt32(sequence) * 3000,
                ssrc: 2000, payload: descriptor + frame))
    }

    var plis: Int {
        camera.rtcp.count { packet in
            if case .pli(_, 2000) = packet { true } else { false }
        }
    }

    func video() -> [RtpPacket] { viewer.rtp.filter { $0.ssrc == 8000 } }

    /// Binds the video slot and sends a keyframe as soon as it is asked for.
    func startVideo(_ track: TrackID, _ slot: SlotID) async throws {
        sendVideo(99, isKeyframe: false)
        try await waitForVideo()
        let results = await subscriber.remap([.bind(slot, track, bitrate: 1_000_000)])
        #expect(results == [.ok])
        try camera.run { plis > 0 }
        sendVideo(100, isKeyframe: true)
        try viewer.run { !video().isEmpty }
    }

    /// The node has seen a packet.
    func waitForVideo() async throws {
        let start = ContinuousClock.now
        while ContinuousClock.now < start + .seconds(20) {
            let encodings = await publisher.statistics().tracks.flatMap(\.encodings)
            if encodings.contains(where: { $0.packets > 0 }) { return }
            camera.receiveOnce(milliseconds: 2)
        }
        Issue.record("the packet never came")
    }

    func end() async {
        await publisher.close()
        await subscriber.close()
        await pool.stop()
    }

    /// What a failure is explained with.
    func explain() async -> String {
        let (sent, received) = (await publisher.statistics(), await subscriber.statistics())
        return "\(pool.counters()) \(await pool.controlCounters()) \(sent) \(received)"
            + " camera \(camera.rtcp.suffix(5)) \(camera.undecrypted)"
            + " viewer \(viewer.rtp.count) \(viewer.undecrypted)"
    }

    /// Runs a test on a new stage and ends it, whatever happens.
    static func with(workers: Int, _ body: (MediaStage) async throws -> Void) async throws {
        let stage = try await make(workers: workers)
        do {
            try await body(stage)
        } catch {
            Issue.record(error, "\(await stage.explain())")
        }
        await stage.end()
    }
}
