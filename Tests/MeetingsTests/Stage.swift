// A meeting service with stores of its own, an account directory that is a dictionary, and a
// clock that stands still.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JWTKit
import Logging
import Meetings
import NIOCore
import ServiceKit
import Stores
import Synchronization

struct FakeAccounts: AccountDirectory {
    func verify(token: String) async throws -> VerifiedAccount? {
        guard token.hasPrefix("token-") else { return nil }
        let id = String(token.dropFirst(6))
        return VerifiedAccount(accountID: id, name: "Name of \(id)", expires: 9_999_999)
    }

    func contact(accountID: String) async throws -> AccountContact? {
        if accountID == "gone" { return nil }
        return AccountContact(
            accountID: accountID, email: "\(accountID)@example.org", name: "Name")
    }
}

final class FakeRecorders: RecorderCalls {
    private let state = Mutex((willing: Set<String>(), asked: [String]()))
    var asked: [String] { state.withLock { $0.asked } }
    func allow(_ ids: Set<String>) { state.withLock { $0.willing = ids } }

    func start(_ job: RecordingJob, at recorder: RecorderBeat) async -> Bool {
        state.withLock {
            $0.asked.append(recorder.id)
            return $0.willing.contains(recorder.id)
        }
    }
}

/// A load store that can be told to fail, before or after it did its work.
final class FlakyLoads: ServerLoadStore {
    enum Failure: Sendable { case none, before, after }
    private let base: any ServerLoadStore
    private let mode = Mutex(Failure.none)
    init(_ base: any ServerLoadStore) { self.base = base }
    func fail(_ failure: Failure) { mode.withLock { $0 = failure } }

    func apply(_ batch: LoadBatch, now: Int) async throws(StoreError) {
        let failure = mode.withLock { $0 }
        if failure == .before { throw .unavailable("test") }
        try await base.apply(batch, now: now)
        if failure == .after { throw .unavailable("test") }
    }

    func beat(_ beat: ServerBeat) async throws(StoreError) { try await base.beat(beat) }
    func servers(since: Int) async throws(StoreError) -> [ServerRow] {
        try await base.servers(since: since)
    }
    func beat(recorder: RecorderBeat) async throws(StoreError) {
        try await base.beat(recorder: recorder)
    }
    func recorders(since: Int) async throws(StoreError) -> [RecorderBeat] {
        try await base.recorders(since: since)
    }
    func prune(before: Int) async throws(StoreError) { try await base.prune(before: before) }
    func check() async throws(StoreError) { try await base.check() }
}

final class TestTime: Sendable {
    private let seconds = Mutex(1_000_000)
    var now: Int { seconds.withLock { $0 } }
    func advance(_ by: Int) { seconds.withLock { $0 += by } }
}

struct MeetingStage: Sendable {
    let meetings: any MeetingStore
    let loads: FlakyLoads
    let service: MeetingService
    let recorders = FakeRecorders()
    let time = TestTime()
    let serviceKey = ES256PrivateKey()
    let ticketKey = ES256PrivateKey()
    let routes: [Route]

    init() async throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "roundhouse-tests-\(UUID().uuidString)").path
        meetings = try SQLiteMeetingStore(path: folder + "/meetings.sqlite")
        loads = FlakyLoads(try SQLiteServerLoadStore(path: folder + "/load.sqlite"))
        service = await Self.instance(meetings, loads, ticketKey, time)
        let credentials = await ServiceCredentials(key: serviceKey, role: .meeting)
        routes = MeetingRoutes(
            service: service,
            keys: await .init(credentials: credentials, ticketKey: ticketKey.publicKey),
            recorders: recorders
        ).routes
    }

    static func instance(
        _ meetings: any MeetingStore, _ loads: any ServerLoadStore, _ key: ES256PrivateKey,
        _ time: TestTime
    ) async -> MeetingService {
        MeetingService(
            .init(
                meetings: meetings, loads: loads, accounts: FakeAccounts(),
                tickets: await TicketIssuer(key: key)),
            configuration: MeetingServiceConfiguration(), logger: Logger(label: "test"),
            now: { time.now })
    }

    /// Another instance of the service on the same stores.
    func neighbour() async -> MeetingService {
        await Self.instance(meetings, loads, ticketKey, time)
    }

    func node(_ id: String, draining: Bool = false) async throws {
        var beat = ServerBeat(id: id, address: "ws://\(id)/ws", capacity: 100, at: time.now)
        beat.draining = draining
        try await service.beat(beat)
    }

    func credential(_ role: ServiceRole) async throws -> String {
        try await ServiceCredentials(key: serviceKey, role: role).issue(to: .meeting)
    }

    func run(_ body: @escaping @Sendable (Caller) async throws -> Void) async throws {
        let router = Router(context: HTTPContext.self)
        router.add(middleware: RequestMiddleware(methods: MethodIndex(routes), limiter: nil))
        router.add(routes)
        try await Application(router: router).test(.router) { client in
            try await body(Caller(client: client))
        }
    }
}

/// Makes JSON calls.
struct Caller: Sendable {
    let client: any TestClientProtocol

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPFields
        let body: [String: JSONValue]

        func text(_ name: String) -> String? {
            if case .string(let text) = body[name] { text } else { nil }
        }
    }

    func call(
        _ method: HTTPRequest.Method, _ path: String, token: String? = nil, _ body: String? = nil
    ) async throws -> Answer {
        var headers: HTTPFields = [:]
        if body != nil { headers[.contentType] = "application/json" }
        if let token { headers[.authorization] = "Bearer \(token)" }
        return try await client.execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }
        ) { response in
            let members = try? JSONMembers(parsing: Data(buffer: response.body))
            return Answer(
                status: response.status.code, headers: response.headers,
                body: members?.members ?? [:])
        }
    }
}
