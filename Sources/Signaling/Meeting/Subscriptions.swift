// What each peer receives: subscriptions, and the slots that carry them.
// SPDX-License-Identifier: Apache-2.0

extension Meeting {
    /// Applies one SUBSCRIBE, UNSUBSCRIBE or UNSUB_SUB as a whole, or refuses it as a whole.
    mutating func subscribe(
        _ id: PeerID, remove: [FeedRequest], add: [FeedRequest]
    ) throws(Refusal) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        var wanted = peer.wanted
        for request in remove {
            if let index = wanted.firstIndex(where: { $0.isSameFeed(as: request) }) {
                wanted.remove(at: index)
            } else if !departedAccounts.contains(request.accountID) {
                let source = request.source.rawValue
                throw Refusal("not subscribed to the \(source) of \(request.accountID)")
            }
        }
        for request in add {
            guard request.accountID != peer.accountID || peer.isGhost else {
                throw Refusal("nobody subscribes to themselves")
            }
            guard peerByAccount[request.accountID] != nil else {
                throw Refusal("\(request.accountID) is not in the meeting")
            }
            if let index = wanted.firstIndex(where: { $0.isSameFeed(as: request) }) {
                wanted[index] = request
            } else {
                wanted.append(request)
            }
        }
        let most = peer.isGhost ? configuration.recorderFeedsMax : configuration.participantFeedsMax
        guard wanted.count(where: { $0.source.kind == .video }) <= most else {
            throw Refusal("more than \(most) video feeds at once")
        }
        setWanted(wanted, of: id)
        return reconcile(id)
    }

    /// SLOTS, and nothing is left to tell.
    mutating func tellSlots(of id: PeerID) -> [MeetingAction] {
        slotsToTell.remove(id)
        guard let peer = peers[id] else { return [] }
        return send(slots(of: peer), to: id)
    }

    private func slots(of peer: Peer) -> PacketBody {
        .slots(
            peer.slots.map { slot in
                SlotState(
                    mid: slot.offer.mid,
                    accountID: slot.bound.flatMap { peers[$0.publisher]?.accountID } ?? "",
                    source: slot.bound?.source, layer: slot.layer, bitrate: slot.bitrate)
            })
    }

    /// Brings the slots of a peer in line with what it wants and what exists: one remap.
    ///
    /// A slot whose feed is still wanted keeps it; a wanted feed takes the first free slot that
    /// has its codec, in the order of the subscriptions; what finds none is bound later.
    /// - Parameter renewed: feeds that must be bound anew although they are bound.
    mutating func reconcile(_ id: PeerID, renewed: Set<FeedKey> = []) -> [MeetingAction] {
        let renewed = toReconcile.removeValue(forKey: id)?.union(renewed) ?? renewed
        guard var peer = peers[id], !peer.slots.isEmpty else { return [] }
        let targets = videoTargets(of: peer) + audioTargets(of: peer)
        var bitrates: [FeedKey: Int] = [:]
        for target in targets { bitrates[target.key] = target.bitrate }
        var changes: [SlotChange] = []
        var carried: Set<FeedKey> = []
        for index in peer.slots.indices {
            guard let key = peer.slots[index].bound else { continue }
            let mid = peer.slots[index].offer.mid
            guard let bitrate = bitrates[key], !renewed.contains(key),
                carried.insert(key).inserted
            else {
                peer.slots[index].clear()
                changes.append(.unbind(mid: mid))
                continue
            }
            if bitrate != peer.slots[index].wanted {
                peer.slots[index].wanted = bitrate
                changes.append(.setBitrate(mid: mid, bitrate: bitrate))
            }
        }
        for target in targets where !carried.contains(target.key) {
            guard let index = peer.freeSlot(for: target.codec) else { continue }
            peer.slots[index].bound = target.key
            peer.slots[index].wanted = target.bitrate
            changes.append(
                .bind(
                    mid: peer.slots[index].offer.mid, publisher: target.key.publisher,
                    source: target.key.source, bitrate: target.bitrate))
        }
        guard !changes.isEmpty else { return [] }
        setSlots(peer.slots, of: id)
        return [.remap(id, changes)] + tellSlots(of: id)
    }

    struct Target {
        var key: FeedKey
        var codec: MediaCodec
        var bitrate: Int
    }

    func target(_ publisher: PeerID, _ source: FeedSource, _ bitrate: Int) -> Target? {
        peers[publisher]?.feeds[source].map {
            Target(
                key: FeedKey(publisher: publisher, source: source), codec: $0.codec,
                bitrate: bitrate)
        }
    }

    private func videoTargets(of peer: Peer) -> [Target] {
        peer.wanted.compactMap { request in
            guard request.source.kind == .video,
                let publisher = peerByAccount[request.accountID]
            else { return nil }
            return target(publisher, request.source, request.bitrate)
        }
    }

    /// Every microphone but the peer's own while the slots suffice, beyond that those that
    /// somebody asked for, then those heard last; a voice that is carried and was heard within
    /// `Speakers.holdTime` is not cut off.
    private func audioTargets(of peer: Peer) -> [Target] {
        let room = peer.slots.count { $0.offer.kind == .audio }
        guard microphones.count - 1 > room else {
            let targets = microphones.compactMap {
                $0 == peer.id ? nil : target($0, .microphone, 0)
            }
            return targets.count > room ? Array(ranked(targets, for: peer).prefix(room)) : targets
        }
        // Of a large meeting's microphones only those that may be among the first: whoever was
        // asked for, is carried or was heard, and of the others as many as fit.
        var candidates = Set(peer.slots.compactMap(\.bound?.publisher)).union(speakers.heard)
        for request in peer.wanted where request.source == .microphone {
            if let publisher = peerByAccount[request.accountID] { candidates.insert(publisher) }
        }
        var others = 0
        for id in microphones where others <= room && candidates.insert(id).inserted {
            others += 1
        }
        let targets = candidates.sorted { $0.value < $1.value }.compactMap {
            $0 == peer.id ? nil : target($0, .microphone, 0)
        }
        return Array(ranked(targets, for: peer).prefix(room))
    }

    /// Microphones, in the order of joining, in the order in which they are to be heard.
    private func ranked(_ targets: [Target], for peer: Peer) -> [Target] {
        let pinned = Set(peer.wanted.filter { $0.source == .microphone }.map(\.accountID))
        let carried = Set(peer.slots.compactMap(\.bound))
        var ranked: [(Target, Int, Int)] = []
        for (index, target) in targets.enumerated() {
            let isPinned = !pinned.isEmpty
                && pinned.contains(peers[target.key.publisher]?.accountID ?? "")
            let rank = speakers.rank(
                of: target.key.publisher, isCarried: carried.contains(target.key))
            ranked.append((target, isPinned ? 0 : rank, index))
        }
        ranked.sort { ($0.1, $0.2) < ($1.1, $1.2) }
        return ranked.map(\.0)
    }
}

extension Peer {
    /// The first empty slot that can carry `codec`.
    func freeSlot(for codec: MediaCodec) -> Int? {
        slots.firstIndex {
            $0.bound == nil && $0.offer.kind == codec.kind && $0.offer.codecs.contains(codec)
        }
    }
}

extension FeedRequest {
    func isSameFeed(as other: FeedRequest) -> Bool {
        accountID == other.accountID && source == other.source
    }
}
