// What the participants of a run send. SPDX-License-Identifier: Apache-2.0

import Signaling

/// Media by source and encoding, shared by all participants.
package struct MediaSet: Sendable {
    package var videoCodec = MediaCodec.vp8
    /// Lowest first, one an encoding.
    package var video: [StreamMedia] = [.shape(.gallery)]
    package var audio = StreamMedia.voice

    package init() {}

    /// Shaped packets; lower encodings have a quarter of the packets of the next.
    package init(_ shape: VideoShape, layers: Int) {
        video = (0..<layers).map { layer in
            var smaller = shape
            let divisor = 1 << (2 * (layers - 1 - layer))
            smaller.packetsPerFrame = max(1, shape.packetsPerFrame / divisor)
            return .shape(smaller)
        }
    }

    package var layers: Int { video.count }

    /// Whether packets say whose they are and when they were sent. Decoders take what follows a
    /// VP8 frame or an Opus packet for padding; other codecs' packets stay as they are.
    package func isStamped(_ kind: MediaKind) -> Bool { kind == .audio || videoCodec == .vp8 }

    package func media(_ kind: MediaKind, layer: Int) -> StreamMedia {
        kind == .audio ? audio : video[layer]
    }
}
