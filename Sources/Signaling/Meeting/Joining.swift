// Who comes into a meeting and how they go: INIT, JOIN, RECORD_JOIN, RESUME, LEAVE, END, KICK.
// SPDX-License-Identifier: Apache-2.0

/// A socket at the door.
struct Entry {
    var socket: SocketID
    var admission: Admission
}

extension Meeting {
    /// JOIN_DENIED for a packet that reaches no meeting, or one that refuses it.
    public static func denial(_ meetingID: String, _ reason: DenialReason) -> Packet {
        Packet(meetingID, .joinDenied(reason: reason.rawValue))
    }

    private func deny(_ socket: SocketID, _ reason: DenialReason) -> [MeetingAction] {
        [.send(Self.denial(id, reason), to: socket)]
    }

    /// The claims of a ticket that is valid here, or the reason why nobody comes in with it.
    private func check(_ admission: Admission) throws(DenialReason) -> TicketClaims {
        if isEnded { throw .ended }
        switch admission {
        case .refused(let reason): throw reason
        case .notNeeded: throw .ticketMissing
        case .verified(let claims):
            guard claims.meetingID == id, claims.host == host else { throw .ticketForeign }
            if removedAccounts.contains(claims.accountID) { throw .removed }
            return claims
        }
    }

    mutating func initiate(_ entry: Entry, host: String, now: Duration) -> [MeetingAction] {
        if peerBySocket[entry.socket] != nil {
            return [error(entry.socket, "INIT: this socket is in the meeting already")]
        }
        do {
            let claims = try check(entry.admission)
            guard claims.accountID == self.host, claims.role == .host else {
                return [error(entry.socket, "INIT: only the host may open the meeting")]
            }
            guard host == self.host else {
                return [error(entry.socket, "INIT: host is not the host of this meeting")]
            }
            return enter(entry.socket, claims, now: now)
        } catch {
            return deny(entry.socket, error)
        }
    }

    mutating func join(_ entry: Entry, accountID: String, now: Duration) -> [MeetingAction] {
        if let peer = peerBySocket[entry.socket].flatMap({ peers[$0] }) {
            guard peer.accountID == accountID, !peer.isGhost else {
                return [error(entry.socket, "JOIN: account_id is not the account of this socket")]
            }
            return send(users(for: peer), to: peer.id)
        }
        do {
            let claims = try check(entry.admission)
            guard claims.accountID == accountID, claims.role != .recorder else {
                throw DenialReason.ticketForeign
            }
            if peerByAccount[accountID] == nil, accountID != host {
                if isLocked { throw DenialReason.locked }
                if hasWaitingRoom { return try wait(entry.socket, claims) }
            }
            return enter(entry.socket, claims, now: now)
        } catch let reason as DenialReason {
            return deny(entry.socket, reason)
        } catch {
            return deny(entry.socket, .ticketInvalid)
        }
    }

    mutating func recordJoin(_ entry: Entry, now: Duration) -> [MeetingAction] {
        if peerBySocket[entry.socket] != nil {
            return [error(entry.socket, "RECORD_JOIN: this socket is in the meeting already")]
        }
        do {
            let claims = try check(entry.admission)
            guard claims.role == .recorder else { throw DenialReason.ticketForeign }
            guard ghostCount < configuration.ghostsMax else { throw DenialReason.full }
            let ghost = add(entry.socket, claims, isGhost: true)
            return welcome(ghost)
        } catch let reason as DenialReason {
            return deny(entry.socket, reason)
        } catch {
            return deny(entry.socket, .ticketInvalid)
        }
    }

