// One participant or ghost of a meeting: its socket, what it publishes, what it wants, its slots.
// SPDX-License-Identifier: Apache-2.0

/// What a peer publishes from one source.
struct PublishedState: Sendable {
    var codec: MediaCodec
    var layers: [Feed.Layer] = []
}

/// Names a feed among all of a meeting.
struct FeedKey: Hashable, Sendable {
    var publisher: PeerID
    var source: FeedSource

    /// Both in one number: these are hashed by the hundred for one packet.
    func hash(into hasher: inout Hasher) {
        let source: UInt64 =
            switch source {
            case .camera: 0
            case .screen: 1
            case .microphone: 2
            }
        hasher.combine(UInt64(publisher.value) << 2 | source)
    }
}

/// One receiving position.
struct PeerSlot: Sendable {
    var offer: SlotOffer
    var bound: FeedKey?
    /// The most wanted of the bound feed, bit/s.
    var wanted = 0
    var layer: String?
    /// Measured, bit/s.
    var bitrate = 0

    mutating func clear() {
        bound = nil
        wanted = 0
        layer = nil
        bitrate = 0
    }
}

/// Owner: `Meeting`. State: a few hundred bytes and about 100 for each slot and subscription.
struct Peer: Sendable {
    let id: PeerID
    let accountID: String
    let name: String?
    let isGhost: Bool
    /// The secret of RESUME.
    let session: String
    /// nil while the connection is interrupted.
    var socket: SocketID?
    var disconnectedAt: Duration?
    /// An offer is being answered.
    var isNegotiating = false
    var feeds: [FeedSource: PublishedState] = [:]
    /// Sources that stay silent, published or not.
    var muted: Set<FeedSource> = []
    /// Subscriptions in the order in which they were made.
    var wanted: [FeedRequest] = []
    var slots: [PeerSlot] = []
    var hasRaisedHand = false
    var qualitySentAt: Duration?

    init(id: PeerID, claims: TicketClaims, isGhost: Bool, session: String, socket: SocketID) {
        self.id = id
        accountID = claims.accountID
        name = claims.name
        self.isGhost = isGhost
        self.session = session
        self.socket = socket
    }

    /// The FEEDS packet's list in a stable order.
    var feedList: [Feed] {
        FeedSource.allCases.compactMap { source in
            feeds[source].map {
                Feed(
                    source: source, codec: $0.codec.rawValue, layers: $0.layers,
                    isMuted: muted.contains(source))
            }
        }
    }
}
