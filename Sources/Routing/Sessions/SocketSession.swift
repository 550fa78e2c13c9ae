// One socket's conversation: limits, tickets, and which meeting its packets go to.
// SPDX-License-Identifier: Apache-2.0

import Signaling

/// Owner: the task that reads the socket. State: 200 bytes.
struct SocketSession {
    let id: SocketID
    let socket: any SignalSocket
    /// Ticket of the upgrade request's Authorization header.
    let bearer: String?
    let node: NodeCore
    private var rate: PacketRate
    /// The meeting that knows this socket, as a member or as somebody at its door.
    private var meeting: LiveMeeting?
    private var wasHeard = false

    init(id: SocketID, socket: any SignalSocket, bearer: String?, node: NodeCore) {
        self.id = id
        self.socket = socket
        self.bearer = bearer
        self.node = node
        rate = PacketRate(
            perSecond: node.limits.packetsPerSecond, burst: node.limits.packetBurst,
            now: node.clock.now)
    }

    /// Obeys one message. False: the socket was closed, read no more.
    mutating func receive(_ text: String) async -> Bool {
        if !wasHeard {
            wasHeard = true
            node.sockets.heard(id)
        }
        guard rate.take(now: node.clock.now) else {
            return refuse("more than \(node.limits.packetsPerSecond) packets a second", "rate")
        }
        let packet: Packet
        do {
            packet = try Packet.decode(text)
        } catch {
            node.metrics.received("invalid")
            guard error.isFatal else {
                fail(error.message, "malformed", meetingID: Self.meetingID(in: text))
                return true
            }
            return refuse(error.message, error.kind.rawValue)
        }
        node.metrics.received(packet.body.contentType)
        await obey(packet)
        return true
    }

    /// The socket is gone.
    func closed() async {
        await meeting?.socketClosed(id)
    }

    /// The meeting_id of an ERROR about a packet that had none.
    private static let noMeeting = "unknown"

    /// The meeting that a packet which is wrong otherwise belongs to.
    private static func meetingID(in text: String) -> String? {
        var text = text
        text.makeContiguousUTF8()
        guard case .object(let members) = try? JSONValue.parse(text.utf8.span),
            case .string(let id) = members["meeting_id"],
            1...PacketLimits.idBytesMax ~= id.utf8.count
        else { return nil }
        return id
    }

    /// ERROR, and the socket stays open.
    private func fail(_ message: String, _ reason: String, meetingID: String? = nil) {
        node.metrics.refused(reason)
        let id = meetingID ?? meeting?.id ?? Self.noMeeting
        node.metrics.sent("ERROR")
        socket.send(Packet(id, .error(message: message)).text)
    }

    private func refuse(_ message: String, _ reason: String) -> Bool {
        fail(message, reason)
        socket.close(.policyViolation, text: message)
        return false
    }

    private func deny(_ meetingID: String, _ reason: DenialReason) {
        node.metrics.refused(reason.rawValue)
        node.metrics.sent("JOIN_DENIED")
        socket.send(Meeting.denial(meetingID, reason).text)
    }

    private mutating func obey(_ packet: Packet) async {
        if let known = meeting {
            var isKnown = known.id == packet.meetingID
            if !isKnown { isKnown = await known.isMember(id) }
            if isKnown {
                await forward(packet, to: known)
                return
            }
            await known.socketClosed(id)
            meeting = nil
        }
        await forward(packet, to: nil)
    }

    private mutating func forward(_ packet: Packet, to known: LiveMeeting?) async {
        switch packet.body {
        case .initiate(_, let ticket): await enter(packet, ticket: ticket, known: known)
        case .join(let join): await enter(packet, ticket: join.ticket, known: known)
        case .recordJoin(let ticket): await enter(packet, ticket: ticket, known: known)
        case .resume: await resume(packet, known: known)
        default:
            guard let known else {
                let type = packet.body.contentType
                fail("\(type): join the meeting first", "not_joined", meetingID: packet.meetingID)
                return
            }
            let arrival = Arrival(packet: packet, socketID: id, socket: socket)
            guard await known.receive(arrival) else {
                let type = packet.body.contentType
                fail("\(type): the meeting is over", "not_joined", meetingID: packet.meetingID)
                return
            }
        }
    }

    private func isMember(of meeting: LiveMeeting?) async -> Bool {
        guard let meeting else { return false }
        return await meeting.isMember(id)
    }

    private mutating func enter(
        _ packet: Packet, ticket: String?, known: LiveMeeting?
    ) async {
        let admission = await node.admission(ticket: ticket ?? bearer, for: packet.meetingID)
        let joined = await isMember(of: known) ? known : nil
        // A retired meeting has been forgotten meanwhile: look again.
        for _ in 0..<3 {
            let target: LiveMeeting
            if let joined {
                target = joined
            } else {
                switch node.directory.find(packet.meetingID, admission: admission) {
                case .live(let live): target = live
                case .denied(let reason):
                    guard reason == .nodeFull, let live = await membership(admission) else {
                        deny(packet.meetingID, reason)
                        return
                    }
                    target = live
                }
            }
            let arrival = Arrival(
                packet: packet, socketID: id, socket: socket, admission: admission)
            if await target.receive(arrival) {
                meeting = target
                return
            }
        }
        deny(packet.meetingID, .ended)
    }

    /// The meeting that a ticket's account is in: who comes again needs no room.
    private func membership(_ admission: Admission) async -> LiveMeeting? {
        guard case .verified(let claims) = admission,
            let live = node.directory.live(claims.meetingID),
            await live.hasAccount(claims.accountID)
        else { return nil }
        return live
    }

    private mutating func resume(_ packet: Packet, known: LiveMeeting?) async {
        guard let target = known ?? node.directory.live(packet.meetingID) else {
            let isOver = node.journal.isEnded(packet.meetingID)
            deny(packet.meetingID, isOver ? .ended : .sessionUnknown)
            return
        }
        if await target.receive(Arrival(packet: packet, socketID: id, socket: socket)) {
            meeting = target
        } else {
            deny(packet.meetingID, .sessionUnknown)
        }
    }
}
