// Encoded media, made once and sent by many. SPDX-License-Identifier: Apache-2.0

import CMedia
import Signaling

/// Why media could not be made or read, for people: what is wrong and, in a file, at which byte.
package struct ClipError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    init(_ error: rh_clip_error) {
        self.description = withUnsafeBytes(of: error.text) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

/// Some seconds of one encoded stream, cut into RTP payloads (CMedia's `rh_clip`). Freed when the
/// last reference goes: keep one until the packet loops that send it have stopped.
package final class Clip: @unchecked Sendable {
    // Unchecked: a clip never changes.
    private let pointer: UnsafeMutablePointer<rh_clip>

    /// Takes the clip over, or explains why there is none.
    init(_ made: UnsafeMutablePointer<rh_clip>?, _ error: rh_clip_error) throws(ClipError) {
        guard let made else { throw ClipError(error) }
        pointer = made
    }

    deinit { rh_clip_free(pointer) }

    /// What the packet loops borrow; keeps the clip.
    package var packets: PacketClip { PacketClip(UnsafePointer(pointer), owner: self) }

    package var codec: MediaCodec {
        switch UInt32(pointer.pointee.codec) {
        case RH_CLIP_VP8.rawValue: .vp8
        case RH_CLIP_VP9.rawValue: .vp9
        case RH_CLIP_H264.rawValue: .h264
        default: .opus
        }
    }

    /// Seconds of one loop.
    package var duration: Double {
        Double(pointer.pointee.duration) / Double(pointer.pointee.clock_hz)
    }

    /// Of the payloads.
    package var bitsPerSecond: Int { Int(pointer.pointee.bitrate_bps) }
    package var frames: Int { Int(pointer.pointee.frame_count) }
    package var packetCount: Int { Int(pointer.pointee.packet_count) }
    /// Pixels of the highest layer; 0 for sound and where a file does not say.
    package var size: (width: Int, height: Int) {
        (Int(pointer.pointee.width), Int(pointer.pointee.height))
    }
    package var spatialLayers: Int { Int(pointer.pointee.spatial_layers) }
    package var temporalLayers: Int { Int(pointer.pointee.temporal_layers) }
}

extension Clip: CustomStringConvertible {
    package var description: String {
        let rate = "\(bitsPerSecond / 1000) kbit/s, \((duration * 10).rounded() / 10) s"
        guard codec != .opus else { return "Opus, \(rate)" }
        let layers = spatialLayers * temporalLayers > 1
            ? " L\(spatialLayers)T\(temporalLayers)" : ""
        return "\(codec.rawValue.uppercased())\(layers) \(size.width)x\(size.height), \(rate)"
    }
}
