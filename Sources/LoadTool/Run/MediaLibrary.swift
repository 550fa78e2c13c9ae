// Gets the media of a run ready. SPDX-License-Identifier: Apache-2.0

/// Makes or reads what participants send.
struct MediaLibrary {
    private let options: LoadOptions

    init(_ options: LoadOptions) { self.options = options }

    /// - Parameter progress: told what is being encoded.
    func load(progress: @escaping @Sendable (String) -> Void) async throws -> MediaSet {
        switch options.media {
        case .synthetic(let shape): MediaSet(shape, layers: options.layers)
        default: throw LoadFailure("not there yet")
        }
    }
}
