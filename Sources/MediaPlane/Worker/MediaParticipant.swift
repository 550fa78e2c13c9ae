// The handle of one participant's transport. SPDX-License-Identifier: Apache-2.0

/// One participant's transport on its worker. Each method is a call into the worker; calls on a
/// closed participant throw `MediaError.stale` or do nothing.
///
/// Calls that change a participant take effect in the order in which they are awaited.
public struct MediaParticipant: Sendable {
    public let id: ParticipantID
    /// Our credentials for the answer. The ufrag's first character carries the worker.
    public let ice: IceCredentials
    /// Host UDP candidates for the answer.
    public let candidates: [Candidate]
    /// The canonical name (RFC 3550 section 6.5.1) of every stream that is sent to the participant.
    public let cname: String
    let owner: Worker

    /// The worker's index.
    public var worker: Int { id.worker }

    /// Applies what SDP negotiated: after the first answer and after each later one. Remote
    /// credentials that changed are an ICE restart by the client. Fingerprints that changed after
    /// the handshake start a new DTLS association.
    public func apply(_ negotiated: TransportDescription) async throws(MediaError) {
        try await owner.apply(negotiated, to: id)
    }

    /// Accepts a source. A section's mid names one publication at a time: publishing it again
    /// replaces the former.
    public func publish(_ publication: PublicationDescription) async throws(MediaError) -> TrackID {
        try await owner.publish(publication, by: id)
    }

    /// Ends a source; slots bound to it, on every worker, become unbound.
    public func unpublish(_ track: TrackID) async {
        await owner.unpublish(track)
    }

    /// A muted track's packets are received and dropped.
    public func setMuted(_ track: TrackID, _ muted: Bool) async {
        await owner.setMuted(track, muted)
    }

    /// Makes outgoing streams, in this order. Nothing is made when one is refused.
    public func addSlots(_ slots: [SlotDescription]) async throws(MediaError) -> [SlotID] {
        try await owner.addSlots(slots, to: id)
    }

    /// Applies all changes in one step of the worker, in order: nobody sees a state in between.
    /// One result for each change.
    public func remap(_ changes: [SlotChange]) async -> [SlotResult] {
        await owner.remap(changes, of: id)
    }

    /// Makes new local credentials (RFC 8839 section 4.4.1.1.1); the former ones stay valid for
    /// 30 s. Media goes on over the selected pair.
    public func requestIceRestart() async -> IceCredentials {
        await owner.restartIce(of: id)
    }

    public func statistics() async -> ParticipantStatistics {
        await owner.statistics(of: id)
    }

    /// Says goodbye (RTCP BYE, close_notify) and frees everything. No event follows.
    public func close() async {
        await owner.close(id)
    }
}
