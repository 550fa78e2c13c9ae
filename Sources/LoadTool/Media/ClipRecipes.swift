// How clips are generated. SPDX-License-Identifier: Apache-2.0

import CMedia

/// A moving test pattern with a frame counter, through libvpx.
package struct VideoRecipe: Sendable, Equatable {
    package enum Codec: Sendable { case vp8, vp9 }

    package var codec = Codec.vp8
    /// Pixels of the highest layer.
    package var width = 640, height = 360
    package var framesPerSecond = 30
    /// Of all layers together.
    package var bitsPerSecond = 600_000
    package var seconds = 4.0
    /// A keyframe so often; requested ones are always at hand.
    package var keyframeSeconds = 2.0
    /// VP9: 1 to 3, each twice as large as the one below.
    package var spatialLayers = 1
    /// 1 to 3.
    package var temporalLayers = 1
    /// VP9 with layers: flexible mode (RFC 9628 section 4.2).
    package var isFlexible = false
    /// VP9: upper layers predict from lower ones at keyframes only.
    package var isKeyOnly = false

    package init() {}

    /// Encodes in the calling thread: about 2 ms for a frame of 640x360.
    package func make() throws(ClipError) -> Clip {
        var options = rh_clip_video_options()
        options.codec = UInt8((codec == .vp8 ? RH_CLIP_VP8 : RH_CLIP_VP9).rawValue)
        options.spatial_layers = UInt8(clamping: spatialLayers)
        options.temporal_layers = UInt8(clamping: temporalLayers)
        options.is_flexible = isFlexible
        options.is_key_only = isKeyOnly
        options.width = UInt16(clamping: width)
        options.height = UInt16(clamping: height)
        options.frames_per_second = UInt16(clamping: framesPerSecond)
        options.bitrate_bps = UInt32(clamping: bitsPerSecond)
        options.frame_count = Self.frames(seconds, framesPerSecond)
        options.keyframe_interval = Self.frames(keyframeSeconds, framesPerSecond)
        var error = rh_clip_error()
        return try Clip(rh_clip_make_video(&options, &error), error)
    }

    /// The same source in several encodings, lowest first: each has half the sides of the next and
    /// about a third of its bit rate. Together they have this recipe's size and rate at the top.
    package func simulcast(_ encodings: Int) -> [VideoRecipe] {
        (0..<encodings).map { encoding in
            let steps = encodings - 1 - encoding
            var recipe = self
            recipe.width = width >> steps & ~1
            recipe.height = height >> steps & ~1
            for _ in 0..<steps { recipe.bitsPerSecond = recipe.bitsPerSecond * 3 / 10 }
            return recipe
        }
    }

    private static func frames(_ seconds: Double, _ framesPerSecond: Int) -> UInt32 {
        let frames = seconds * Double(framesPerSecond)
        return frames >= 1 ? UInt32(clamping: Int(min(frames.rounded(), 1e9))) : 1
    }
}

extension VideoRecipe: CustomStringConvertible {
    package var description: String {
        "\(codec == .vp8 ? "VP8" : "VP9") \(width)x\(height), \(bitsPerSecond / 1000) kbit/s"
    }
}

/// Sound through libopus, in 20 ms packets.
package struct AudioRecipe: Sendable, Equatable {
    package enum Sound: Sendable { case tone, speech }

    package var sound = Sound.speech
    package var channels = 1
    package var bitsPerSecond = 32_000
    package var seconds = 10.0
    /// Nothing is sent in pauses.
    package var usesDTX = false
    /// Other seeds speak at other times.
    package var seed: UInt32 = 0

    package init() {}

    /// Encodes in the calling thread: about 0.3 ms for a packet.
    package func make() throws(ClipError) -> Clip {
        var options = rh_clip_audio_options()
        options.sound = UInt8((sound == .tone ? RH_CLIP_TONE : RH_CLIP_SPEECH).rawValue)
        options.channels = UInt8(clamping: channels)
        options.uses_dtx = usesDTX
        options.bitrate_bps = UInt32(clamping: bitsPerSecond)
        options.frame_count = UInt32(clamping: Int(min(max(seconds, 0) * 50, 1e9)))
        options.seed = seed
        var error = rh_clip_error()
        return try Clip(rh_clip_make_audio(&options, &error), error)
    }
}
