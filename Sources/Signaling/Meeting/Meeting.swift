// The rules of one meeting as a pure state machine: packets and events in, actions out.
// State: one `Peer` each, see there. Owner: whoever runs the meeting, one at a time.
// SPDX-License-Identifier: Apache-2.0

/// One meeting on a node.
///
/// All times are durations since one fixed moment of a monotonic clock. Nothing here waits, sends
/// or calls: each function returns what its owner must do, in order.
public struct Meeting: Sendable {
    public let id: String
    /// Account id of the host.
    public let host: String
    let configuration: MeetingConfiguration
    let makeSecret: @Sendable () -> String

    public internal(set) var isEnded = false
    /// True once anyone has joined as a participant. A meeting that nobody ever opened and that
    /// has no peers (`isUnused`) can be forgotten without a trace.
    public internal(set) var wasOpened = false
    var peers: [PeerID: Peer] = [:]
    /// Peers in the order in which they joined.
    var order: [PeerID] = []
    var peerBySocket: [SocketID: PeerID] = [:]
    /// Participants only.
    var peerByAccount: [String: PeerID] = [:]
    var waitingRoom: [WaitingGuest] = []
    var removedAccounts: Set<String> = []
    /// Accounts that were here and left: unsubscribing from them is no mistake.
    var departedAccounts: Set<String> = []
    public internal(set) var isLocked = false
    public internal(set) var hasWaitingRoom = false
    var emptySince: Duration?
    var speakers = Speakers()
    /// Participants with a microphone, in the order of joining, which is that of their ids.
    var microphones: [PeerID] = []
    /// Peers whose slots are to be brought in line by ticks, with the feeds that must be bound
    /// anew, and their order, in which some may have been done meanwhile.
    var toReconcile: [PeerID: Set<FeedKey>] = [:]
    var reconcileOrder: [PeerID] = []
    var followers = Followers()
    /// Whose SLOTS are sent with one of the next ticks.
    var slotsToTell: Set<PeerID> = []
    /// Whose measured layers were not told yet, the longest waiting first, and when some were.
    var layersToTell: [PeerID] = []
    var layersToldAt: Duration?
    private var nextPeer: UInt32 = 1

    struct WaitingGuest: Sendable {
        var socket: SocketID
        var claims: TicketClaims
    }

    /// - Parameter makeSecret: gives an unguessable text each time; sessions are named by it.
    public init(
        id: String, host: String, configuration: MeetingConfiguration = MeetingConfiguration(),
        makeSecret: @escaping @Sendable () -> String
    ) {
        self.id = id
        self.host = host
        self.configuration = configuration
        self.makeSecret = makeSecret
    }

    /// From here on an event may no longer cost a packet for every pair of peers.
    static let largePeers = 26
    /// Peers whose slots one tick brings in line, and that it tells SLOTS: some milliseconds.
    static let stepsPerTick = 200
    /// FEEDS about measured layers that a large meeting makes a second, about.
    static let feedsPerSecond = 2000

    var isLarge: Bool { peers.count >= Self.largePeers }
    public var participantCount: Int { peerByAccount.count }
    public var ghostCount: Int { peers.count - peerByAccount.count }
    public var isUnused: Bool { !wasOpened && peers.isEmpty }

    /// Whether the account takes part.
    public func hasAccount(_ accountID: String) -> Bool { peerByAccount[accountID] != nil }
    public func accountID(of peer: PeerID) -> String? { peers[peer]?.accountID }
    public func socket(of peer: PeerID) -> SocketID? { peers[peer]?.socket }
    public func peer(of socket: SocketID) -> PeerID? { peerBySocket[socket] }

    /// Reacts to one packet of a socket.
    ///
    /// - Parameter admission: for INIT, JOIN and RECORD_JOIN the outcome of checking the ticket.
    public mutating func receive(
        _ packet: Packet, from socket: SocketID, admission: Admission = .notNeeded, now: Duration
    ) -> [MeetingAction] {
        guard packet.meetingID == id else {
            return [error(socket, "meeting_id is not the meeting of this socket")]
        }
        switch packet.body {
        case .initiate(let host, _):
            return initiate(Entry(socket: socket, admission: admission), host: host, now: now)
        case .join(let join):
            return self.join(
                Entry(socket: socket, admission: admission), accountID: join.accountID, now: now)
        case .recordJoin:
            return recordJoin(Entry(socket: socket, admission: admission), now: now)
        case .resume(let session): return resume(socket, session: session, now: now)
        default: break
        }
        guard let peer = peerBySocket[socket] else {
            return [error(socket, "\(packet.body.contentType): join the meeting first")]
        }
        do {
            return try obey(packet.body, of: peer, now: now)
        } catch {
            return [self.error(socket, "\(packet.body.contentType): \(error.message)")]
        }
    }

