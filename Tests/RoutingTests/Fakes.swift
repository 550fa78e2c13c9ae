// Stand-ins for what surrounds a routing node: sockets, media plane, meeting service, tickets.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import Routing
import Signaling
import Synchronization

/// A socket whose other end is the test.
final class FakeSocket: SignalSocket {
    private let sink: AsyncStream<Packet>.Continuation
    private let closing = Mutex<SignalClose?>(nil)
    private let limit = Mutex(0)
    let sent: AsyncStream<Packet>
    /// What the client says.
    let incoming: AsyncStream<String>
    private let mouth: AsyncStream<String>.Continuation

    init() {
        (sent, sink) = AsyncStream.makeStream()
        (incoming, mouth) = AsyncStream.makeStream()
    }

    var closed: SignalClose? { closing.withLock { $0 } }
    var frameLimit: Int { limit.withLock { $0 } }

    func send(_ text: String) -> Bool {
        guard closed == nil, let packet = try? Packet.decode(text) else { return false }
        sink.yield(packet)
        return true
    }

    /// As the server's layer does: nothing goes out any more and the messages end.
    func close(_ reason: SignalClose, text: String) {
        closing.withLock { $0 = $0 ?? reason }
        sink.finish()
        mouth.finish()
    }

    func raiseFrameLimit(to bytes: Int) { limit.withLock { $0 = bytes } }

    func say(_ text: String) { mouth.yield(text) }
    /// The network is gone.
    func vanish() { mouth.finish() }
}

/// Tickets that say what they mean: `meeting|account|host|role|node`.
struct PlainTickets: TicketChecking {
    static func make(
        _ meeting: String, _ account: String, host: String = "anna", role: String? = nil,
        node: String = "n1"
    ) -> String {
        let role = role ?? (account == host ? "host" : "participant")
        return [meeting, account, host, role, node].joined(separator: "|")
    }

    func check(_ token: String) async throws(TicketRefusal) -> CheckedTicket {
        if token == "expired" { throw .expired }
        let parts = token.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, let role = TicketClaims.Role(rawValue: parts[3]) else {
            throw .invalid
        }
        return CheckedTicket(
            claims: TicketClaims(
                meetingID: parts[0], accountID: parts[1], host: parts[2], role: role,
                name: parts[1].uppercased()), node: parts[4])
    }
}

/// Answers as it is told and remembers who asked.
final class FakeMeetingService: MeetingService {
    struct Down: Error {}

    private struct State {
        var ends: [String] = []
        var beats: [NodeBeat] = []
        var status: Int? = 204
        var keys: [UInt8]?
        var keyCalls = 0
    }

    private let state = Mutex(State())

    var ends: [String] { state.withLock { $0.ends } }
    var beats: [NodeBeat] { state.withLock { $0.beats } }
    var keyCalls: Int { state.withLock { $0.keyCalls } }
    /// The key set that is served; nil: no answer.
    func serve(_ keys: [UInt8]?) { state.withLock { $0.keys = keys } }
    /// nil: no answer at all.
    func answer(_ status: Int?) { state.withLock { $0.status = status } }

    func end(meetingID: String) async throws -> Int {
        try state.withLock { state in
            state.ends.append(meetingID)
            guard let status = state.status else { throw Down() }
            return status
        }
    }

    func beat(nodeID: String, _ beat: NodeBeat) async throws -> Int {
        try state.withLock { state in
            state.beats.append(beat)
            guard let status = state.status else { throw Down() }
            return status
        }
    }

    func keys() async throws -> [UInt8] {
        try state.withLock { state in
            state.keyCalls += 1
            guard let keys = state.keys else { throw Down() }
            return keys
        }
    }
}

/// A media plane that carries nothing and writes down what it was asked.
final class FakeMedia: MediaNode {
    enum Call: Equatable, Sendable {
        case made(String)
        case applied(String, publications: [String], slots: Int)
        case remap(String, [SlotStep])
        case muted(String, mid: String, Bool)
        case restarted(String)
        case closed(String)
    }

    private struct State {
        var calls: [Call] = []
        var ids: [String: MediaPeerID] = [:]
        var next: UInt64 = 1
        var isFull = false
    }

    private let state = Mutex(State())
    private let callSink: AsyncStream<Call>.Continuation
    /// Each call as it comes.
    let calls: AsyncStream<Call>
    let news: AsyncStream<[(MediaPeerID, MediaNews)]>
    let newsSink: AsyncStream<[(MediaPeerID, MediaNews)]>.Continuation

    init() {
        (calls, callSink) = AsyncStream.makeStream()
        (news, newsSink) = AsyncStream.makeStream()
    }

    var load: Double { 0.25 }
    var ports: [UInt16] { [4000] }
    var cipher: String { "none" }
    func measure() async {}
    func metrics() -> [NodeMetric] { [] }
    func start() async throws {}
    func stop() async { newsSink.finish() }
    func refuse(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
    /// The latest transport with this label, which is `meeting/account`.
    func id(_ label: String) -> MediaPeerID { state.withLock { $0.ids[label] } ?? MediaPeerID(0) }

    fileprivate func note(_ call: Call) {
        state.withLock { $0.calls.append(call) }
        callSink.yield(call)
    }

    var hasRoom: Bool { state.withLock { !$0.isFull } }

    func makePeer(meeting: String, label: String) async throws(MediaRefusal) -> any MediaPeer {
        let id: MediaPeerID? = state.withLock { state in
            guard !state.isFull else { return nil }
            let id = MediaPeerID(state.next)
            state.next += 1
            state.ids[label] = id
            return id
        }
        guard let id else { throw MediaRefusal("the node is full") }
        note(.made(label))
        return FakePeer(id: id, label: label, media: self)
    }
}

final class FakePeer: MediaPeer {
    let id: MediaPeerID
    private let label: String
    private let media: FakeMedia
    private let published = Mutex<[NegotiatedPublication]>([])
    private let restarts = Mutex(0)

    init(id: MediaPeerID, label: String, media: FakeMedia) {
        self.id = id
        self.label = label
        self.media = media
    }

    var local: LocalTransport {
        LocalTransport(
            ufrag: "ufrag\(restarts.withLock { $0 })", password: "password-of-22-characters",
            fingerprint: DTLSFingerprint(
                algorithm: "sha-256", bytes: [UInt8](repeating: 7, count: 32)),
            candidates: [LocalCandidate(address: "127.0.0.1", isIPv6: false, port: 4000)])
    }

    func restartICE() async -> LocalTransport {
        restarts.withLock { $0 += 1 }
        media.note(.restarted(label))
        return local
    }

    func apply(_ session: NegotiatedSession) async throws(MediaRefusal) -> [AppliedPublication] {
        let old = published.withLock { known in
            defer { known = session.publications }
            return known
        }
        media.note(
            .applied(
                label, publications: session.publications.map(\.source.rawValue),
                slots: session.slots.count))
        return session.publications.map {
            AppliedPublication(
                mid: $0.mid, source: $0.source, codec: $0.codec, isNew: !old.contains($0))
        }
    }

    func setMuted(mid: String, _ isMuted: Bool) async {
        media.note(.muted(label, mid: mid, isMuted))
    }

    func remap(_ steps: [SlotStep]) async -> [SlotOutcome] {
        media.note(.remap(label, steps))
        return steps.map { _ in .done }
    }

    func close() async { media.note(.closed(label)) }
}
