// The meeting role as a routing node of the same process calls it.
// SPDX-License-Identifier: Apache-2.0
import JWTKit
import Meetings
import Routing
import ServiceKit
import Stores

/// Does what the HTTP calls do, without the socket.
struct LocalMeetingService: Routing.MeetingService {
    let meetings: Meetings.MeetingService
    let ticketKey: ES256PublicKey

    func end(meetingID: String) async throws -> Int {
        try await meetings.end(meetingID)
        return 204
    }

    func beat(nodeID: String, _ beat: NodeBeat) async throws -> Int {
        var row = ServerBeat(
            id: nodeID, address: beat.address, capacity: beat.capacity, at: UnixTime.now())
        row.load = beat.load
        row.liveMeetings = beat.meetings
        row.liveUsers = beat.users
        row.draining = beat.draining
        try await meetings.beat(row)
        return 204
    }

    func keys() async throws -> [UInt8] { try MeetingRoutes.keySet(ticketKey) }
}
