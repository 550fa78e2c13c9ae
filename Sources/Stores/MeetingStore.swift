// Meetings that were created and not yet forgotten.
// SPDX-License-Identifier: Apache-2.0

/// One meeting: the document of the requirements, and times.
public struct MeetingRecord: Sendable, Equatable {
    public var meetingID: String
    /// Account that created it; the only one that may end it.
    public var host: String
    /// Base WebSocket URL of the routing node; empty once the meeting has ended.
    public var server: String
    /// Id of the routing node.
    public var node: String
    public var recording: Bool
    /// Accounts that get the link to the recording, in the order of their requests.
    public var recordRecipients: [String]
    /// Id of the recorder that took the job; nil before.
    public var recorder: String?
    /// Seconds since 1970.
    public var created: Int
    /// Seconds since 1970; nil while the meeting may go on.
    public var ended: Int?
    /// Seconds since 1970; nil without a recording.
    public var recordingStarted: Int?

    public init(meetingID: String, host: String, server: String, node: String, created: Int) {
        self.meetingID = meetingID
        self.host = host
        self.server = server
        self.node = node
        self.created = created
        recording = false
        recordRecipients = []
    }

    public var hasEnded: Bool { server.isEmpty }
}

/// What `MeetingStore.end` found.
public enum MeetingEnd: Sendable, Equatable {
    /// The record is gone.
    case deleted
    /// A recording is pending: the record stays with an empty `server`.
    case kept
    case alreadyEnded
    case unknown
}

/// What `MeetingStore.requestRecording` found.
public enum RecordingRequest: Sendable, Equatable {
    /// The caller has to find a recorder, then call `recordingTaken` or `recordingFailed`.
    case started
    /// Another call is finding a recorder right now.
    case pending
    /// It is being recorded; the account is among the recipients.
    case running
    case ended
    case unknown
}

/// Where meetings live. All calls are atomic and may be made from many processes at once.
public protocol MeetingStore: Sendable {
    /// Adds a meeting. Throws `duplicate`.
    func create(_ meeting: MeetingRecord) async throws(StoreError)

    /// Nil when there is none.
    func meeting(id: String) async throws(StoreError) -> MeetingRecord?

    /// Ends a meeting; calling it again changes nothing.
    func end(id: String, now: Int) async throws(StoreError) -> MeetingEnd

    /// Asks for a recording. A request that has been pending for more than `pendingMax` seconds
    /// is taken over. The account becomes a recipient when the answer is `started` or `running`.
    func requestRecording(
        id: String, recipient: String, now: Int, pendingMax: Int
    ) async throws(StoreError) -> RecordingRequest

    /// A recorder has the job.
    func recordingTaken(id: String, recorder: String) async throws(StoreError)

    /// No recorder took it: as if nobody had asked.
    func recordingFailed(id: String) async throws(StoreError)

    /// Removes a meeting; false when there was none.
    func delete(id: String) async throws(StoreError) -> Bool

    /// Removes meetings that were created before `createdBefore` and are not being recorded;
    /// returns them. For meetings that nobody ever opened.
    func prune(createdBefore: Int) async throws(StoreError) -> [MeetingRecord]

    /// Which of these meetings exist and have not ended.
    func live(among ids: [String]) async throws(StoreError) -> Set<String>

    /// Throws when the store cannot be used now.
    func check() async throws(StoreError)
}
