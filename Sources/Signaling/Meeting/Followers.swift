// Whom an event about one peer concerns: what keeps a large meeting's events cheap.
// SPDX-License-Identifier: Apache-2.0

/// Who follows whom. State: some dozen bytes for each subscription and bound slot.
struct Followers: Sendable {
    /// Peers that subscribe to an account.
    private(set) var watchers: [String: Set<PeerID>] = [:]
    /// Peers that carry a feed in a slot.
    private(set) var carriers: [FeedKey: Set<PeerID>] = [:]
    /// Peers with an empty audio slot.
    private(set) var withAudioRoom: Set<PeerID> = []

    mutating func noteWanted(_ id: PeerID, from old: [FeedRequest], to new: [FeedRequest]) {
        let (former, current) = (Set(old.map(\.accountID)), Set(new.map(\.accountID)))
        for account in former where !current.contains(account) {
            watchers[account]?.remove(id)
            if watchers[account]?.isEmpty ?? false { watchers[account] = nil }
        }
        for account in current where !former.contains(account) {
            watchers[account, default: []].insert(id)
        }
    }

    mutating func noteSlots(_ id: PeerID, from old: [PeerSlot], to new: [PeerSlot]) {
        let (former, current) = (Set(old.compactMap(\.bound)), Set(new.compactMap(\.bound)))
        for key in former where !current.contains(key) { remove(id, from: key) }
        for key in current where !former.contains(key) { carriers[key, default: []].insert(id) }
        if new.contains(where: { $0.bound == nil && $0.offer.kind == .audio }) {
            withAudioRoom.insert(id)
        } else {
            withAudioRoom.remove(id)
        }
    }

    /// One slot of a peer carries another feed.
    mutating func noteSwap(_ id: PeerID, from old: FeedKey?, to new: FeedKey) {
        if let old { remove(id, from: old) }
        carriers[new, default: []].insert(id)
    }

    /// Peers that carry anything of a peer.
    func carriers(of publisher: PeerID) -> Set<PeerID> {
        FeedSource.allCases.reduce(into: []) {
            $0.formUnion(carriers[FeedKey(publisher: publisher, source: $1)] ?? [])
        }
    }

    private mutating func remove(_ id: PeerID, from key: FeedKey) {
        carriers[key]?.remove(id)
        if carriers[key]?.isEmpty ?? false { carriers[key] = nil }
    }
}

extension Meeting {
    mutating func setWanted(_ wanted: [FeedRequest], of id: PeerID) {
        followers.noteWanted(id, from: peers[id]?.wanted ?? [], to: wanted)
        peers[id]?.wanted = wanted
    }

    mutating func setSlots(_ slots: [PeerSlot], of id: PeerID) {
        followers.noteSlots(id, from: peers[id]?.slots ?? [], to: slots)
        peers[id]?.slots = slots
    }

    /// Keeps `microphones` in step with what a peer publishes, which may be nothing any more.
    mutating func noteMicrophone(of id: PeerID) {
        let has = peers[id]?.feeds[.microphone] != nil && peers[id]?.isGhost == false
        let place = microphones.firstIndex { $0.value >= id.value } ?? microphones.count
        let isKnown = place < microphones.count && microphones[place] == id
        if has, !isKnown { microphones.insert(id, at: place) }
        if !has, isKnown { microphones.remove(at: place) }
    }

    /// Brings the slots of those peers in line that something about `publisher` concerns: who
    /// carries it, wants it, or has room for another voice. In a large meeting the next ticks do.
    mutating func reconcileFollowers(
        of publisher: PeerID, renewed: Set<FeedKey> = []
    ) -> [MeetingAction] {
        var concerned = followers.carriers(of: publisher)
        if let peer = peers[publisher], !peer.feeds.isEmpty {
            concerned.formUnion(followers.watchers[peer.accountID] ?? [])
            if peer.feeds[.microphone] != nil { concerned.formUnion(followers.withAudioRoom) }
        }
        concerned.remove(publisher)
        var actions: [MeetingAction] = []
        for id in concerned.sorted(by: { $0.value < $1.value }) {
            if isLarge {
                if toReconcile[id] == nil { reconcileOrder.append(id) }
                toReconcile[id, default: []].formUnion(renewed)
            } else {
                actions += reconcile(id, renewed: renewed)
            }
        }
        return actions
    }

    /// Does some of what was put off, the longest waiting first.
    mutating func doSome() -> [MeetingAction] {
        var actions: [MeetingAction] = []
        let due = reconcileOrder.prefix(Self.stepsPerTick)
        for id in due where toReconcile[id] != nil { actions += reconcile(id) }
        reconcileOrder.removeFirst(due.count)
        let told = slotsToTell.sorted { $0.value < $1.value }.prefix(Self.stepsPerTick)
        for id in told { actions += tellSlots(of: id) }
        return actions
    }

    // MARK: Voices

    /// Brings those peers' voices up to date that do not hear somebody who speaks.
    mutating func reconcileVoices() -> [MeetingAction] {
        var actions: [MeetingAction] = []
        for voice in speakers.active.sorted(by: { $0.value < $1.value }) {
            guard let target = target(voice, .microphone, 0) else { continue }
            let hearing = followers.carriers[target.key] ?? []
            for id in order where id != voice && !hearing.contains(id) {
                let changes = carry(target, at: id)
                if !changes.isEmpty { actions.append(.remap(id, changes)) }
            }
        }
        return actions
    }

    /// Puts a voice into a peer's empty audio slot, else in place of the one that was silent the
    /// longest. Nobody's word is cut: with all slots speaking nothing changes.
    private mutating func carry(_ voice: Target, at id: PeerID) -> [SlotChange] {
        guard let peer = peers[id] else { return [] }
        let room = peer.slots.count { $0.offer.kind == .audio }
        guard room > 0, room < microphones.count - 1,
            let index = peer.freeSlot(for: voice.codec) ?? quietSlot(of: peer, for: voice.codec)
        else { return [] }
        let (mid, former) = (peer.slots[index].offer.mid, peer.slots[index].bound)
        peers[id]?.slots[index].clear()
        peers[id]?.slots[index].bound = voice.key
        followers.noteSwap(id, from: former, to: voice.key)
        slotsToTell.insert(id)
        let bind = SlotChange.bind(
            mid: mid, publisher: voice.key.publisher, source: .microphone, bitrate: 0)
        return former == nil ? [bind] : [.unbind(mid: mid), bind]
    }

    private func quietSlot(of peer: Peer, for codec: MediaCodec) -> Int? {
        let pinned = Set(peer.wanted.filter { $0.source == .microphone }.map(\.accountID))
        var quiet: (index: Int, rank: Int, publisher: UInt32)?
        for (index, slot) in peer.slots.enumerated() {
            guard let key = slot.bound, slot.offer.codecs.contains(codec),
                pinned.isEmpty || !pinned.contains(peers[key.publisher]?.accountID ?? "")
            else { continue }
            let rank = speakers.rank(of: key.publisher, isCarried: true)
            guard rank > 0 else { continue }
            let (quietest, publisher) = (quiet?.rank ?? 0, quiet?.publisher ?? 0)
            if (rank, key.publisher.value) > (quietest, publisher) {
                quiet = (index, rank, key.publisher.value)
            }
        }
        return quiet?.index
    }
}
