// The meeting service as a routing node calls it.
// SPDX-License-Identifier: Apache-2.0

public import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOFoundationEssentialsCompat

/// What a node says of itself with each beat.
public struct NodeBeat: Sendable, Codable, Equatable {
    /// WebSocket URL for clients.
    public var address: String
    /// Participants it can carry.
    public var capacity: Int
    /// Share of the workers' capacity in use, 0 to 1; 1: full, refuses newcomers.
    public var load: Double
    /// Live now.
    public var meetings: Int
    public var users: Int
    /// True: gets no new meetings.
    public var draining: Bool

    public init(
        address: String, capacity: Int, load: Double, meetings: Int = 0, users: Int = 0,
        draining: Bool = false
    ) {
        self.address = address
        self.capacity = capacity
        self.load = load
        self.meetings = meetings
        self.users = users
        self.draining = draining
    }
}

/// Calls that answer with an HTTP status throw only when there was no answer.
public protocol MeetingService: Sendable {
    /// `POST /meeting/end/{id}`
    func end(meetingID: String) async throws -> Int
    /// `PUT /meeting/server/{id}`
    func beat(nodeID: String, _ beat: NodeBeat) async throws -> Int
    /// The JSON Web Key Set of `GET /meeting/keys`.
    func keys() async throws -> [UInt8]
}

/// Why a call has no result.
public struct MeetingServiceError: Error, CustomStringConvertible {
    public let description: String
}

/// The meeting service over HTTP.
public struct HTTPMeetingService: MeetingService {
    private static let timeout = TimeAmount.seconds(5)
    private static let answerBytesMax = 256 * 1024

    private let baseURL: String
    private let client: HTTPClient
    private let credential: @Sendable () async throws -> String

    /// - Parameters:
    ///   - baseURL: such as `http://127.0.0.1:8080`.
    ///   - credential: makes a service credential for the meeting role.
    public init(
        baseURL: String, client: HTTPClient,
        credential: @escaping @Sendable () async throws -> String
    ) {
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.client = client
        self.credential = credential
    }

    public func end(meetingID: String) async throws -> Int {
        var request = try await authorized("/meeting/end/\(percentEncoded(meetingID))")
        request.method = .POST
        return try await status(of: request)
    }

    public func beat(nodeID: String, _ beat: NodeBeat) async throws -> Int {
        var request = try await authorized("/meeting/server/\(percentEncoded(nodeID))")
        request.method = .PUT
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes([UInt8](try JSONEncoder().encode(beat)))
        return try await status(of: request)
    }

    public func keys() async throws -> [UInt8] {
        let request = HTTPClientRequest(url: baseURL + "/meeting/keys")
        let response = try await client.execute(request, timeout: Self.timeout)
        let body = try await response.body.collect(upTo: Self.answerBytesMax)
        guard response.status == .ok else {
            throw MeetingServiceError(description: "GET /meeting/keys: \(response.status)")
        }
        return [UInt8](body.readableBytesView)
    }

    private func authorized(_ path: String) async throws -> HTTPClientRequest {
        var request = HTTPClientRequest(url: baseURL + path)
        request.headers.add(name: "Authorization", value: "Bearer \(try await credential())")
        return request
    }

    private func status(of request: HTTPClientRequest) async throws -> Int {
        let response = try await client.execute(request, timeout: Self.timeout)
        // Read to the end, so that the connection can be used again.
        _ = try await response.body.collect(upTo: Self.answerBytesMax)
        return Int(response.status.code)
    }
}
