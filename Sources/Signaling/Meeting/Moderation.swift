// Conversation and moderation: MUTE, LOCK, HAND, CHAT, REACTION.
// SPDX-License-Identifier: Apache-2.0

extension Meeting {
    /// Everyone mutes and unmutes themselves; the host may mute others but not unmute them.
    mutating func mute(_ id: PeerID, _ mute: Mute) throws(Refusal) -> [MeetingAction] {
        let peer = try requireParticipant(id)
        guard let target = peerByAccount[mute.accountID] else {
            throw Refusal("account_id is not in the meeting")
        }
        let isOwn = mute.accountID == peer.accountID
        if !isOwn {
            try requireHost(id)
            guard mute.isMuted else { throw Refusal("only they themselves may unmute") }
        }
        let source = mute.effectiveSource
        let isChange: Bool
        if mute.isMuted {
            isChange = peers[target]?.muted.insert(source).inserted ?? false
        } else {
            isChange = peers[target]?.muted.remove(source) != nil
        }
        guard isChange else { return [] }
        var actions: [MeetingAction] = []
        if peers[target]?.feeds[source] != nil {
            actions.append(.setMuted(target, source, mute.isMuted))
        }
        if source == .microphone, mute.isMuted { speakers.forget(target) }
        actions += relay(.mute(mute), except: id)
        return actions + relayFeeds(of: target)
    }

    /// Locks or opens the door. Who waits comes in when there is no waiting room any more.
    mutating func lock(
        _ id: PeerID, _ lock: Lock, now: Duration
    ) throws(Refusal) -> [MeetingAction] {
        try requireHost(id)
        isLocked = lock.isLocked
        hasWaitingRoom = lock.hasWaitingRoom ?? hasWaitingRoom
        var actions = relay(.lock(Lock(isLocked: isLocked, hasWaitingRoom: hasWaitingRoom)))
        if !hasWaitingRoom && !isLocked { actions += admitAll(now: now) }
        return actions
    }

    /// Everyone raises their own hand; the host may lower any.
    mutating func raise(_ id: PeerID, _ hand: Hand) throws(Refusal) -> [MeetingAction] {
        let peer = try requireParticipant(id)
        let accountID = hand.accountID ?? peer.accountID
        guard let target = peerByAccount[accountID] else {
            throw Refusal("account_id is not in the meeting")
        }
        if target != id {
            try requireHost(id)
            guard !hand.isRaised else { throw Refusal("only they themselves may raise their hand") }
        }
        peers[target]?.hasRaisedHand = hand.isRaised
        return relay(.hand(Hand(accountID: accountID, isRaised: hand.isRaised)), except: id)
    }

    func say(_ id: PeerID, _ chat: Chat) throws(Refusal) -> [MeetingAction] {
        let peer = try requireParticipant(id)
        var chat = chat
        chat.accountID = peer.accountID
        guard let to = chat.to else { return relay(.chat(chat), except: id) }
        guard let target = peerByAccount[to] else { throw Refusal("to is not in the meeting") }
        return send(.chat(chat), to: target)
    }

    func react(_ id: PeerID, _ reaction: Reaction) throws(Refusal) -> [MeetingAction] {
        let peer = try requireParticipant(id)
        let news = Reaction(accountID: peer.accountID, reaction: reaction.reaction)
        return relay(.reaction(news), except: id)
    }
}
