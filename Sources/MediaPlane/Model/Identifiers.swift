// Names of participants, tracks and slots, unique in a pool. SPDX-License-Identifier: Apache-2.0

/// A worker's index and a handle that this worker gave out. Handles are not reused while someone
/// may hold them, so a stale name finds nothing rather than something else.
private func pack(_ worker: Int, _ handle: UInt32) -> UInt64 {
    UInt64(worker) << 32 | UInt64(handle)
}

/// Names one participant's transport in a `WorkerPool`.
public struct ParticipantID: Hashable, Sendable, CustomStringConvertible {
    let raw: UInt64
    init(worker: Int, handle: UInt32) { raw = pack(worker, handle) }
    /// The worker that the participant lives on.
    public var worker: Int { Int(raw >> 32) }
    var handle: UInt32 { UInt32(truncatingIfNeeded: raw) }
    public var description: String { "participant-\(worker)-\(handle)" }
}

/// Names one published track in a `WorkerPool`.
public struct TrackID: Hashable, Sendable, CustomStringConvertible {
    let raw: UInt64
    init(worker: Int, handle: UInt32) { raw = pack(worker, handle) }
    /// The worker that receives the track from its publisher.
    public var worker: Int { Int(raw >> 32) }
    var handle: UInt32 { UInt32(truncatingIfNeeded: raw) }
    public var description: String { "track-\(worker)-\(handle)" }
}

/// Names one outgoing stream of a participant.
public struct SlotID: Hashable, Sendable, CustomStringConvertible {
    let raw: UInt64
    init(worker: Int, handle: UInt32) { raw = pack(worker, handle) }
    public var worker: Int { Int(raw >> 32) }
    var handle: UInt32 { UInt32(truncatingIfNeeded: raw) }
    public var description: String { "slot-\(worker)-\(handle)" }
}