    mutating func resume(_ socket: SocketID, session: String, now: Duration) -> [MeetingAction] {
        if isEnded { return deny(socket, .ended) }
        if peerBySocket[socket] != nil {
            return [error(socket, "RESUME: this socket is in the meeting already")]
        }
        guard let id = peers.values.first(where: { $0.session.isSameSecret(as: session) })?.id
        else { return deny(socket, .sessionUnknown) }
        var actions: [MeetingAction] = []
        if let old = peers[id]?.socket {
            peerBySocket[old] = nil
            actions.append(error(old, "another connection took this session over"))
            actions.append(.close(old, .replaced))
        }
        peers[id]?.socket = socket
        peers[id]?.disconnectedAt = nil
        peers[id]?.isNegotiating = false
        peerBySocket[socket] = id
        return actions + welcome(id)
    }

    mutating func leave(
        _ id: PeerID, accountID: String, now: Duration
    ) throws(Refusal) -> [MeetingAction] {
        guard peers[id]?.accountID == accountID else {
            throw Refusal("account_id is not the account of this socket")
        }
        return remove(id, now: now)
    }

    mutating func endByHost(_ id: PeerID) throws(Refusal) -> [MeetingAction] {
        guard isHost(id) else { throw Refusal("only the host may end the meeting") }
        return end(.host)
    }

    mutating func kick(
        _ id: PeerID, accountID: String, now: Duration
    ) throws(Refusal) -> [MeetingAction] {
        try requireHost(id)
        guard accountID != host else { throw Refusal("the host can't be removed") }
        guard let target = peerByAccount[accountID] else {
            throw Refusal("account_id is not in the meeting")
        }
        removedAccounts.insert(accountID)
        var actions = send(.kick(accountID: accountID), to: target)
        if let socket = peers[target]?.socket { actions.append(.close(socket, .removed)) }
        return actions + remove(target, now: now)
    }

    mutating func admit(
        _ id: PeerID, accountID: String, now: Duration
    ) throws(Refusal) -> [MeetingAction] {
        let guest = try takeGuest(id, accountID)
        return enter(guest.socket, guest.claims, now: now)
    }

    mutating func deny(_ id: PeerID, accountID: String) throws(Refusal) -> [MeetingAction] {
        let guest = try takeGuest(id, accountID)
        return deny(guest.socket, .denied) + [.close(guest.socket, .removed)]
    }

    mutating func admitAll(now: Duration) -> [MeetingAction] {
        let guests = waitingRoom
        waitingRoom = []
        return guests.flatMap { enter($0.socket, $0.claims, now: now) }
    }

    private mutating func takeGuest(
        _ id: PeerID, _ accountID: String
    ) throws(Refusal) -> WaitingGuest {
        try requireHost(id)
        guard let index = waitingRoom.firstIndex(where: { $0.claims.accountID == accountID })
        else { throw Refusal("account_id is not in the waiting room") }
        return waitingRoom.remove(at: index)
    }

    private mutating func wait(
        _ socket: SocketID, _ claims: TicketClaims
    ) throws(DenialReason) -> [MeetingAction] {
        guard waitingRoom.count < configuration.waitingMax else { throw .full }
        waitingRoom.removeAll { $0.socket == socket || $0.claims.accountID == claims.accountID }
        waitingRoom.append(WaitingGuest(socket: socket, claims: claims))
        return deny(socket, .waiting) + tellHost(Self.knock(claims))
    }

    private static func knock(_ claims: TicketClaims) -> PacketBody {
        .join(Join(accountID: claims.accountID, name: claims.name, isWaiting: true))
    }

    /// Lets a participant in. A second socket of the same account replaces the first, which the
    /// others don't notice but for the feeds.
    private mutating func enter(
        _ socket: SocketID, _ claims: TicketClaims, now: Duration
    ) -> [MeetingAction] {
        var actions: [MeetingAction] = []
        let old = peerByAccount[claims.accountID]
        if let old {
            actions += replace(old)
        } else if participantCount >= configuration.participantsMax {
            return deny(socket, .full)
        }
        let id = add(socket, claims, isGhost: false)
        actions += welcome(id)
        if old == nil {
            let news = Join(accountID: claims.accountID, name: claims.name)
            actions += relay(.join(news), except: id)
        }
        if claims.accountID == host {
            actions += waitingRoom.flatMap { send(Self.knock($0.claims), to: id) }
        }
        return actions
    }

