// Clips: encoding, files, errors for people. SPDX-License-Identifier: Apache-2.0

import Foundation
import LoadTool
import Signaling
import Testing

@Suite struct ClipTests {
    private static func small(_ codec: VideoRecipe.Codec) -> VideoRecipe {
        var recipe = VideoRecipe()
        recipe.codec = codec
        recipe.width = 320
        recipe.height = 192
        recipe.bitsPerSecond = 300_000
        recipe.seconds = 0.8
        return recipe
    }

    @Test func simulcastHalvesSidesAndKeepsTime() throws {
        let recipes = Self.small(.vp8).simulcast(3)
        #expect(recipes.map(\.width) == [80, 160, 320])
        #expect(recipes.map(\.height) == [48, 96, 192])
        #expect(recipes.map(\.bitsPerSecond) == [27_000, 90_000, 300_000])
        let clips = try recipes.map { try $0.make() }
        #expect(clips.map(\.frames) == [24, 24, 24])
        #expect(clips.map(\.duration) == [0.8, 0.8, 0.8])
        #expect(clips.map(\.codec) == [.vp8, .vp8, .vp8])
        #expect(clips[2].size == (320, 192))
    }

    @Test func layersOfVP9AreOneStream() async throws {
        let set = try await MediaSet.encoded(Self.small(.vp9), layers: 2) { _ in }
        #expect(set.videoCodec == .vp9)
        #expect(set.layers == 1)
    }

    @Test func encodedMediaHasAClipForEachEncodingAndAVoice() async throws {
        let set = try await MediaSet.encoded(Self.small(.vp8), layers: 2) { _ in }
        #expect(set.videoCodec == .vp8)
        let clips = (set.video + [set.audio]).filter { media in
            if case .clip = media { true } else { false }
        }
        #expect(clips.count == 3)
    }

    @Test func voicesOfOtherSeedsDiffer() throws {
        var recipe = AudioRecipe()
        recipe.seconds = 3
        recipe.usesDTX = true
        let first = try recipe.make()
        recipe.seed = 9
        let second = try recipe.make()
        #expect(first.frames == 150 && second.frames == 150)
        #expect(first.packetCount < 150)
        #expect(first.packetCount != second.packetCount)
    }

    @Test func recipesOutOfRangeSayWhy() {
        var recipe = Self.small(.vp8)
        recipe.width = 10
        #expect {
            _ = try recipe.make()
        } throws: { "\($0)".hasPrefix("10x192 pixels: ") }
    }

    @Test func filesThatAreNoMediaAreNamedWithTheByte() throws {
        #expect(throws: ClipError("neither IVF, Ogg Opus nor an H.264 byte stream")) {
            try Clip.reading(Array("RIFF".utf8))
        }
        #expect {
            _ = try Clip.reading(Array("OggS".utf8))
        } throws: { "\($0)" == "byte 0: no Ogg page" }
        #expect {
            _ = try Clip.reading("/nowhere/clip.ivf")
        } throws: { "\($0)".hasPrefix("/nowhere/clip.ivf: cannot be read") }
    }

    /// An IVF header and one VP8 keyframe of ten bytes.
    private static let ivf: [UInt8] =
        Array("DKIF".utf8) + [0, 0, 32, 0] + Array("VP80".utf8)
        + [64, 1, 180, 0, 30, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
        + [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        + [0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0]

    @Test func ivfIsReadFromAPath() async throws {
        let path = NSTemporaryDirectory() + "clip-\(UUID().uuidString).ivf"
        try Data(Self.ivf).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let clip = try Clip.reading(path)
        #expect(clip.size == (320, 180))
        #expect(clip.frames == 1 && clip.packetCount == 1)
        let set = try await MediaSet.files([path]) { _ in }
        #expect(set.videoCodec == .vp8 && set.layers == 1)
        await #expect(throws: ClipError.self) {
            try await MediaSet.files([path, path, path, path]) { _ in }
        }
    }
}
