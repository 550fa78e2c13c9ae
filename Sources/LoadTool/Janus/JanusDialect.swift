// Janus' videoroom as the system under load. SPDX-License-Identifier: Apache-2.0

/// Joins rooms 1, 2, … that the server's configuration holds. No accounts are needed.
package final class JanusDialect: MeetingDialect {
    private let context: LoadContext

    /// Throws `LoadOptionsError` for what this dialect cannot do.
    package init(_ context: LoadContext) throws {
        let options = context.options
        guard options.churn == nil, options.layers == 1 else {
            throw LoadOptionsError("--dialect janus knows neither --churn nor --layers")
        }
        guard LoadURL(options.url)?.isTLS == false else {
            throw LoadOptionsError("--dialect janus needs http://HOST:PORT of its WebSocket port")
        }
        guard !options.publishedSources.contains(.screen) else {
            throw LoadOptionsError("--dialect janus publishes camera and microphone only")
        }
        self.context = context
    }

    package func prepare(progress: @escaping @Sendable (String) -> Void) async throws {}

    package func makeParticipant(_ place: Place) -> any SyntheticParticipant {
        JanusParticipant(place, context)
    }

    package func finish() async {}
}
