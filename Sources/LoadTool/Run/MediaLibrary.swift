// Gets the media of a run ready. SPDX-License-Identifier: Apache-2.0

/// Makes or reads what participants send.
struct MediaLibrary {
    private let options: LoadOptions

    init(_ options: LoadOptions) { self.options = options }

    /// - Parameter progress: told what is being encoded.
    func load(progress: @escaping @Sendable (String) -> Void) async throws -> MediaSet {
        switch options.media {
        case .synthetic(let shape): MediaSet(shape, layers: options.layers)
        case .vp8: try await encoded(.vp8, progress)
        case .vp9: try await encoded(.vp9, progress)
        case .files(let paths): try await MediaSet.files(paths, progress: progress)
        }
    }

    private func encoded(
        _ codec: VideoRecipe.Codec, _ progress: @escaping @Sendable (String) -> Void
    ) async throws -> MediaSet {
        var recipe = VideoRecipe()
        recipe.codec = codec
        return try await MediaSet.encoded(recipe, layers: options.layers, progress: progress)
    }
}
