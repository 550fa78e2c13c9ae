// The REST calls under /meeting.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
public import Hummingbird
public import JWTKit
public import ServiceKit
import Stores

private struct GrantAnswer: Encodable {
    let meeting_id: String
    let server: String
    let ticket: String

    init(_ grant: MeetingGrant, server: String) {
        meeting_id = grant.meetingID
        self.server = server
        ticket = grant.ticket
    }
}

private struct MeetingAnswer: Encodable {
    let meeting_id: String
    let host: String
    let server: String
    let recording: Bool
}

private struct RecordingAnswer: Encodable {
    let meeting_id: String
    let recording: Bool
}

private struct RecipientsAnswer: Encodable {
    let meeting_id: String
    let started: Int?
    let recipients: [AccountContact]
}

/// HTTP face of the meeting service.
public struct MeetingRoutes: Sendable {
    /// What the routes need beside the service itself.
    public struct Keys: Sendable {
        public var credentials: ServiceCredentials
        public var ticketKey: ES256PublicKey
        /// Accepts tickets of any age: they prove who joined.
        var verifier: TicketVerifier

        /// `credentials` must be those of the role `meeting`.
        public init(credentials: ServiceCredentials, ticketKey: ES256PublicKey) async {
            self.credentials = credentials
            self.ticketKey = ticketKey
            verifier = await TicketVerifier(key: ticketKey) { 0 }
        }
    }

    private let service: MeetingService
    private let keys: Keys
    private let recorders: any RecorderCalls
    /// What a client is told instead of a node's address, if anything.
    public var publicServer: (@Sendable (Request, String) -> String)?

    public init(service: MeetingService, keys: Keys, recorders: any RecorderCalls) {
        self.service = service
        self.keys = keys
        self.recorders = recorders
    }

    public var routes: [Route] {
        userRoutes + serviceRoutes
    }

    /// The public keys of tickets, as JSON.
    public static func keySet(_ key: ES256PublicKey) throws -> [UInt8] {
        Array(try JSONEncoder().encode(KeySet([key])))
    }

    // MARK: For users

    private var userRoutes: [Route] {
        [
            Route(.post, "/meeting") { request, _ in
                let account = try await caller(request)
                let grant = try await service.create(account)
                return try .json(
                    GrantAnswer(grant, server: server(grant.server, request)), status: .created)
            },
            Route(.get, "/meeting/{meeting_id}") { request, context in
                _ = try await caller(request)
                let meeting = try await service.find(id(context))
                return try .json(
                    MeetingAnswer(
                        meeting_id: meeting.meetingID, host: meeting.host,
                        server: server(meeting.server, request), recording: meeting.recording))
            },
            Route(.post, "/meeting/join/{meeting_id}") { request, context in
                let account = try await caller(request)
                let grant = try await service.join(id(context), account)
                return try .json(GrantAnswer(grant, server: server(grant.server, request)))
            },
            Route(.post, "/meeting/leave/{meeting_id}") { request, context in
                let account = try await caller(request)
                try await service.leave(id(context), account)
                return .empty
            },
            Route(.post, "/meeting/record/{meeting_id}", record),
            Route(.get, "/meeting/keys") { _, _ in try .json(KeySet([keys.ticketKey])) },
        ]
    }

    private func server(_ address: String, _ request: Request) -> String {
        if address.isEmpty { return "" }
        return publicServer?(request, address) ?? address
    }

    private func caller(_ request: Request) async throws -> VerifiedAccount {
        try await service.caller(token: request.requireBearerToken())
    }

    private func id(_ context: HTTPContext) throws -> String {
        try context.parameters.require("meeting_id")
    }

    @Sendable private func record(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        let account = try await caller(request)
        var ticket: Ticket?
        if request.headers[.contentType] != nil {
            let body = try await request.jsonMembers(context)
            if let text = try body.optionalString("ticket", 1...4096) {
                // One that is not ours proves nothing.
                ticket = try? await keys.verifier.verify(text)
            }
        }
        let id = try id(context)
        try await service.record(id, account, ticket: ticket, calls: recorders)
        return try .json(RecordingAnswer(meeting_id: id, recording: true), status: .accepted)
    }

    // MARK: For services

    private var serviceRoutes: [Route] {
        [
            Route(.post, "/meeting/end/{meeting_id}") { request, context in
                try await keys.credentials.require(request, from: [.router])
                let id = try id(context)
                guard MeetingID.isValid(id) else {
                    throw Problem(.notFound, detail: "no meeting has such an id")
                }
                try await service.end(id)
                return .empty
            },
            Route(.get, "/meeting/record/recipients/{meeting_id}") { request, context in
                try await keys.credentials.require(request, from: [.recorder])
                let found = try await service.recipients(id(context))
                return try .json(
                    RecipientsAnswer(
                        meeting_id: found.meetingID, started: found.started,
                        recipients: found.contacts))
            },
            Route(.delete, "/meeting/{meeting_id}") { request, context in
                try await keys.credentials.require(request, from: [.recorder])
                try await service.delete(id(context))
                return .empty
            },
            Route(.put, "/meeting/server/{server_id}", putServer),
            Route(.put, "/meeting/recorder/{recorder_id}", putRecorder),
        ]
    }

    @Sendable private func putServer(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        try await keys.credentials.require(request, from: [.router])
        let id = try Self.name(context.parameters.require("server_id"))
        let body = try await request.jsonMembers(context)
        let address = try Self.address(body.string("address", 1...512), schemes: ["ws", "wss"])
        var beat = ServerBeat(
            id: id, address: address, capacity: try body.integer("capacity", 0...1_000_000),
            at: service.now())
        beat.load = try body.number("load", 0...1, fallback: 0)
        beat.liveMeetings = try body.integer("meetings", 0...1_000_000, fallback: 0)
        beat.liveUsers = try body.integer("users", 0...1_000_000, fallback: 0)
        beat.draining = try body.bool("draining", fallback: false)
        try await service.beat(beat)
        return .empty
    }

    @Sendable private func putRecorder(_ request: Request, _ context: HTTPContext) async throws
        -> Response {
        try await keys.credentials.require(request, from: [.recorder])
        let id = try Self.name(context.parameters.require("recorder_id"))
        let body = try await request.jsonMembers(context)
        let beat = RecorderBeat(
            id: id,
            address: try Self.address(body.string("address", 1...512), schemes: ["http", "https"]),
            capacity: try body.integer("capacity", 0...10_000),
            jobs: try body.integer("jobs", 0...10_000, fallback: 0),
            draining: try body.bool("draining", fallback: false), at: service.now())
        try await service.beat(recorder: beat)
        return .empty
    }

    /// Letters, digits, dots, hyphens and underscores.
    private static func name(_ text: String) throws(Problem) -> String {
        let isPlain = text.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
            default: false
            }
        }
        guard isPlain, (1...64).contains(text.utf8.count) else {
            throw Problem(
                .badRequest, detail: "an id has 1 to 64 letters, digits, '.', '-' and '_'")
        }
        return text
    }

    private static func address(_ text: String, schemes: Set<String>) throws(Problem) -> String {
        let rest = schemes.compactMap { scheme in
            text.hasPrefix(scheme + "://") ? text.dropFirst(scheme.count + 3) : nil
        }.first
        guard let rest, !rest.isEmpty, rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            let list = schemes.sorted().joined(separator: ":// or ")
            throw Problem(.badRequest, detail: "'address' must begin with \(list)://")
        }
        return text
    }
}
