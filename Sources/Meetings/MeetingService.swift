// The rules of meetings: create, join, leave, end, and which node carries what.
// SPDX-License-Identifier: Apache-2.0
import Foundation
public import Logging
public import ServiceKit
public import Stores
import Synchronization

/// How long things last.
public struct MeetingServiceConfiguration: Sendable {
    public var ticketLifetime: Duration = .seconds(300)
    /// A node or recorder that has not beaten for so long gets nothing new, in seconds.
    public var silenceMax = 15
    /// The list of nodes is read again for an assignment when it is older than this, in seconds.
    public var registryAgeMax = 5
    /// Meetings older than this are forgotten, in seconds.
    public var meetingAgeMax = 30 * 86_400
    /// A hand-over to a recorder that takes longer is taken over by the next request, in seconds.
    public var recorderPendingMax = 30
    /// Calls of one account a second in the long run, and at once.
    public var accountRate = 5.0
    public var accountBurst = 200

    public init() {}
}

/// Answer of create and join.
public struct MeetingGrant: Sendable, Equatable {
    public let meetingID: String
    public let server: String
    public let ticket: String
}

/// The meeting service. One instance of possibly many on the same stores.
public final class MeetingService: Sendable {
    let meetings: any MeetingStore
    let loads: any ServerLoadStore
    let accounts: any AccountDirectory
    let configuration: MeetingServiceConfiguration
    let now: @Sendable () -> Int
    private let tickets: TicketIssuer
    let logger: Logger
    let state = Mutex(State())
    private let limiter: RateLimiter

    struct State {
        var ledger = LoadLedger()
        /// Latest beat of each node, from the node itself or read from the store.
        var beats: [String: ServerBeat] = [:]
        var beatsRead = Int.min / 2
        var generator = SystemRandomNumberGenerator()
    }

    /// What the service works with.
    public struct Dependencies: Sendable {
        public var meetings: any MeetingStore
        public var loads: any ServerLoadStore
        public var accounts: any AccountDirectory
        public var tickets: TicketIssuer

        public init(
            meetings: any MeetingStore, loads: any ServerLoadStore,
            accounts: any AccountDirectory, tickets: TicketIssuer
        ) {
            self.meetings = meetings
            self.loads = loads
            self.accounts = accounts
            self.tickets = tickets
        }
    }

    public init(
        _ dependencies: Dependencies, configuration: MeetingServiceConfiguration,
        logger: Logger, now: @escaping @Sendable () -> Int = UnixTime.now
    ) {
        meetings = dependencies.meetings
        loads = dependencies.loads
        accounts = dependencies.accounts
        tickets = dependencies.tickets
        self.configuration = configuration
        self.logger = logger
        self.now = now
        limiter = RateLimiter(
            ratePerSecond: configuration.accountRate, burst: configuration.accountBurst)
    }

    /// The account of a user's token, or a 401 or 429 `Problem`.
    public func caller(token: String) async throws -> VerifiedAccount {
        guard let account = try await accounts.verify(token: token) else {
            throw Problem.unauthorized("the token is not valid (any more)")
        }
        try limiter.require(account.accountID, "too many calls by this account")
        return account
    }

    // MARK: Meetings

    /// Creates a meeting on the best node; the caller is its host. 503 without a node.
    public func create(_ host: VerifiedAccount) async throws -> MeetingGrant {
        let candidates = try await candidates()
        let node = state.withLock { state in
            Assignment.order(candidates, using: &state.generator).first
        }
        guard let node else {
            throw Problem.retry(
                .serviceUnavailable, after: 5, "no routing node can take a meeting now")
        }
        let meeting = try await store(host: host.accountID, on: node)
        state.withLock { $0.ledger.meetingCreated(node: node.id) }
        return try await grant(meeting, host, role: .host)
    }

    private func store(host: String, on node: NodeCandidate) async throws -> MeetingRecord {
        for _ in 0..<4 {
            let id = state.withLock { MeetingID.make(using: &$0.generator) }
            let meeting = MeetingRecord(
                meetingID: id, host: host, server: node.address, node: node.id, created: now())
            do {
                try await meetings.create(meeting)
                return meeting
            } catch {
                if error != .duplicate { throw error }
            }
        }
        throw StoreError.duplicate
    }

