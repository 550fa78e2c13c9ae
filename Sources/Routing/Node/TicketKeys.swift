// Where the keys that tickets are checked with come from.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import Logging
public import ServiceKit
import Signaling

extension TicketVerifier: TicketChecking {
    public func check(_ token: String) async throws(TicketRefusal) -> CheckedTicket {
        let ticket: Ticket
        do { ticket = try await verify(token) } catch {
            throw error == .expired ? .expired : .invalid
        }
        let role: TicketClaims.Role =
            switch ticket.role {
            case .host: .host
            case .participant: .participant
            case .recorder: .recorder
            }
        return CheckedTicket(
            claims: TicketClaims(
                meetingID: ticket.meetingID, accountID: ticket.accountID, host: ticket.host,
                role: role, name: ticket.name), node: ticket.node)
    }
}

/// The meeting service's public keys, fetched and kept on disk: a node that is restarted while
/// the meeting service is away still lets people in.
public actor RemoteTicketKeys: TicketChecking {
    /// Between two fetches at least, whatever tickets come.
    private static let fetchGap: Duration = .seconds(5)
    /// Age at which the keys are fetched again.
    private static let freshness: Duration = .seconds(300)

    private let service: any MeetingService
    private let cacheFile: String
    private let clock: any RoutingClock
    private let logger: Logger
    private var verifier: TicketVerifier?
    private var askedAt: Duration?
    private var isCacheRead = false

    public init(
        service: any MeetingService, cacheFile: String, clock: any RoutingClock = SystemClock(),
        logger: Logger
    ) {
        self.service = service
        self.cacheFile = cacheFile
        self.clock = clock
        self.logger = logger
    }

    public func check(_ token: String) async throws(TicketRefusal) -> CheckedTicket {
        await readCache()
        if mayFetch(after: verifier == nil ? Self.fetchGap : Self.freshness) { await fetch() }
        guard let verifier else { throw .invalid }
        do {
            return try await verifier.check(token)
        } catch .invalid where mayFetch(after: Self.fetchGap) {
            // The keys may have been changed.
            await fetch()
            guard let verifier = self.verifier else { throw .invalid }
            return try await verifier.check(token)
        }
    }

    private func mayFetch(after gap: Duration) -> Bool {
        askedAt.map { clock.now - $0 >= gap } ?? true
    }

    private func readCache() async {
        guard !isCacheRead else { return }
        isCacheRead = true
        guard let bytes = try? Data(contentsOf: URL(filePath: cacheFile)) else { return }
        do { verifier = try await TicketVerifier(jwks: bytes) } catch {
            logger.warning("the cached ticket keys are damaged", metadata: ["file": "\(cacheFile)"])
        }
    }

    private func fetch() async {
        askedAt = clock.now
        do {
            let bytes = try await service.keys()
            verifier = try await TicketVerifier(jwks: bytes)
            try Data(bytes).write(to: URL(filePath: cacheFile), options: .atomic)
        } catch {
            logger.warning("the ticket keys can't be fetched", metadata: ["error": "\(error)"])
        }
    }
}