    private mutating func add(
        _ socket: SocketID, _ claims: TicketClaims, isGhost: Bool
    ) -> PeerID {
        let id = newPeerID()
        peers[id] = Peer(
            id: id, claims: claims, isGhost: isGhost, session: makeSecret(), socket: socket)
        order.append(id)
        peerBySocket[socket] = id
        if !isGhost {
            peerByAccount[claims.accountID] = id
            departedAccounts.remove(claims.accountID)
            emptySince = nil
            wasOpened = true
        }
        return id
    }

    private func users(for peer: Peer) -> PacketBody {
        var users: [String] = []
        var names: [String: String] = [:]
        for id in order where peers[id]?.isGhost == false {
            guard let accountID = peers[id]?.accountID else { continue }
            users.append(accountID)
            names[accountID] = peers[id]?.name
        }
        return .meetingUsers(
            MeetingUsers(
                users: users, session: peer.session, host: host,
                names: names, isLocked: isLocked))
    }

    /// Everything that a peer needs to know when it comes, or comes back.
    private mutating func welcome(_ id: PeerID) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        var actions = send(users(for: peer), to: id)
        for other in order where other != id {
            guard let feeds = peers[other]?.feedList, !feeds.isEmpty,
                let accountID = peers[other]?.accountID
            else { continue }
            actions += send(.feeds(accountID: accountID, feeds: feeds), to: id)
        }
        for other in order where peers[other]?.hasRaisedHand ?? false {
            let accountID = peers[other]?.accountID
            actions += send(.hand(Hand(accountID: accountID, isRaised: true)), to: id)
        }
        return peer.slots.isEmpty ? actions : actions + tellSlots(of: id)
    }

    /// Takes the place of `id` away for another socket of the same account.
    private mutating func replace(_ id: PeerID) -> [MeetingAction] {
        var actions: [MeetingAction] = []
        let hadFeeds = !(peers[id]?.feeds.isEmpty ?? true)
        let accountID = peers[id]?.accountID ?? ""
        if let socket = peers[id]?.socket {
            actions.append(error(socket, "another connection of this account took over"))
            actions.append(.close(socket, .replaced))
        }
        forget(id)
        if hadFeeds { actions += relay(.feeds(accountID: accountID, feeds: [])) }
        actions += reconcileFollowers(of: id)
        actions.append(.closeMedia(id))
        return actions
    }

    /// Removes a peer for good and tells the others.
    mutating func remove(_ id: PeerID, now: Duration) -> [MeetingAction] {
        guard let peer = peers[id] else { return [] }
        forget(id)
        guard !peer.isGhost else { return [.closeMedia(id)] }
        departedAccounts.insert(peer.accountID)
        for other in followers.watchers[peer.accountID] ?? [] {
            let wanted = peers[other]?.wanted.filter { $0.accountID != peer.accountID } ?? []
            setWanted(wanted, of: other)
        }
        if participantCount == 0 { emptySince = now }
        return relay(.leave(accountID: peer.accountID)) + reconcileFollowers(of: id)
            + [.closeMedia(id)]
    }

    private mutating func forget(_ id: PeerID) {
        setWanted([], of: id)
        setSlots([], of: id)
        guard let peer = peers.removeValue(forKey: id) else { return }
        order.removeAll { $0 == id }
        if let socket = peer.socket { peerBySocket[socket] = nil }
        if peerByAccount[peer.accountID] == id { peerByAccount[peer.accountID] = nil }
        speakers.forget(id)
        noteMicrophone(of: id)
        slotsToTell.remove(id)
        toReconcile[id] = nil
        layersToTell.removeAll { $0 == id }
    }
}

extension String {
    /// Compares in a time that depends on the lengths only.
    func isSameSecret(as other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        return zip(utf8, other.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
