// What an endpoint sends and receives, as plain values. SPDX-License-Identifier: Apache-2.0

import CLoad
import Signaling

/// What a stream sends.
package enum StreamMedia: Sendable {
    /// Shaped packets.
    case shape(VideoShape)
    /// Packets of a voice: 50 a second of 80 to 120 B.
    case voice
    /// Encoded frames.
    case clip(PacketClip)
}

/// One encoding that is published.
package struct StreamPlan: Sendable {
    package var kind = MediaKind.video
    package var codec = MediaCodec.vp8
    package var ssrc: UInt32 = 0
    /// 0: resends are not offered.
    package var rtxSSRC: UInt32 = 0
    package var payloadType: UInt8 = 0, rtxPayloadType: UInt8 = 0
    package var mid = "", rid = ""
    /// Told by the stamps: whose stream it is.
    package var source: UInt32 = 0
    package var media = StreamMedia.voice
    /// Starts later by so many microseconds, so that streams don't send in step.
    package var phaseUs: UInt32 = 0
    package var firstSequence: UInt16 = 0
    package var firstTimestamp: UInt32 = 0
    /// −dBov (RFC 6464).
    package var audioLevel: UInt8 = 40

    package init() {}

    /// Pictures between keyframes of a shape: 10 s of 30.
    static let keyframeInterval: UInt32 = 300
    /// A keyframe is so many times as large as another picture.
    static let keyframeFactor = 4

    var c: rh_load_stream_config {
        var config = rh_load_stream_config()
        config.ssrc = ssrc
        config.rtx_ssrc = rtxSSRC
        config.clock_rate = kind == .audio ? 48_000 : 90_000
        config.kind = kind.c
        config.codec = codec.c
        config.payload_type = payloadType
        config.rtx_payload_type = rtxPayloadType
        config.audio_level = audioLevel
        config.source_id = source
        config.phase_us = phaseUs
        config.first_seq = firstSequence & 0x7fff
        config.first_timestamp = firstTimestamp
        copy(mid, into: &config.mid)
        copy(rid, into: &config.rid)
        switch media {
        case .voice:
            config.stamp_on = true
            config.shape.frames_per_second = 50
            config.shape.packets_per_frame = 1
            config.shape.payload_bytes_min = 80
            config.shape.payload_bytes_max = 120
        case .shape(let shape):
            config.stamp_on = true
            config.shape.frames_per_second = UInt32(shape.framesPerSecond)
            config.shape.packets_per_frame = UInt32(shape.packetsPerFrame)
            config.shape.payload_bytes_min = UInt32(shape.bytes.lowerBound)
            config.shape.payload_bytes_max = UInt32(shape.bytes.upperBound)
            config.shape.keyframe_interval = Self.keyframeInterval
            config.shape.keyframe_packets = UInt32(shape.keyframePackets)
        case .clip(let clip):
            // As in MediaSet.isStamped.
            config.stamp_on = codec == .vp8 || codec == .opus
            config.clip = clip.pointer
        }
        return config
    }
}

extension VideoShape {
    /// Small pictures have keyframes several times their size.
    var keyframePackets: Int {
        packetsPerFrame >= 8 ? packetsPerFrame : packetsPerFrame * StreamPlan.keyframeFactor
    }
}

/// One stream that is received.
package struct SlotPlan: Sendable, Equatable {
    package var kind: MediaKind
    package var codec: MediaCodec
    package var ssrc: UInt32
    package var rtxSSRC: UInt32

    package init(kind: MediaKind, codec: MediaCodec, ssrc: UInt32, rtxSSRC: UInt32 = 0) {
        self.kind = kind
        self.codec = codec
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
    }

    var c: rh_load_slot_config {
        var config = rh_load_slot_config()
        config.ssrc = ssrc
        config.rtx_ssrc = rtxSSRC
        config.clock_rate = kind == .audio ? 48_000 : 90_000
        config.kind = kind.c
        config.codec = codec.c
        return config
    }
}

extension MediaKind {
    var c: UInt8 { UInt8((self == .audio ? RH_AUDIO : RH_VIDEO).rawValue) }
}

extension MediaCodec {
    var c: UInt8 {
        let codec =
            switch self {
            case .opus: RH_CODEC_OPUS
            case .vp8: RH_CODEC_VP8
            case .vp9: RH_CODEC_VP9
            case .h264: RH_CODEC_H264
            case .av1: RH_CODEC_AV1
            }
        return UInt8(codec.rawValue)
    }
}

/// Copies the first bytes of a text into a C array of characters, which ends with a 0.
private func copy<Characters>(_ text: String, into characters: inout Characters) {
    withUnsafeMutableBytes(of: &characters) { bytes in
        let room = bytes.count - 1
        bytes.copyBytes(from: text.utf8.prefix(room))
    }
}
