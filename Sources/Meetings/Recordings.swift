// Recordings: who asked, which recorder does it.
// SPDX-License-Identifier: Apache-2.0
public import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
public import ServiceKit
public import Stores

/// Hands a job to a recorder.
public protocol RecorderCalls: Sendable {
    /// Whether the recorder took the job.
    func start(_ job: RecordingJob, at recorder: RecorderBeat) async -> Bool
}

/// What a recorder is told.
public struct RecordingJob: Sendable, Equatable, Encodable {
    public var meetingID: String
    public var server: String
    public var ticket: String
    /// Seconds since 1970; part of the recording's name.
    public var started: Int

    enum CodingKeys: String, CodingKey {
        case meetingID = "meeting_id"
        case server, ticket, started
    }
}

/// `POST {recorder}/record/{meeting_id}`; any 2xx means that the job was taken.
public struct HTTPRecorderCalls: RecorderCalls {
    private let client: HTTPClient
    private let credentials: ServiceCredentials

    public init(client: HTTPClient, credentials: ServiceCredentials) {
        self.client = client
        self.credentials = credentials
    }

    public func start(_ job: RecordingJob, at recorder: RecorderBeat) async -> Bool {
        guard let body = try? JSONEncoder().encode(job),
            let token = try? await credentials.issue(to: .recorder)
        else { return false }
        var request = HTTPClientRequest(url: "\(recorder.address)/record/\(job.meetingID)")
        request.method = .POST
        request.headers.add(name: "authorization", value: "Bearer \(token)")
        request.headers.add(name: "content-type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: body))
        guard let response = try? await client.execute(request, timeout: .seconds(5)) else {
            return false
        }
        return (200..<300).contains(response.status.code)
    }
}

/// A recipient of a recording's link.
public struct RecordingRecipients: Sendable {
    public let meetingID: String
    public let started: Int?
    public let contacts: [AccountContact]
}

extension MeetingService {
    /// Starts the recording of a meeting, or adds the caller to its recipients. 403 for somebody
    /// who is not in the meeting, 404, 410, 503 without a recorder.
    ///
    /// `ticket`, when verified, proves that the caller joined through another instance.
    public func record(
        _ id: String, _ account: VerifiedAccount, ticket: Ticket?, calls: any RecorderCalls
    ) async throws {
        let meeting = try await findLive(id)
        let isHere = state.withLock { $0.ledger.isPresent(account.accountID, in: id) }
        let hasTicket = ticket?.meetingID == id && ticket?.accountID == account.accountID
        guard isHere || hasTicket || meeting.host == account.accountID else {
            throw Problem(.forbidden, detail: "only participants may ask for a recording")
        }
        let time = now()
        let request = try await meetings.requestRecording(
            id: id, recipient: account.accountID, now: time,
            pendingMax: configuration.recorderPendingMax)
        switch request {
        case .running: return
        case .ended: throw Problem(.gone, detail: "the meeting has ended")
        case .unknown: throw Problem(.notFound, detail: "there is no such meeting")
        case .pending:
            throw Problem.retry(.serviceUnavailable, after: 2, "a recorder is being looked for")
        case .started: try await handOver(meeting, started: time, calls)
        }
    }

    private func handOver(
        _ meeting: MeetingRecord, started: Int, _ calls: any RecorderCalls
    ) async throws {
        let id = meeting.meetingID
        do {
            let ticket = try await ticket(
                meeting, accountID: "recorder", role: .recorder, name: nil)
            let job = RecordingJob(
                meetingID: id, server: meeting.server, ticket: ticket, started: started)
            for recorder in try await freeRecorders() where await calls.start(job, at: recorder) {
                try await meetings.recordingTaken(id: id, recorder: recorder.id)
                logger.info(
                    "recording", metadata: ["meeting": "\(id)", "recorder": "\(recorder.id)"])
                return
            }
        } catch {
            try await meetings.recordingFailed(id: id)
            throw error
        }
        try await meetings.recordingFailed(id: id)
        throw Problem.retry(.serviceUnavailable, after: 30, "no recorder is available now")
    }

    /// Recorders with room, the idlest first; equal ones in random order.
    private func freeRecorders() async throws -> [RecorderBeat] {
        let all = try await loads.recorders(since: now() - configuration.silenceMax)
        return all.filter { !$0.draining && $0.jobs < $0.capacity }.shuffled()
            .sorted { $0.jobs * $1.capacity < $1.jobs * $0.capacity }
    }

    /// A recorder registers or beats.
    public func beat(recorder: RecorderBeat) async throws {
        try await loads.beat(recorder: recorder)
    }

    /// Who gets the link; accounts that are gone are left out. 404.
    public func recipients(_ id: String) async throws -> RecordingRecipients {
        let meeting = try await find(id)
        var contacts: [AccountContact] = []
        for account in meeting.recordRecipients {
            if let contact = try await accounts.contact(accountID: account) {
                contacts.append(contact)
            }
        }
        return RecordingRecipients(
            meetingID: id, started: meeting.recordingStarted, contacts: contacts)
    }

    /// Removes a meeting after its recording was delivered. 404.
    public func delete(_ id: String) async throws {
        let meeting = try await find(id)
        if try await meetings.delete(id: id), !meeting.hasEnded {
            state.withLock { $0.ledger.meetingEnded(id, node: meeting.node) }
        }
    }
}
