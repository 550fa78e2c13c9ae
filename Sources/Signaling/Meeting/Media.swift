// What the media plane tells a meeting, and what the peers learn from it.
// SPDX-License-Identifier: Apache-2.0

extension Meeting {
    mutating func negotiate(_ id: PeerID, _ offer: Offer) throws(Refusal) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        guard !peer.isNegotiating else { throw Refusal("the offer before is still being answered") }
        peers[id]?.isNegotiating = true
        return [.negotiate(id, offer, mayPublish: !peer.isGhost)]
    }

    /// The offer was answered: what the peer publishes and which slots it has from now on.
    ///
    /// - Returns: first the ANSWER; `closeMedia` alone when the peer has left meanwhile.
    public mutating func negotiated(
        _ id: PeerID, answer: String, feeds: [PublishedFeed], slots: [SlotOffer]
    ) -> [MeetingAction] {
        guard var peer = peers[id] else { return [.closeMedia(id)] }
        peer.isNegotiating = false
        var published: [FeedSource: PublishedState] = [:]
        var renewed: Set<FeedKey> = []
        var actions = send(.answer(sdp: answer), to: id)
        for feed in feeds {
            let old = feed.isNew ? nil : peer.feeds[feed.source]
            published[feed.source] = old ?? PublishedState(codec: feed.codec)
            published[feed.source]?.codec = feed.codec
            guard feed.isNew else { continue }
            renewed.insert(FeedKey(publisher: id, source: feed.source))
            if peer.muted.contains(feed.source) {
                actions.append(.setMuted(id, feed.source, true))
            }
        }
        let oldList = peer.feedList
        peer.feeds = published
        let vanished = Self.merge(slots, into: &peer)
        setSlots(peer.slots, of: id)
        peers[id] = peer
        noteMicrophone(of: id)
        if peer.feedList != oldList { actions += relayFeeds(of: id) }
        if !vanished.isEmpty { actions.append(.remap(id, vanished.map { .unbind(mid: $0) })) }
        let own = reconcile(id, renewed: renewed)
        actions += own
        // A new answer may have changed the list of slots without changing a binding.
        if own.isEmpty, peers[id]?.slots.isEmpty == false { actions += tellSlots(of: id) }
        return actions + reconcileFollowers(of: id, renewed: renewed)
    }

    /// Replaces the slots by those of a new answer; known ones keep what they carry. Returns the
    /// mids of bound slots that no longer exist.
    private static func merge(_ offers: [SlotOffer], into peer: inout Peer) -> [String] {
        var known: [String: PeerSlot] = [:]
        for slot in peer.slots { known[slot.offer.mid] = slot }
        var vanished: [String] = []
        peer.slots = offers.map { offer in
            guard var slot = known.removeValue(forKey: offer.mid), slot.offer.kind == offer.kind,
                !offer.isNew
            else { return PeerSlot(offer: offer) }
            slot.offer = offer
            return slot
        }
        for slot in known.values where slot.bound != nil { vanished.append(slot.offer.mid) }
        return vanished.sorted()
    }

    /// The offer could not be answered; the peer may send another.
    public mutating func negotiationFailed(_ id: PeerID, message: String) -> [MeetingAction] {
        guard peers[id] != nil else { return [.closeMedia(id)] }
        peers[id]?.isNegotiating = false
        return send(.error(message: "OFFER: \(message)"), to: id)
    }

    /// The peer's transport is gone (consent expired, DTLS closed): its feeds are withdrawn and
    /// its slots void until it offers anew.
    public mutating func mediaLost(_ id: PeerID) -> [MeetingAction] {
        guard peers[id] != nil else { return [] }
        let hadFeeds = !(peers[id]?.feeds.isEmpty ?? true)
        peers[id]?.feeds = [:]
        setSlots([], of: id)
        peers[id]?.isNegotiating = false
        speakers.forget(id)
        noteMicrophone(of: id)
        return (hadFeeds ? relayFeeds(of: id) : []) + reconcileFollowers(of: id)
            + [.closeMedia(id)]
    }

    /// A slot carries another encoding, or another bitrate (bit/s), than it did. The peer is told
    /// with the next `tick`: after a remap many slots change within a moment.
    public mutating func slotLayer(
        _ id: PeerID, mid: String, layer: String?, bitrate: Int
    ) {
        guard let index = peers[id]?.slots.firstIndex(where: { $0.offer.mid == mid }),
            peers[id]?.slots[index].bound != nil
        else { return }
        let isSwitch = peers[id]?.slots[index].layer != layer
        peers[id]?.slots[index].layer = layer
        peers[id]?.slots[index].bitrate = max(0, bitrate)
        if isSwitch { slotsToTell.insert(id) }
    }

    /// Which layers a feed has, as measured. Told when their number changes or a bitrate moves by
    /// more than a quarter: to all others, in a large meeting by `tick` and to those who subscribe
    /// to the account.
    public mutating func feedLayers(
        _ id: PeerID, _ source: FeedSource, _ layers: [Feed.Layer]
    ) -> [MeetingAction] {
        guard let old = peers[id]?.feeds[source]?.layers else { return [] }
        let isNews =
            old.count != layers.count
            || zip(old, layers).contains { before, after in
                before.width != after.width || before.height != after.height
                    || abs(before.bitrate - after.bitrate) * 4 > max(before.bitrate, 40_000)
            }
        guard isNews else { return [] }
        peers[id]?.feeds[source]?.layers = layers
        guard isLarge else { return relayFeeds(of: id) }
        if !layersToTell.contains(id) { layersToTell.append(id) }
        return []
    }

    /// FEEDS of the accounts whose layers changed, to their subscribers: once a second as many as
    /// make `feedsPerSecond` packets, the longest waiting first.
    mutating func tellLayers(now: Duration) -> [MeetingAction] {
        guard !layersToTell.isEmpty, now >= (layersToldAt ?? .zero) + .seconds(1) else { return [] }
        layersToldAt = now
        var actions: [MeetingAction] = []
        var (packets, told) = (0, 0)
        for id in layersToTell where packets < Self.feedsPerSecond {
            told += 1
            guard let publisher = peers[id] else { continue }
            let watchers = followers.watchers[publisher.accountID] ?? []
            let sockets = watchers.sorted { $0.value < $1.value }.compactMap { peers[$0]?.socket }
            packets += max(1, sockets.count)
            guard !sockets.isEmpty else { continue }
            let feeds = PacketBody.feeds(
                accountID: publisher.accountID, feeds: publisher.feedList)
            actions.append(.relay(Packet(self.id, feeds), to: sockets))
        }
        layersToTell.removeFirst(told)
        return actions
    }

    /// Levels of microphones that are being heard, −dBov: 0 loudest, 127 silence.
    public mutating func audioLevels(
        _ levels: [(peer: PeerID, level: Int)], now: Duration
    ) -> [MeetingAction] {
        guard !isEnded else { return [] }
        speakers.hear(
            levels.filter { level in
                guard let peer = peers[level.peer] else { return false }
                return peer.feeds[.microphone] != nil && !peer.muted.contains(.microphone)
            }, now: now)
        var actions: [MeetingAction] = []
        if let active = speakers.due(now: now) { actions += relaySpeakers(active) }
        return actions + reconcileVoices()
    }

    /// The estimate of a peer's downlink, bit/s, and its loss, 0 to 1. QUALITY goes out at most
    /// once a second.
    public mutating func estimate(
        _ id: PeerID, downlink: Int, loss: Double, now: Duration
    ) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        if let last = peer.qualitySentAt, now - last < .seconds(1) { return [] }
        peers[id]?.qualitySentAt = now
        let quality = Quality(
            downlink: max(0, downlink), loss: min(max(loss.isFinite ? loss : 0, 0), 1),
            held: heldSubscriptions(of: peer))
        return send(.quality(quality), to: id)
    }

    /// Subscriptions that get less than they asked for although the publisher sends it.
    private func heldSubscriptions(of peer: Peer) -> [Quality.Held] {
        peer.wanted.compactMap { request in
            guard request.source.kind == .video,
                let publisher = peerByAccount[request.accountID],
                let feed = peers[publisher]?.feeds[request.source],
                peers[publisher]?.muted.contains(request.source) == false
            else { return nil }
            let key = FeedKey(publisher: publisher, source: request.source)
            func held(_ given: Int, _ reason: String) -> Quality.Held {
                Quality.Held(
                    accountID: request.accountID, source: request.source,
                    wanted: request.bitrate, given: given, reason: reason)
            }
            guard let slot = peer.slots.first(where: { $0.bound == key }) else {
                let hasCodec = peer.slots.contains { $0.offer.codecs.contains(feed.codec) }
                return held(0, hasCodec || peer.slots.isEmpty ? "no_free_slot" : "codec")
            }
            let best = feed.layers.map(\.bitrate).filter { $0 <= request.bitrate }.max() ?? 0
            return slot.bitrate * 5 < best * 4 ? held(slot.bitrate, "downlink") : nil
        }
    }

    func relayFeeds(of id: PeerID) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        return relay(.feeds(accountID: peer.accountID, feeds: peer.feedList), except: id)
    }

    func relaySpeakers(_ active: [(peer: PeerID, level: Int)]) -> [MeetingAction] {
        relay(
            .speakers(
                active.compactMap { entry in
                    peers[entry.peer].map {
                        SpeakerLevel(accountID: $0.accountID, level: entry.level)
                    }
                }))
    }
}
