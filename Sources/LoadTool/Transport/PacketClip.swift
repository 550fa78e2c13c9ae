// Encoded media in the shape that packet loops send. SPDX-License-Identifier: Apache-2.0

import CLoad
import CMedia

/// A clip as the loops borrow it: frames and payloads at fixed addresses. Keep it until the loops
/// have stopped.
package final class PacketClip: @unchecked Sendable {
    // Unchecked: nothing changes after init.
    private let clip: UnsafeMutablePointer<rh_load_clip>
    private let frames: UnsafeMutablePointer<rh_load_frame>
    private let payloads: UnsafeMutablePointer<rh_load_payload>
    /// Owns the bytes.
    private let owner: AnyObject

    /// - Parameters:
    ///   - source: its payloads are borrowed.
    ///   - owner: frees them.
    init(_ source: UnsafePointer<rh_clip>, owner: AnyObject) {
        let all = UnsafeBufferPointer(
            start: source.pointee.frames, count: Int(source.pointee.frame_count)
        ).filter { $0.packet_count > 0 }
        frames = .allocate(capacity: max(1, all.count))
        payloads = .allocate(capacity: max(1, Int(source.pointee.packet_count)))
        clip = .allocate(capacity: 1)
        self.owner = owner
        var used = 0
        for (index, frame) in all.enumerated() {
            let first = payloads + used
            for packet in UnsafeBufferPointer(
                start: frame.packets, count: Int(frame.packet_count)) {
                (payloads + used).initialize(
                    to: rh_load_payload(bytes: packet.payload, size: UInt32(packet.size)))
                used += 1
            }
            (frames + index).initialize(
                to: rh_load_frame(
                    payloads: UnsafePointer(first), payload_count: frame.packet_count,
                    timestamp: frame.timestamp, keyframe: frame.is_keyframe))
        }
        clip.initialize(
            to: rh_load_clip(
                frames: UnsafePointer(frames), frame_count: UInt32(all.count),
                duration: source.pointee.duration))
    }

    deinit {
        frames.deallocate()
        payloads.deallocate()
        clip.deallocate()
    }

    var pointer: UnsafePointer<rh_load_clip> { UnsafePointer(clip) }
}
