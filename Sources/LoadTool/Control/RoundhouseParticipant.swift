// One participant of a Roundhouse meeting. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import NIOCore
import Signaling

/// Joins, offers, connects, publishes, subscribes. Lives on one event loop.
actor RoundhouseParticipant: SyntheticParticipant {
    struct Identity: Sendable {
        var account: LoadAccount
        /// Account ids of the meeting by place.
        var everyone: [String]
        var desk: MeetingDesk
    }

    private enum Wait { case users, answer }

    private static let answerTimeout = TimeAmount.seconds(30)
    private static let connectTimeout = Duration.seconds(20)
    /// News that come together are answered together.
    private static let gather = TimeAmount.milliseconds(20)
    /// SLOTS comes sooner.
    private static let watchNs: UInt64 = 500_000_000
    private static let skipped: Set<String> = [
        "JOIN", "SPEAKERS", "QUALITY", "CHAT", "HAND", "REACTION", "MUTE", "LOCK",
    ]

    private let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }
    private let place: Place
    private let identity: Identity
    private let context: LoadContext
    private let api: HttpApi
    private let socketOptions: SocketOptions
    private let transport: MediaTransport
    private var generator: Seeded
    private var meetingID = ""
    private var socket: MeetingSocket?
    private var endpoint: MediaEndpoint?
    private var waiter: (wait: Wait, continuation: CheckedContinuation<String, any Error>)?
    private var isLeaving = false
    private var feeds: FeedSlots
    private var newestSlots: ByteBuffer?
    private var isGathering = false

    init(
        _ place: Place, _ identity: Identity, _ context: LoadContext, api: HttpApi,
        socketOptions: SocketOptions
    ) {
        self.place = place
        self.identity = identity
        self.context = context
        self.api = api
        self.socketOptions = socketOptions
        eventLoop = context.group.next()
        transport = MediaTransport(on: eventLoop, certificate: context.certificate)
        generator = context.generator(place)
        feeds = FeedSlots(feedsMax: context.options.feeds)
    }

    // MARK: - Joining

    func join() async throws -> JoinTimes {
        do {
            return try await joinSteps()
        } catch {
            if place.isHost { identity.desk.failed() }
            await leave()
            throw error
        }
    }

    private func joinSteps() async throws -> JoinTimes {
        var times = JoinTimes()
        let known = place.isHost ? nil : try await identity.desk.id()
        let begin = monotonicNs()
        let grant =
            if let known { try await api.joinMeeting(known, identity.account) } else {
                try await api.createMeeting(identity.account)
            }
        meetingID = grant.meeting_id
        let granted = monotonicNs()
        try await enter(grant)
        if place.isHost { identity.desk.opened(meetingID) }
        let entered = monotonicNs()
        let offer = makeOffer()
        let answer = try AnswerReader.read(try await negotiate(offer))
        let negotiated = monotonicNs()
        try await connect(offer, answer)
        let connected = monotonicNs()
        times.grant = Double(granted - begin) / 1e6
        times.enter = Double(entered - granted) / 1e6
        times.negotiate = Double(negotiated - entered) / 1e6
        times.connect = Double(connected - negotiated) / 1e6
        times.total = Double(connected - begin) / 1e6
        gather()
        return times
    }

    private func enter(_ grant: LoadGrant) async throws {
        let events = SocketEvents(
            text: { [weak self] text in self?.assumeIsolated { $0.receive(text) } },
            closed: { [weak self] code in self?.assumeIsolated { $0.socketClosed(code) } })
        socket = try await MeetingSocket.connect(
            grant.server, on: eventLoop, options: socketOptions, index: place.number,
            events: events)
        let join = Join(accountID: identity.account.accountID, ticket: grant.ticket)
        _ = try await ask(.join(join), for: .users)
    }

    private func negotiate(_ offer: OfferPlan) async throws -> String {
        let writer = OfferWriter(
            secret: transport.secret, fingerprint: context.certificate.fingerprint)
        return try await ask(
            .offer(Offer(sdp: writer.write(offer), sources: offer.sources)), for: .answer)
    }

    /// Sends a packet and waits for its answer.
    private func ask(_ body: PacketBody, for wait: Wait) async throws -> String {
        let timer = eventLoop.scheduleTask(in: Self.answerTimeout) { [weak self] in
            self?.assumeIsolated {
                $0.fail(LoadFailure("no answer to \(body.contentType)"))
            }
        }
        defer { timer.cancel() }
        return try await withCheckedThrowingContinuation { continuation in
            waiter = (wait, continuation)
            send(body)
        }
    }

    private func send(_ body: PacketBody) { socket?.send(Packet(meetingID, body).text) }

    private func fail(_ failure: LoadFailure) {
        waiter?.continuation.resume(throwing: failure)
        waiter = nil
    }

    private func makeOffer() -> OfferPlan {
        var plan = OfferPlan()
        plan.sessionID = generator.next() >> 2
        if place.isPublisher {
            plan.publications = context.options.publishedSources.map(publication)
        }
        let expected = context.expected(for: place)
        plan.videoSlots = min(context.options.feeds, expected.video)
        plan.audioSlots = min(SDPLimits.slotsMax, expected.audio)
        if plan.publications.isEmpty, plan.videoSlots + plan.audioSlots == 0 {
            plan.audioSlots = 1
        }
        plan.videoCodecs = [context.media.videoCodec]
        return plan
    }

    private func publication(_ source: FeedSource) -> OfferPlan.Publication {
        let isAudio = source.kind == .audio
        let count = source == .camera ? context.media.layers : 1
        let numbers = (0..<count).map { _ in
            StreamNumbers(ssrc: number(), rtx: isAudio ? nil : number())
        }
        return OfferPlan.Publication(
            source: source, codec: isAudio ? .opus : context.media.videoCodec, ssrcs: numbers)
    }

    private func number() -> UInt32 { UInt32.random(in: 1 ... .max, using: &generator) }

    private func connect(_ offer: OfferPlan, _ answer: AnswerPlan) async throws {
        let host = LoadURL(context.options.url)?.host
        let near = answer.candidates.first { $0.address.description == host }
        var options = EndpointOptions()
        options.decrypt = context.options.decrypt
        options.extensions = answer.extensions
        let remote = RemoteSide(
            secret: answer.secret, address: near ?? answer.candidates[0],
            fingerprints: answer.fingerprints, role: answer.role)
        let losses = context.losses
        let endpoint = try await transport.connect(
            context.loops, to: remote, options: options, timeout: Self.connectTimeout
        ) { losses.note($0) }
        self.endpoint = endpoint
        feeds.setSlots(answer.slots)
        try endpoint.expect(answer.slots.map(\.plan))
        for (index, publication) in offer.publications.enumerated() {
            let mid = offer.mid(ofPublication: index)
            guard answer.accepted.contains(mid) else {
                throw LoadFailure("the server takes no \(publication.source.rawValue)")
            }
            try publish(publication, mid: mid, endpoint)
        }
    }

    private func publish(
        _ publication: OfferPlan.Publication, mid: String, _ endpoint: MediaEndpoint
    ) throws {
        let types = PayloadTypes.of(publication.codec)
        let kind = publication.source.kind
        let top = context.media.layers - publication.ssrcs.count
        let phase = UInt32.random(in: 0..<(kind == .audio ? 20_000 : 33_000), using: &generator)
        for (layer, numbers) in publication.ssrcs.enumerated() {
            var stream = StreamPlan()
            stream.kind = kind
            stream.codec = publication.codec
            stream.ssrc = numbers.ssrc
            stream.rtxSSRC = numbers.rtx ?? 0
            stream.payloadType = types.media
            stream.rtxPayloadType = types.rtx
            stream.mid = mid
            stream.rid = publication.rids.isEmpty ? "" : publication.rids[layer]
            stream.source = place.streamSource(publication.source.number)
            stream.media = context.media.media(kind, layer: top + layer)
            stream.phaseUs = phase
            stream.firstSequence = UInt16.random(in: 0..<0x4000, using: &generator)
            stream.firstTimestamp = number()
            try endpoint.publish(stream)
        }
    }

    // MARK: - Packets

    private func receive(_ text: ByteBuffer) {
        let type = PacketSniffer.contentType(text)
        if let type, Self.skipped.contains(type) { return }
        if type == "SLOTS" {
            newestSlots = text
            return gather()
        }
        guard let packet = try? Packet.decode(String(buffer: text)) else {
            return context.losses.note(LoadFailure("a packet from the server was not readable"))
        }
        take(packet.body)
    }

    private func take(_ body: PacketBody) {
        switch body {
        case .meetingUsers: answer("", to: .users)
        case .answer(let sdp): answer(sdp, to: .answer)
        case .feeds(let account, let list) where account != identity.account.accountID:
            for source in FeedSource.allCases where source.kind == .video {
                let isPublishing = list.contains { $0.source == source }
                feeds.set(FeedName(account, source), isPublishing: isPublishing)
            }
            gather()
        case .leave(let account):
            for source in FeedSource.allCases {
                feeds.set(FeedName(account, source), isPublishing: false)
            }
        case .joinDenied(let reason): fail(LoadFailure("the join was denied", reason ?? ""))
        case .error(let message):
            let failure = LoadFailure("the server answered ERROR", message)
            if waiter == nil { context.losses.note(failure) } else { fail(failure) }
        default: break
        }
    }

    private func answer(_ text: String, to wait: Wait) {
        guard let waiter, waiter.wait == wait else { return }
        self.waiter = nil
        waiter.continuation.resume(returning: text)
    }

    private func socketClosed(_ code: UInt16?) {
        let failure = LoadFailure("the server closed the socket", code.map { "\($0)" } ?? "")
        socket = nil
        if waiter != nil {
            fail(failure)
        } else if !isLeaving {
            context.losses.note(failure)
        }
    }

    // MARK: - Subscriptions

    private func gather() {
        guard !isGathering, endpoint != nil else { return }
        isGathering = true
        eventLoop.scheduleTask(in: Self.gather) { [weak self] in
            self?.assumeIsolated { $0.gathered() }
        }
    }

    private func gathered() {
        isGathering = false
        if let text = newestSlots {
            newestSlots = nil
            if case .slots(let slots) = (try? Packet.decode(String(buffer: text)))?.body {
                apply(feeds.update(slots))
            }
        }
        let change = feeds.fill()
        guard !change.subscribe.isEmpty else { return }
        expect(change)
        send(.subscribe(change.subscribe.map(request)))
    }

    private func request(_ feed: FeedName) -> FeedRequest {
        FeedRequest(
            accountID: feed.account, bitrate: context.options.feedBitrate, source: feed.source)
    }

    /// A change of subscriptions goes out.
    private func expect(_ change: FeedChange) {
        endpoint?.watch(Self.watchNs)
        apply(feeds.expect(change, now: monotonicNs()))
    }

    private func apply(_ actions: [SlotAction]) {
        for action in actions {
            switch action {
            case .rest(let ssrc): endpoint?.rest(ssrc: ssrc)
            case .mark(let ssrc, let feed, let since):
                endpoint?.mark(ssrc: ssrc, source: source(feed), since: since)
            }
        }
    }

    /// What the stamps of a feed say; 0 when its media have none.
    private func source(_ feed: FeedName) -> UInt32 {
        guard context.media.isStamped(feed.source.kind),
            let index = identity.everyone.firstIndex(of: feed.account)
        else { return 0 }
        var publisher = place
        publisher.number += index - place.index
        return publisher.streamSource(feed.source.number)
    }

    func remap() {
        guard endpoint != nil, socket != nil else { return }
        let change = feeds.turn()
        guard !change.isEmpty else { return }
        expect(change)
        let (old, new) = (change.unsubscribe.map(request), change.subscribe.map(request))
        if change.isSplit {
            send(.unsubscribe(old))
            send(.subscribe(new))
        } else {
            send(.unsubscribeSubscribe(unsubscribe: old, subscribe: new))
        }
    }

    func feedState() -> FeedState { feeds.state }

    // MARK: - Leaving

    func leave() async {
        guard !isLeaving else { return }
        isLeaving = true
        fail(LoadFailure("left while joining"))
        if let socket {
            if place.isHost {
                send(.end)
            } else {
                send(.leave(accountID: identity.account.accountID))
            }
            socket.close()
        }
        endpoint = nil
        await transport.close()
    }
}

extension FeedSource {
    /// In stream sources.
    fileprivate var number: UInt32 {
        switch self {
        case .microphone: 0
        case .camera: 1
        case .screen: 2
        }
    }
}