    /// The record of a meeting, or 404.
    public func find(_ id: String) async throws -> MeetingRecord {
        guard MeetingID.isValid(id), let meeting = try await meetings.meeting(id: id) else {
            throw Problem(.notFound, detail: "there is no such meeting")
        }
        return meeting
    }

    /// Counts the caller in and gives a ticket. 404, 410.
    public func join(_ id: String, _ account: VerifiedAccount) async throws -> MeetingGrant {
        let meeting = try await findLive(id)
        state.withLock {
            $0.ledger.userJoined(account.accountID, meeting: id, node: meeting.node)
        }
        let role: TicketRole = meeting.host == account.accountID ? .host : .participant
        return try await grant(meeting, account, role: role)
    }

    func findLive(_ id: String) async throws -> MeetingRecord {
        let meeting = try await find(id)
        if meeting.hasEnded { throw Problem(.gone, detail: "the meeting has ended") }
        return meeting
    }

    /// Counts the caller out. 404.
    public func leave(_ id: String, _ account: VerifiedAccount) async throws {
        let meeting = try await find(id)
        state.withLock {
            $0.ledger.userLeft(account.accountID, meeting: id, node: meeting.node)
        }
    }

    /// A node says that the meeting is over. Repetitions and unknown meetings are fine.
    public func end(_ id: String) async throws {
        guard let meeting = try await meetings.meeting(id: id) else { return }
        switch try await meetings.end(id: id, now: now()) {
        case .deleted, .kept:
            state.withLock { $0.ledger.meetingEnded(id, node: meeting.node) }
            logger.info("meeting ended", metadata: ["meeting": "\(id)", "node": "\(meeting.node)"])
        case .alreadyEnded, .unknown:
            break
        }
    }

    private func grant(
        _ meeting: MeetingRecord, _ account: VerifiedAccount, role: TicketRole
    ) async throws -> MeetingGrant {
        let ticket = try await ticket(
            meeting, accountID: account.accountID, role: role,
            name: account.name.isEmpty ? nil : account.name)
        return MeetingGrant(meetingID: meeting.meetingID, server: meeting.server, ticket: ticket)
    }

    func ticket(
        _ meeting: MeetingRecord, accountID: String, role: TicketRole, name: String?
    ) async throws -> String {
        let issued = now()
        return try await tickets.sign(
            Ticket(
                meetingID: meeting.meetingID, accountID: accountID, host: meeting.host,
                role: role, name: name, node: meeting.node, issued: issued,
                expires: issued + Int(configuration.ticketLifetime.components.seconds),
                id: UUID().uuidString.lowercased()))
    }

    // MARK: Nodes

    /// A node registers or beats.
    public func beat(_ beat: ServerBeat) async throws {
        state.withLock { $0.beats[beat.id] = beat }
        try await loads.beat(beat)
    }

    /// Nodes that may get a meeting now.
    func candidates() async throws -> [NodeCandidate] {
        let time = now()
        let isOld = state.withLock { time - $0.beatsRead > configuration.registryAgeMax }
        if isOld {
            let rows = try await loads.servers(since: time - configuration.silenceMax)
            state.withLock { state in
                state.beatsRead = time
                for row in rows where row.beat.at >= state.beats[row.beat.id]?.at ?? 0 {
                    state.beats[row.beat.id] = row.beat
                }
                let oldest = time - configuration.silenceMax
                state.beats = state.beats.filter { $0.value.at >= oldest }
            }
        }
        return state.withLock { state in
            state.beats.values
                .filter { !$0.draining && time - $0.at <= configuration.silenceMax }
                .map { Self.candidate($0, state.ledger) }
                .sorted { $0.id < $1.id }
        }
    }

    private static func candidate(_ beat: ServerBeat, _ ledger: LoadLedger) -> NodeCandidate {
        let load = ledger.load(of: beat.id)
        var node = NodeCandidate(id: beat.id, address: beat.address, capacity: beat.capacity)
        node.meetings = load.meetings
        node.usersByMeeting = Array(load.users.values)
        node.beatLoad = beat.load
        node.beatUsers = beat.liveUsers
        return node
    }
}
