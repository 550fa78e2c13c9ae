// One peer's calls into the media plane, one after the other.
// SPDX-License-Identifier: Apache-2.0

import Logging
import Signaling

/// What became of an offer.
enum NegotiationOutcome: Sendable {
    /// `isReplaced`: the offer was another PeerConnection's; the former transport is closed.
    case answered(NegotiatedSession, [AppliedPublication], MediaPeerID, isReplaced: Bool)
    case failed(String)
}

/// Takes jobs without waiting and does them in their order, so that a meeting never waits for
/// SDP or a worker. Owner: `LiveMeeting`.
final class PeerDesk: Sendable {
    private enum Job: Sendable {
        case negotiate(Offer, mayPublish: Bool)
        case remap([SlotStep])
        case setMuted(mid: String, Bool)
    }

    private let jobs: AsyncStream<Job>.Continuation

    init(_ peer: PeerID, label: String, of meeting: LiveMeeting, context: MeetingContext) {
        let (stream, jobs) = AsyncStream<Job>.makeStream()
        self.jobs = jobs
        // Retained by its task until `close`.
        Task { [self] in
            var bench = Bench(peer: peer, label: label, meeting: meeting, context: context)
            for await job in stream {
                switch job {
                case .negotiate(let offer, let mayPublish):
                    let outcome = await bench.negotiate(offer, mayPublish: mayPublish)
                    await meeting.negotiationEnded(outcome, of: peer, at: self)
                case .remap(let steps): await bench.remap(steps)
                case .setMuted(let mid, let isMuted):
                    await bench.media?.setMuted(mid: mid, isMuted)
                }
            }
            await bench.close()
        }
    }

    func negotiate(_ offer: Offer, mayPublish: Bool) {
        jobs.yield(.negotiate(offer, mayPublish: mayPublish))
    }

    func remap(_ steps: [SlotStep]) { jobs.yield(.remap(steps)) }
    func setMuted(mid: String, _ isMuted: Bool) { jobs.yield(.setMuted(mid: mid, isMuted)) }
    /// Nothing is done after the jobs that wait.
    func close() { jobs.finish() }

    /// The transport and the state of its negotiation; lives in the desk's task.
    private struct Bench {
        let peer: PeerID
        let label: String
        let meeting: LiveMeeting
        let context: MeetingContext
        var media: (any MediaPeer)?
        private var negotiator: Negotiator
        private var fingerprints: Set<DTLSFingerprint> = []

        init(peer: PeerID, label: String, meeting: LiveMeeting, context: MeetingContext) {
            self.peer = peer
            self.label = label
            self.meeting = meeting
            self.context = context
            negotiator = Self.newNegotiator()
        }

        private static func newNegotiator() -> Negotiator {
            Negotiator(sessionID: UInt64.random(in: 1..<1 << 62))
        }

        mutating func negotiate(_ offer: Offer, mayPublish: Bool) async -> NegotiationOutcome {
            do {
                return try await answer(offer, mayPublish: mayPublish)
            } catch let error as SDPError {
                return .failed(error.message)
            } catch let error as MediaRefusal {
                context.logger.info(
                    "the media plane refused an offer",
                    metadata: ["peer": "\(label)", "reason": "\(error)"])
                return .failed(error.description)
            } catch {
                return .failed("\(error)")
            }
        }

        private mutating func answer(
            _ offer: Offer, mayPublish: Bool
        ) async throws -> NegotiationOutcome {
            let description = try SessionDescription.parse(offer.sdp)
            let prints = Set(description.media.flatMap(\.transport.fingerprints))
                .union(description.transport.fingerprints)
            // Another certificate: another PeerConnection, which knows nothing of the former.
            let isReplaced = media != nil && fingerprints.isDisjoint(with: prints)
            if isReplaced { await close() }
            let transport = try await transport()
            let isRestart = negotiator.isIceRestart(description)
            let local = isRestart ? await transport.restartICE() : transport.local
            var random = SystemRandomNumberGenerator()
            let session = try negotiator.answer(
                description, sources: offer.sources, mayPublish: mayPublish, local: local,
                using: &random)
            fingerprints = prints
            let applied = try await transport.apply(session)
            return .answered(session, applied, transport.id, isReplaced: isReplaced)
        }

        private mutating func transport() async throws(MediaRefusal) -> any MediaPeer {
            if let media { return media }
            let made = try await context.media.makePeer(
                meeting: meeting.id, label: label)
            context.owners.set(made.id, MediaOwners.Owner(meeting: meeting, peer: peer))
            media = made
            return made
        }

        func remap(_ steps: [SlotStep]) async {
            guard let media else { return }
            for outcome in await media.remap(steps) where outcome != .done {
                context.metrics.remapFailed(outcome.rawValue)
            }
        }

        mutating func close() async {
            guard let media else { return }
            context.owners.set(media.id, nil)
            self.media = nil
            negotiator = Self.newNegotiator()
            fingerprints = []
            await media.close()
        }
    }
}
