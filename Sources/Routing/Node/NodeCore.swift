// What the parts of a routing node share, and the work that time makes due.
// SPDX-License-Identifier: Apache-2.0

package import Logging
import Signaling
import Synchronization

/// Owner: `RoutingNode`.
package final class NodeCore: Sendable {
    let configuration: RoutingConfiguration
    let clock: any RoutingClock
    package let journal: EndJournal
    let directory: MeetingDirectory
    let sockets: SocketTable
    let owners = MediaOwners()
    let metrics = RoutingMetrics()
    let tickets: any TicketChecking
    let service: any MeetingService
    let media: any MediaNode
    let reporter: EndReporter
    let logger: Logger
    private let draining = Atomic(false)
    /// Meetings that were live when the node went down before, and until when somebody may
    /// open them again.
    private let orphans: Mutex<[String: Duration]>

    var limits: RoutingLimits { configuration.limits }

    package init(
        _ parts: RoutingParts, _ configuration: RoutingConfiguration
    ) throws(JournalError) {
        self.configuration = configuration
        clock = parts.clock
        tickets = parts.tickets
        service = parts.meetings
        media = parts.media
        logger = parts.logger
        journal = try EndJournal(
            folder: configuration.dataFolder,
            retention: configuration.ticketLifetime + .seconds(3600), clock: parts.clock,
            logger: parts.logger)
        let context = MeetingContext(
            configuration: configuration.meeting, limits: configuration.limits,
            clock: parts.clock, journal: journal, media: parts.media, owners: owners,
            metrics: metrics, logger: parts.logger)
        directory = MeetingDirectory(capacity: configuration.capacity, context: context)
        sockets = SocketTable(
            perAddressMax: configuration.limits.socketsPerAddress,
            socketsMax: configuration.limits.socketsMax)
        reporter = EndReporter(
            journal: journal, service: parts.meetings, clock: parts.clock, logger: parts.logger)
        let grace = parts.clock.now + max(configuration.meeting.emptyTimeout, .seconds(1))
        orphans = Mutex(
            Dictionary(uniqueKeysWithValues: journal.open.map { ($0.meetingID, grace) }))
    }

    var isDraining: Bool { draining.load(ordering: .relaxed) }
    package func drain() { draining.store(true, ordering: .relaxed) }

    /// Meetings that somebody has opened, and participants of all meetings.
    package var openMeetings: Int { directory.openCount }
    package var participants: Int { directory.participants }
    package var openSockets: Int { sockets.count }

    /// Reports the ends that are due.
    package func report() async { await reporter.report() }

    // MARK: Tickets

    func admission(ticket: String?, for meetingID: String) async -> Admission {
        guard let ticket, !ticket.isEmpty else { return .refused(.ticketMissing) }
        let checked: CheckedTicket
        do { checked = try await tickets.check(ticket) } catch { return .refused(error.denial) }
        let names = ["", configuration.nodeID, configuration.address]
        guard checked.claims.meetingID == meetingID, names.contains(checked.node) else {
            return .refused(.ticketForeign)
        }
        return .verified(checked.claims)
    }

    // MARK: Time

    /// Sockets that stay silent, meetings with something to do, meetings that nobody came back to.
    package func tick() async {
        let now = clock.now
        for socket in sockets.takeSilent(now: now) {
            metrics.closed("silent")
            socket.close(.policyViolation, text: "no packet came in time")
        }
        for meeting in directory.all where meeting.isDue(now) { await meeting.tick() }
        endOrphans(now)
    }

    private func endOrphans(_ now: Duration) {
        let due = orphans.withLock { orphans in
            let due = orphans.filter { $0.value <= now }.map(\.key)
            for id in due { orphans[id] = nil }
            return due
        }
        for id in due where directory.live(id) == nil {
            logger.info("nobody came back after the restart", metadata: ["meeting": "\(id)"])
            journal.markEnded(id)
        }
    }

    /// Tells the meeting service how the node is. True when it was accepted.
    package func beat() async -> Bool {
        let load = directory.isFull ? 1 : min(media.load, 0.99)
        let beat = NodeBeat(
            address: configuration.address, capacity: configuration.capacity, load: load,
            meetings: directory.openCount, users: directory.participants, draining: isDraining)
        do {
            let status = try await service.beat(nodeID: configuration.nodeID, beat)
            if 200..<300 ~= status { return true }
            logger.warning("a beat was refused", metadata: ["status": "\(status)"])
        } catch {
            logger.debug("a beat failed", metadata: ["error": "\(error)"])
        }
        return false
    }

    /// The node's numbers now, those of the media plane and of the machine included.
    package func readMetrics() -> [NodeMetric] {
        func gauge(_ name: String, _ value: Int) -> NodeMetric {
            NodeMetric("roundhouse_" + name, .gauge(Double(value)))
        }
        return [
            gauge("meetings", directory.openCount),
            gauge("participants", directory.participants),
            gauge("sockets", sockets.count),
            gauge("ends_pending", journal.pending.count),
            NodeMetric(
                "roundhouse_journal_write_failures_total",
                .counter(Double(journal.writeFailures))),
        ] + media.metrics() + MachineMetrics.all()
    }

    /// Hands news of the media plane to the meetings they concern, in order.
    package func hear(_ batch: [(MediaPeerID, MediaNews)]) async {
        var current: LiveMeeting?
        var gathered: [(PeerID, MediaPeerID, MediaNews)] = []
        for (id, news) in batch {
            guard let owner = owners.owner(of: id) else { continue }
            if let meeting = current, meeting !== owner.meeting {
                await meeting.hear(gathered)
                gathered = []
            }
            current = owner.meeting
            gathered.append((owner.peer, id, news))
        }
        await current?.hear(gathered)
    }

    // MARK: Sockets

    /// Runs one socket until it ends. `bearer`: from the upgrade's Authorization header.
    package func serve(
        _ socket: any SignalSocket, from address: String, bearer: String?,
        _ messages: some AsyncSequence<String, Never>
    ) async {
        let deadline = clock.now + limits.firstPacketDeadline
        guard let id = sockets.add(socket, from: address, deadline: deadline) else {
            metrics.closed("full")
            socket.close(.policyViolation, text: "too many connections")
            return
        }
        var session = SocketSession(id: id, socket: socket, bearer: bearer, node: self)
        for await text in messages {
            guard await session.receive(text) else {
                metrics.closed("refused")
                break
            }
        }
        sockets.remove(id)
        await session.closed()
    }
}

/// What a node is put together from.
package struct RoutingParts: Sendable {
    var tickets: any TicketChecking
    var meetings: any MeetingService
    var media: any MediaNode
    var clock: any RoutingClock
    var logger: Logger

    package init(
        tickets: any TicketChecking, meetings: any MeetingService, media: any MediaNode,
        clock: any RoutingClock, logger: Logger
    ) {
        self.tickets = tickets
        self.meetings = meetings
        self.media = media
        self.clock = clock
        self.logger = logger
    }
}
