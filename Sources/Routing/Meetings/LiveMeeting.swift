// One meeting that lives on this node: its rules, its sockets, its peers' transports.
// SPDX-License-Identifier: Apache-2.0

import Logging
import Signaling
import Synchronization

/// One packet at a meeting's door.
struct Arrival: Sendable {
    var packet: Packet
    var socketID: SocketID
    var socket: any SignalSocket
    var admission: Admission = .notNeeded
}

/// Carries out what `Meeting` decides. No method waits for anything inside, so each runs as one
/// step: packets of a socket are obeyed in their order, relays reach everyone in the same order.
actor LiveMeeting {
    /// How long a transport whose checks stopped may take to return before it is given up.
    static let mediaGrace: Duration = .seconds(10)
    private static let never = Int64.max

    let id: String
    private let context: MeetingContext
    private let directory: MeetingDirectory
    private var meeting: Meeting
    private var sockets: [SocketID: any SignalSocket] = [:]
    private var desks: [PeerID: PeerDesk] = [:]
    /// The transport whose news counts.
    private var transports: [PeerID: MediaPeerID] = [:]
    /// Where each source of a peer arrives.
    private var tracks: [PeerID: [FeedSource: TrackName]] = [:]
    private var lostAt: [PeerID: Duration] = [:]
    private var isRetired = false
    private var isRecorded = false

    private let participantCount = Atomic(0)
    private let opened = Atomic(false)
    /// Nanoseconds of the node's clock; `never` for none.
    private let nextDeadline = Atomic(LiveMeeting.never)

    init(id: String, host: String, context: MeetingContext, directory: MeetingDirectory) {
        self.id = id
        self.context = context
        self.directory = directory
        meeting = Meeting(
            id: id, host: host, configuration: context.configuration,
            makeSecret: { makeSecret() })
    }

    nonisolated var participants: Int { participantCount.load(ordering: .relaxed) }
    nonisolated var isOpen: Bool { opened.load(ordering: .relaxed) }

    /// Whether `tick` has something to do.
    nonisolated func isDue(_ now: Duration) -> Bool {
        nextDeadline.load(ordering: .relaxed) <= now.nanoseconds
    }

    // MARK: Sockets

    /// Obeys a packet. False: the meeting is over and forgotten, nothing was done.
    func receive(_ arrival: Arrival) -> Bool {
        guard !isRetired else { return false }
        sockets[arrival.socketID] = arrival.socket
        perform(
            meeting.receive(
                arrival.packet, from: arrival.socketID, admission: arrival.admission,
                now: context.clock.now))
        settle()
        return true
    }

    func isMember(_ socket: SocketID) -> Bool { meeting.peer(of: socket) != nil }

    func hasAccount(_ accountID: String) -> Bool { meeting.hasAccount(accountID) }

    func socketClosed(_ socket: SocketID) {
        sockets[socket] = nil
        guard !isRetired else { return }
        perform(meeting.socketClosed(socket, now: context.clock.now))
        settle()
    }

    /// Does what time has made due.
    func tick() {
        guard !isRetired else { return }
        let now = context.clock.now
        perform(meeting.tick(now: now))
        for (peer, since) in lostAt where now >= since + Self.mediaGrace {
            perform(meeting.mediaLost(peer))
        }
        settle()
    }

    // MARK: Media

    func negotiationEnded(
        _ outcome: NegotiationOutcome, of peer: PeerID, at desk: PeerDesk
    ) {
        guard desks[peer] === desk else { return }
        switch outcome {
        case .failed(let message):
            context.metrics.refused("offer")
            perform(meeting.negotiationFailed(peer, message: message))
        case .answered(let session, let applied, let transport, let isReplaced):
            if isReplaced { forgetFeeds(of: peer, desk) }
            transports[peer] = transport
            lostAt[peer] = nil
            var named: [FeedSource: TrackName] = [:]
            for publication in applied {
                named[publication.source] = TrackName(peer: transport, mid: publication.mid)
            }
            tracks[peer] = named
            let feeds = applied.map {
                PublishedFeed(source: $0.source, codec: $0.codec, isNew: $0.isNew)
            }
            let slots = session.slots.map {
                SlotOffer(mid: $0.mid, kind: $0.kind, codecs: Set($0.codecs.map(\.codec)))
            }
            perform(
                meeting.negotiated(peer, answer: session.answer, feeds: feeds, slots: slots))
        }
        settle()
    }

    /// Another PeerConnection took over: what the former published and received is void.
    private func forgetFeeds(of peer: PeerID, _ desk: PeerDesk) {
        tracks[peer] = nil
        let actions = meeting.mediaLost(peer).filter { $0 != .closeMedia(peer) }
        perform(actions)
    }

    /// News of the transports of this meeting's peers.
    func hear(_ news: [(PeerID, MediaPeerID, MediaNews)]) {
        guard !isRetired else { return }
        let now = context.clock.now
        var levels: [(peer: PeerID, level: Int)] = []
        for (peer, transport, news) in news where transports[peer] == transport {
            switch news {
            case .connected: lostAt[peer] = nil
            case .disconnected(true): lostAt[peer] = now
            case .disconnected(false): perform(meeting.mediaLost(peer))
            case .layers(let mid, let layers): tell(layers, of: peer, mid: mid)
            case .slotLayer(let mid, let layer, let bitrate):
                let rid = layer.flatMap { $0.isEmpty ? nil : $0 }
                meeting.slotLayer(peer, mid: mid, layer: rid, bitrate: bitrate)
            case .estimate(let bitsPerSecond, let loss):
                perform(meeting.estimate(peer, downlink: bitsPerSecond, loss: loss, now: now))
            case .audioLevel(let mid, let level):
                if tracks[peer]?[.microphone]?.mid == mid { levels.append((peer, level)) }
            }
        }
        if !levels.isEmpty { perform(meeting.audioLevels(levels, now: now)) }
        settle()
    }

    private func tell(_ layers: [MeasuredLayer], of peer: PeerID, mid: String) {
        guard let source = tracks[peer]?.first(where: { $0.value.mid == mid })?.key else { return }
        let live = layers.filter(\.isLive).map { Feed.Layer(bitrate: $0.bitrate) }
        perform(meeting.feedLayers(peer, source, live))
    }

    // MARK: Actions

    private func perform(_ actions: [MeetingAction]) {
        for action in actions { perform(action) }
    }

    private func perform(_ action: MeetingAction) {
        switch action {
        case .send(let packet, let socket): send(packet, to: [socket])
        case .relay(let packet, let sockets): send(packet, to: sockets)
        case .close(let socket, let reason): close(socket, reason)
        case .negotiate(let peer, let offer, let mayPublish):
            desk(of: peer).negotiate(offer, mayPublish: mayPublish)
        case .remap(let peer, let changes): remap(peer, changes)
        case .setMuted(let peer, let source, let isMuted):
            guard let mid = tracks[peer]?[source]?.mid else { return }
            desks[peer]?.setMuted(mid: mid, isMuted)
        case .closeMedia(let peer):
            desks.removeValue(forKey: peer)?.close()
            transports[peer] = nil
            tracks[peer] = nil
            lostAt[peer] = nil
        case .reportEnd(let reason):
            context.logger.info(
                "a meeting has ended", metadata: ["meeting": "\(id)", "reason": "\(reason)"])
            context.journal.markEnded(id)
        }
    }

    private func send(_ packet: Packet, to receivers: [SocketID]) {
        let text = packet.text
        for receiver in receivers {
            guard let socket = sockets[receiver] else { continue }
            // The answer to everyone who comes in.
            if case .meetingUsers = packet.body {
                socket.raiseFrameLimit(to: context.limits.frameBytesAfterJoin)
            }
            socket.send(text)
        }
        context.metrics.sent(packet.body.contentType, receivers.count)
        switch packet.body {
        case .error: context.metrics.refused("rules")
        case .joinDenied(let reason): context.metrics.refused(reason ?? "denied")
        default: break
        }
    }

    private func close(_ id: SocketID, _ reason: CloseReason) {
        guard let socket = sockets.removeValue(forKey: id) else { return }
        switch reason {
        case .ended: socket.close(.normal, text: "the meeting has ended")
        case .replaced: socket.close(.policyViolation, text: "replaced by another connection")
        case .removed: socket.close(.policyViolation, text: "removed from the meeting")
        }
    }

    private func desk(of peer: PeerID) -> PeerDesk {
        if let desk = desks[peer] { return desk }
        let account = meeting.accountID(of: peer) ?? "?"
        let new = PeerDesk(peer, label: "\(id)/\(account)", of: self, context: context)
        desks[peer] = new
        return new
    }

    private func remap(_ peer: PeerID, _ changes: [Signaling.SlotChange]) {
        let steps: [SlotStep] = changes.compactMap { change in
            switch change {
            case .unbind(let mid): return .unbind(mid: mid)
            case .setBitrate(let mid, let bitrate): return .setBitrate(mid: mid, bitrate: bitrate)
            case .bind(let mid, let publisher, let source, let bitrate):
                guard let track = tracks[publisher]?[source] else { return nil }
                return .bind(mid: mid, track: track, bitrate: bitrate, source: source)
            }
        }
        if !steps.isEmpty { desks[peer]?.remap(steps) }
    }

    /// Brings what others read from outside up to date, and retires a meeting that is over.
    private func settle() {
        participantCount.store(meeting.participantCount, ordering: .relaxed)
        if meeting.wasOpened, !isRecorded {
            isRecorded = true
            opened.store(true, ordering: .relaxed)
            context.journal.markOpen(id, host: meeting.host)
        }
        if meeting.isEnded || meeting.isUnused {
            isRetired = true
            sockets = [:]
            directory.remove(self)
        }
        var next = isRetired ? nil : meeting.deadline
        for since in lostAt.values where !isRetired {
            let end = since + Self.mediaGrace
            next = next.map { min($0, end) } ?? end
        }
        nextDeadline.store(next?.nanoseconds ?? Self.never, ordering: .relaxed)
    }
}

extension Duration {
    /// Whole nanoseconds; overflows after 292 years.
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