    /// A packet of a peer that is in the meeting.
    private mutating func obey(
        _ body: PacketBody, of peer: PeerID, now: Duration
    ) throws(Refusal) -> [MeetingAction] {
        switch body {
        case .leave(let accountID): try leave(peer, accountID: accountID, now: now)
        case .end: try endByHost(peer)
        case .subscribe(let new): try subscribe(peer, remove: [], add: new)
        case .unsubscribe(let old): try subscribe(peer, remove: old, add: [])
        case .unsubscribeSubscribe(let old, let new): try subscribe(peer, remove: old, add: new)
        case .offer(let offer): try negotiate(peer, offer)
        case .transport: throw Refusal("this node offers no transport without ICE and DTLS")
        case .mute(let mute): try self.mute(peer, mute)
        case .kick(let accountID): try kick(peer, accountID: accountID, now: now)
        case .lock(let lock): try self.lock(peer, lock, now: now)
        case .admit(let accountID): try admit(peer, accountID: accountID, now: now)
        case .deny(let accountID): try deny(peer, accountID: accountID)
        case .hand(let hand): try raise(peer, hand)
        case .chat(let chat): try say(peer, chat)
        case .reaction(let reaction): try react(peer, reaction)
        default: throw Refusal("is not for clients to send")
        }
    }

    /// The next moment at which `tick` has something to do; nil for never.
    public var deadline: Duration? {
        guard !isEnded else { return nil }
        var next: Duration?
        func consider(_ moment: Duration?) {
            guard let moment else { return }
            next = next.map { min($0, moment) } ?? moment
        }
        for peer in peers.values {
            consider(peer.disconnectedAt.map { $0 + configuration.resumeWindow })
        }
        consider(emptySince.map { $0 + configuration.emptyTimeout })
        consider(speakers.deadline)
        if !slotsToTell.isEmpty || !reconcileOrder.isEmpty { consider(.zero) }
        if !layersToTell.isEmpty { consider((layersToldAt ?? .zero) + .seconds(1)) }
        return next
    }

    /// Does what time has made due.
    public mutating func tick(now: Duration) -> [MeetingAction] {
        guard !isEnded else { return [] }
        var actions: [MeetingAction] = []
        for id in order {
            guard let since = peers[id]?.disconnectedAt,
                now >= since + configuration.resumeWindow
            else { continue }
            actions += remove(id, now: now)
        }
        if let since = emptySince, now >= since + configuration.emptyTimeout {
            return actions + end(.empty)
        }
        if let active = speakers.due(now: now) { actions += relaySpeakers(active) }
        return actions + doSome() + tellLayers(now: now)
    }

    /// The connection of a socket is gone.
    public mutating func socketClosed(_ socket: SocketID, now: Duration) -> [MeetingAction] {
        if let index = waitingRoom.firstIndex(where: { $0.socket == socket }) {
            let guest = waitingRoom.remove(at: index)
            return tellHost(.leave(accountID: guest.claims.accountID))
        }
        guard let id = peerBySocket.removeValue(forKey: socket) else { return [] }
        peers[id]?.socket = nil
        peers[id]?.disconnectedAt = now
        return []
    }

    /// Ends the meeting for ever: everyone is told, every socket closed.
    public mutating func end(_ reason: EndReason) -> [MeetingAction] {
        guard !isEnded else { return [] }
        isEnded = true
        let sockets = order.compactMap { peers[$0]?.socket } + waitingRoom.map(\.socket)
        var actions: [MeetingAction] = []
        if !sockets.isEmpty { actions.append(.relay(Packet(id, .end), to: sockets)) }
        actions += sockets.map { .close($0, .ended) }
        actions += order.map { .closeMedia($0) }
        actions.append(.reportEnd(reason))
        peers = [:]
        order = []
        peerBySocket = [:]
        peerByAccount = [:]
        waitingRoom = []
        microphones = []
        followers = Followers()
        toReconcile = [:]
        reconcileOrder = []
        slotsToTell = []
        layersToTell = []
        emptySince = nil
        return actions
    }

    mutating func newPeerID() -> PeerID {
        defer { nextPeer += 1 }
        return PeerID(nextPeer)
    }
}

/// Why a packet is refused; becomes an ERROR.
struct Refusal: Error {
    let message: String

    init(_ message: String) { self.message = message }
}

extension Meeting {
    func error(_ socket: SocketID, _ message: String) -> MeetingAction {
        .send(Packet(id, .error(message: message)), to: socket)
    }

    /// To one peer, unless its connection is interrupted.
    func send(_ body: PacketBody, to peer: PeerID) -> [MeetingAction] {
        guard let socket = peers[peer]?.socket else { return [] }
        return [.send(Packet(id, body), to: socket)]
    }

    /// To all peers, ghosts included, but one.
    func relay(_ body: PacketBody, except: PeerID? = nil) -> [MeetingAction] {
        let sockets = order.compactMap { $0 == except ? nil : peers[$0]?.socket }
        return sockets.isEmpty ? [] : [.relay(Packet(id, body), to: sockets)]
    }

    func tellHost(_ body: PacketBody) -> [MeetingAction] {
        peerByAccount[host].map { send(body, to: $0) } ?? []
    }

    func isHost(_ peer: PeerID) -> Bool {
        guard let peer = peers[peer] else { return false }
        return !peer.isGhost && peer.accountID == host
    }

    func requireHost(_ peer: PeerID) throws(Refusal) {
        guard isHost(peer) else { throw Refusal("only the host may do that") }
    }

    func requireParticipant(_ id: PeerID) throws(Refusal) -> Peer {
        guard let peer = peers[id], !peer.isGhost else {
            throw Refusal("a recorder only receives")
        }
        return peer
    }
}
