// What a run needs of a system under load: the seam for other systems' protocols.
// SPDX-License-Identifier: Apache-2.0

package import MediaPlane
package import NIOCore
import Synchronization

/// Which participant somebody is.
package struct Place: Sendable, Hashable {
    package var meeting: Int
    /// Within the meeting; 0 is its host.
    package var index: Int
    /// Within the run.
    package var number: Int
    package var isPublisher: Bool

    package init(meeting: Int, index: Int, number: Int, isPublisher: Bool) {
        self.meeting = meeting
        self.index = index
        self.number = number
        self.isPublisher = isPublisher
    }

    package var isHost: Bool { index == 0 }
    /// What stamps say of its streams: source 0 … 3.
    package func streamSource(_ source: UInt32) -> UInt32 { UInt32(number) * 4 + source + 1 }
}

/// How long the parts of a join took, milliseconds.
package struct JoinTimes: Sendable, Equatable {
    /// From the first request to media that may flow.
    package var total = 0.0
    /// REST call; socket and entry into the meeting; offer and answer; ICE and DTLS.
    package var grant = 0.0, enter = 0.0, negotiate = 0.0, connect = 0.0

    package init() {}
}

/// How many feeds a participant wants and how many have slots.
package struct FeedState: Sendable, Equatable {
    package var wanted = 0, bound = 0

    package init(wanted: Int = 0, bound: Int = 0) {
        self.wanted = wanted
        self.bound = bound
    }
}

/// One synthetic participant of a meeting.
package protocol SyntheticParticipant: Sendable {
    /// Joins, connects its media and begins to publish. Subscribes by itself from then on, as
    /// feeds appear.
    func join() async throws -> JoinTimes
    func feedState() async -> FeedState
    /// Remaps all subscriptions at once.
    func remap() async
    /// The host ends the meeting; others leave. Frees everything; never fails.
    func leave() async
}

/// A system's protocol.
package protocol MeetingDialect: Sendable {
    /// What has to be there before the first join, such as accounts.
    func prepare(progress: @escaping @Sendable (String) -> Void) async throws
    func makeParticipant(_ place: Place) -> any SyntheticParticipant
    /// Takes away what `prepare` made.
    func finish() async
}

/// What all participants of a run share.
package struct LoadContext: Sendable {
    package var options: LoadOptions
    package var loops: PacketLoops
    package var certificate: DtlsCertificate
    package var group: any EventLoopGroup
    package var media: MediaSet
    package var losses: LossLog

    /// For a participant's choices: the same seed gives the same.
    package func generator(_ place: Place) -> Seeded {
        Seeded(options.seed &* 0x1_0000_0001 &+ UInt64(place.number))
    }

    /// Video feeds and voices that others in the meeting publish.
    package func expected(for place: Place) -> (video: Int, audio: Int) {
        let others = options.publisherCount - (place.isPublisher ? 1 : 0)
        let sources = options.publishedSources
        let video = sources.count { $0.kind == .video }
        return (others * video, sources.contains(.microphone) ? others : 0)
    }
}

/// Participants that were lost after their join, and other trouble, by reason.
package final class LossLog: Sendable {
    private struct State {
        var counts: [String: Int] = [:]
        var examples: [String: String] = [:]
        var isOver = false
    }
    private let state = Mutex(State())

    package init() {}

    package func note(_ failure: LoadFailure) {
        state.withLock { state in
            guard !state.isOver else { return }
            state.counts[failure.reason, default: 0] += 1
            state.examples[failure.reason] = failure.detail
        }
    }

    /// From now on sockets close because the run ends.
    package func end() { state.withLock { $0.isOver = true } }

    package var counts: [String: Int] { state.withLock { $0.counts } }
    package var examples: [String: String] { state.withLock { $0.examples } }
}
