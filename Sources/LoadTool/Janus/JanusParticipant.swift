// One participant of a room of Janus' videoroom. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import NIOCore
import Signaling

/// Publishes over one transport and receives every feed over a second, as clients of the videoroom
/// do. Lives on one event loop.
actor JanusParticipant: SyntheticParticipant {
    private static let plugin = "janus.plugin.videoroom"
    private static let answerTimeout = TimeAmount.seconds(30)
    private static let connectTimeout = Duration.seconds(20)
    /// Sessions end after 60 s of silence by default.
    private static let keepAlive = TimeAmount.seconds(25)
    /// So long nobody has published: the feeds that are there are taken, though more were expected.
    private static let patience = TimeAmount.seconds(5)

    private let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }
    private let place: Place
    private let context: LoadContext
    private let publishing: MediaTransport
    private let receiving: MediaTransport
    private var generator: Seeded
    private var calls = JanusCalls()
    private var socket: MeetingSocket?
    private var session: UInt64 = 0
    private var publisher: UInt64 = 0
    private var known: [UInt64] = []
    private var bound = 0
    private var isSubscribing = false
    private var isLeaving = false
    private var timers: [RepeatedTask] = []
    private var waitForMore: Scheduled<Void>?

    init(_ place: Place, _ context: LoadContext) {
        self.place = place
        self.context = context
        eventLoop = context.group.next()
        publishing = MediaTransport(on: eventLoop, certificate: context.certificate)
        receiving = MediaTransport(on: eventLoop, certificate: context.certificate)
        generator = context.generator(place)
    }

    private var expectedFeeds: Int {
        let expected = context.expected(for: place)
        return max(expected.video, expected.audio)
    }

    // MARK: - Joining

    func join() async throws -> JoinTimes {
        do {
            return try await joinSteps()
        } catch {
            await leave()
            throw error
        }
    }

    private func joinSteps() async throws -> JoinTimes {
        var times = JoinTimes()
        let begin = monotonicNs()
        try await open()
        session = try await identifier(JanusRequest("create"))
        startKeepAlive()
        publisher = try await attach()
        let granted = monotonicNs()
        let joined = try await message(
            publisher,
            JanusBody(request: "join", ptype: "publisher", room: place.meeting + 1))
        add(joined.plugindata?.data.publishers)
        let entered = monotonicNs()
        var connected = entered
        if place.isPublisher, !context.options.publishedSources.isEmpty {
            let negotiated = try await publish()
            connected = monotonicNs()
            times.negotiate = Double(negotiated - entered) / 1e6
            times.connect = Double(connected - negotiated) / 1e6
        }
        times.grant = Double(granted - begin) / 1e6
        times.enter = Double(entered - granted) / 1e6
        times.total = Double(connected - begin) / 1e6
        subscribeWhenComplete()
        return times
    }

    private func open() async throws {
        guard let url = LoadURL(context.options.url) else { throw LoadFailure("no URL") }
        var options = SocketOptions()
        options.subprotocol = "janus-protocol"
        let events = SocketEvents(
            text: { [weak self] text in self?.assumeIsolated { $0.receive(text) } },
            closed: { [weak self] code in self?.assumeIsolated { $0.socketClosed(code) } })
        socket = try await MeetingSocket.connect(
            "ws://\(url.authority)/", on: eventLoop, options: options, index: place.number,
            events: events)
    }

    private func startKeepAlive() {
        timers.append(
            eventLoop.scheduleRepeatedTask(
                initialDelay: Self.keepAlive, delay: Self.keepAlive
            ) { [weak self] _ in
                self?.assumeIsolated { $0.send(JanusRequest("keepalive")) }
            })
    }

    // MARK: - Publishing

    /// Returns when the answer came.
    private func publish() async throws -> UInt64 {
        var plan = OfferPlan()
        plan.sessionID = generator.next() >> 2
        plan.videoCodecs = [context.media.videoCodec]
        plan.publications = context.options.publishedSources.map { source in
            let isAudio = source.kind == .audio
            return OfferPlan.Publication(
                source: source, codec: isAudio ? .opus : context.media.videoCodec,
                ssrcs: [StreamNumbers(ssrc: number(), rtx: isAudio ? nil : number())])
        }
        let writer = OfferWriter(
            secret: publishing.secret, fingerprint: context.certificate.fingerprint)
        let description = JanusDescription(type: "offer", sdp: writer.write(plan))
        let reply = try await message(publisher, JanusBody(request: "publish"), description)
        guard let sdp = reply.jsep?.sdp else { throw LoadFailure("Janus answered no offer") }
        let answer = try AnswerReader.read(sdp)
        let negotiated = monotonicNs()
        let endpoint = try await connect(publishing, answer)
        for (index, publication) in plan.publications.enumerated() {
            let mid = plan.mid(ofPublication: index)
            guard answer.accepted.contains(mid) else {
                throw LoadFailure("the server takes no \(publication.source.rawValue)")
            }
            try endpoint.publish(stream(publication, mid: mid, answer))
        }
        return negotiated
    }

    private func number() -> UInt32 { UInt32.random(in: 1 ... .max, using: &generator) }

    private func stream(
        _ publication: OfferPlan.Publication, mid: String, _ answer: AnswerPlan
    ) -> StreamPlan {
        let types = PayloadTypes.of(publication.codec)
        let kind = publication.source.kind
        let period: UInt32 = kind == .audio ? 20_000 : 33_000
        var stream = StreamPlan()
        stream.kind = kind
        stream.codec = publication.codec
        stream.ssrc = publication.ssrcs[0].ssrc
        stream.rtxSSRC = publication.ssrcs[0].rtx ?? 0
        stream.payloadType = types.media
        stream.rtxPayloadType = types.rtx
        stream.mid = answer.extensions.mid == 0 ? "" : mid
        stream.source = place.streamSource(kind == .audio ? 0 : 1)
        stream.media = context.media.media(kind, layer: 0)
        stream.phaseUs = UInt32.random(in: 0..<period, using: &generator)
        stream.firstSequence = UInt16.random(in: 0..<0x4000, using: &generator)
        stream.firstTimestamp = number()
        return stream
    }

    private func connect(
        _ transport: MediaTransport, _ plan: AnswerPlan
    ) async throws -> MediaEndpoint {
        var options = EndpointOptions()
        options.decrypt = context.options.decrypt
        options.extensions = plan.extensions
        if !plan.slots.isEmpty { options.extensions.transportSequence = 0 }
        let remote = RemoteSide(
            secret: plan.secret, address: plan.candidates[0], fingerprints: plan.fingerprints,
            role: plan.role)
        let losses = context.losses
        return try await transport.connect(
            context.loops, to: remote, options: options, timeout: Self.connectTimeout
        ) { losses.note($0) }
    }

    // MARK: - Receiving

    private func add(_ publishers: [JanusReply.Identifier]?) {
        for publisher in publishers ?? [] where !known.contains(publisher.id) {
            known.append(publisher.id)
        }
    }

    /// One subscription for all feeds: adding each as it comes would renegotiate every time, which
    /// is Janus' own affair and not what a comparison of forwarding is about.
    private func subscribeWhenComplete() {
        waitForMore?.cancel()
        guard !isSubscribing, !isLeaving, publisher != 0, expectedFeeds > 0 else { return }
        if known.count >= expectedFeeds { return subscribe() }
        waitForMore = eventLoop.scheduleTask(in: Self.patience) { [weak self] in
            self?.assumeIsolated { $0.subscribe() }
        }
    }

    private func subscribe() {
        guard !isSubscribing, !isLeaving, !known.isEmpty else { return }
        isSubscribing = true
        Task {
            do { try await receiveFeeds() } catch {
                context.losses.note(
                    error as? LoadFailure ?? LoadFailure("no subscription", "\(error)"))
            }
        }
    }

    private func receiveFeeds() async throws {
        let feeds = known.prefix(max(1, context.options.feeds)).map { JanusFeed(feed: $0) }
        let subscriber = try await attach()
        let begin = monotonicNs()
        let reply = try await message(
            subscriber,
            JanusBody(
                request: "join", ptype: "subscriber", room: place.meeting + 1,
                streams: Array(feeds)))
        guard let offer = reply.jsep?.sdp else { throw LoadFailure("Janus made no offer") }
        let plan = try AnswerReader.read(offer)
        let answer = JanusAnswer.write(
            offer,
            transport: [
                "a=ice-ufrag:\(receiving.secret.ufrag)", "a=ice-pwd:\(receiving.secret.pwd)",
                "a=fingerprint:\(context.certificate.fingerprint.attribute)", "a=setup:active",
            ])
        _ = try await message(
            subscriber, JanusBody(request: "start"), JanusDescription(type: "answer", sdp: answer))
        let endpoint = try await connect(receiving, plan)
        try endpoint.expect(plan.slots.map(\.plan))
        let videos = plan.slots.filter { $0.plan.kind == .video }
        for slot in videos { endpoint.mark(ssrc: slot.plan.ssrc, source: 0, since: begin) }
        bound = videos.count
    }

    func feedState() -> FeedState {
        FeedState(wanted: min(context.options.feeds, expectedFeeds), bound: bound)
    }

    /// Not known to this dialect; its options say so.
    func remap() {}

    // MARK: - Messages

    private func attach() async throws -> UInt64 {
        var request = JanusRequest("attach")
        request.plugin = Self.plugin
        return try await identifier(request)
    }

    private func identifier(_ request: JanusRequest) async throws -> UInt64 {
        guard let id = try await ask(request).data?.id else {
            throw LoadFailure("Janus gave no id", request.janus)
        }
        return id
    }

    private func message(
        _ handle: UInt64, _ body: JanusBody, _ description: JanusDescription? = nil
    ) async throws -> JanusReply {
        var request = JanusRequest("message")
        request.handle_id = handle
        request.body = body
        request.jsep = description
        return try await ask(request)
    }

    private func ask(_ request: JanusRequest) async throws -> JanusReply {
        guard socket != nil else { throw LoadFailure("the server closed the socket") }
        let transaction = calls.next()
        let timer = eventLoop.scheduleTask(in: Self.answerTimeout) { [weak self] in
            self?.assumeIsolated {
                $0.calls.fail(transaction, LoadFailure("no answer to \(request.janus)"))
            }
        }
        defer { timer.cancel() }
        return try await withCheckedThrowingContinuation { continuation in
            calls.wait(transaction, continuation)
            send(request, transaction)
        }
    }

    private func send(_ request: JanusRequest, _ transaction: String? = nil) {
        var request = request
        request.transaction = transaction ?? calls.next()
        request.session_id = session == 0 ? nil : session
        guard let text = try? request.text else { return }
        socket?.send(text)
    }

    private func receive(_ text: ByteBuffer) {
        guard let reply = try? JanusReply(text) else {
            return context.losses.note(LoadFailure("a message from Janus was not readable"))
        }
        if calls.take(reply) || isLeaving { return }
        switch reply.janus {
        case "event":
            add(reply.plugindata?.data.publishers)
            subscribeWhenComplete()
        case "hangup", "timeout", "detached":
            context.losses.note(LoadFailure("Janus: \(reply.janus)", reply.reason ?? ""))
        default: break
        }
    }

    private func socketClosed(_ code: UInt16?) {
        socket = nil
        let failure = LoadFailure("the server closed the socket", code.map { "\($0)" } ?? "")
        calls.failAll(failure)
        if !isLeaving { context.losses.note(failure) }
    }

    // MARK: - Leaving

    func leave() async {
        guard !isLeaving else { return }
        isLeaving = true
        waitForMore?.cancel()
        for timer in timers { timer.cancel() }
        calls.failAll(LoadFailure("left while joining"))
        if session != 0 { send(JanusRequest("destroy")) }
        socket?.close()
        await publishing.close()
        await receiving.close()
    }
}
