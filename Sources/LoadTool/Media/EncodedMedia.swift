// Encoded media for a run. SPDX-License-Identifier: Apache-2.0

import Dispatch
import Signaling

extension MediaSet {
    /// Encodes a pattern and a voice before the run.
    /// - Parameters:
    ///   - video: of the highest encoding.
    ///   - layers: VP8: simulcast encodings; VP9: spatial layers of one stream, with three temporal
    ///     layers.
    ///   - progress: told what is being encoded; from any thread.
    package static func encoded(
        _ video: VideoRecipe, layers: Int, progress: @escaping @Sendable (String) -> Void
    ) async throws -> MediaSet {
        var set = MediaSet()
        var recipes = video.simulcast(layers)
        if video.codec == .vp9 {
            var layered = video
            layered.spatialLayers = layers
            layered.temporalLayers = 3
            recipes = [layered]
            set.videoCodec = .vp9
        }
        for recipe in recipes { progress("encoding \(recipe)") }
        async let voice = offCooperativePool { try AudioRecipe().make() }
        let clips = try await withThrowingTaskGroup(of: (Int, Clip).self) { group in
            for (index, recipe) in recipes.enumerated() {
                group.addTask { (index, try await offCooperativePool { try recipe.make() }) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        set.video = clips.sorted { $0.0 < $1.0 }.map { .clip($0.1.packets) }
        set.audio = .clip(try await voice.packets)
        return set
    }

    /// Reads files: at most one with sound; several with video of one codec are simulcast
    /// encodings, lowest first.
    package static func files(
        _ paths: [String], progress: @escaping @Sendable (String) -> Void
    ) async throws -> MediaSet {
        var set = MediaSet()
        var video: [Clip] = [], sound: [Clip] = []
        for path in paths {
            progress("reading \(path)")
            let clip = try await offCooperativePool { try Clip.reading(path) }
            if clip.codec == .opus { sound.append(clip) } else { video.append(clip) }
        }
        guard sound.count <= 1 else { throw ClipError("more than one file with sound") }
        guard Set(video.map(\.codec)).count <= 1, video.count <= 3 else {
            throw ClipError("video files must be of one codec, three at most")
        }
        if let clip = sound.first { set.audio = .clip(clip.packets) }
        if let first = video.first {
            set.videoCodec = first.codec
            set.video = video.map { .clip($0.packets) }
        }
        return set
    }
}

/// Runs long work on a thread of its own, away from Swift's few cooperative ones.
private func offCooperativePool<Value: Sendable>(
    _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
    }
}
