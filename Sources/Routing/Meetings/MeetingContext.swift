// What every live meeting of a node shares.
// SPDX-License-Identifier: Apache-2.0

import Logging
import Signaling
import Synchronization

struct MeetingContext: Sendable {
    var configuration: MeetingConfiguration
    var limits: RoutingLimits
    var clock: any RoutingClock
    var journal: EndJournal
    var media: any MediaNode
    var owners: MediaOwners
    var metrics: RoutingMetrics
    var logger: Logger
}

/// Whose transport it is, for news of the media plane. Owner: `NodeCore`.
final class MediaOwners: Sendable {
    struct Owner: Sendable {
        var meeting: LiveMeeting
        var peer: PeerID
    }

    private let owners = Mutex<[MediaPeerID: Owner]>([:])

    func set(_ id: MediaPeerID, _ owner: Owner?) { owners.withLock { $0[id] = owner } }
    func owner(of id: MediaPeerID) -> Owner? { owners.withLock { $0[id] } }
}

/// 128 random bits as 32 hexadecimal digits.
func makeSecret() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
        let text = String(generator.next() as UInt64, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }.joined()
}
