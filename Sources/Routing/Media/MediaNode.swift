// The media plane as a meeting uses it: transports named by numbers, tracks and slots by mid.
// SPDX-License-Identifier: Apache-2.0

public import Signaling

/// One peer's transport on this node. Never reused.
public struct MediaPeerID: Hashable, Sendable {
    public let value: UInt64

    public init(_ value: UInt64) { self.value = value }
}

/// A published track: the section of a peer that it arrives in.
public struct TrackName: Hashable, Sendable {
    public var peer: MediaPeerID
    public var mid: String

    public init(peer: MediaPeerID, mid: String) {
        self.peer = peer
        self.mid = mid
    }
}

/// A publication that was applied.
public struct AppliedPublication: Sendable, Equatable {
    public var mid: String
    public var source: FeedSource
    public var codec: Signaling.MediaCodec
    /// The media plane has a new track for it; whoever was bound to the former is unbound.
    public var isNew: Bool

    public init(mid: String, source: FeedSource, codec: Signaling.MediaCodec, isNew: Bool) {
        self.mid = mid
        self.source = source
        self.codec = codec
        self.isNew = isNew
    }
}

/// One step of a remap of a peer's slots, which are named by mid.
public enum SlotStep: Sendable, Equatable {
    case unbind(mid: String)
    /// `bitrate`: the most wanted, bit/s; 0 for audio.
    case bind(mid: String, track: TrackName, bitrate: Int, source: FeedSource)
    case setBitrate(mid: String, bitrate: Int)
}

/// What became of one `SlotStep`.
public enum SlotOutcome: String, Sendable {
    case done
    case noCommonCodec
    /// The track or the slot is gone; the meeting knows or will soon.
    case stale
    case full
}

/// Why the media plane refused.
public struct MediaRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// For the client.
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// A measured encoding of a track.
public struct MeasuredLayer: Sendable, Equatable {
    /// "" without simulcast.
    public var rid: String
    /// Bit/s.
    public var bitrate: Int
    public var isLive: Bool

    public init(rid: String, bitrate: Int, isLive: Bool) {
        self.rid = rid
        self.bitrate = bitrate
        self.isLive = isLive
    }
}

/// What a transport reports.
public enum MediaNews: Sendable, Equatable {
    case connected
    /// `mayReturn`: checks stopped coming; they may come again and connect it without an offer.
    case disconnected(mayReturn: Bool)
    case layers(mid: String, [MeasuredLayer])
    /// The encoding a slot carries now: its rid, "" without simulcast, nil for nothing; bit/s.
    case slotLayer(mid: String, layer: String?, bitrate: Int)
    /// bit/s; loss 0 to 1.
    case estimate(bitsPerSecond: Int, loss: Double)
    /// −dBov: 0 is the loudest, 127 silence.
    case audioLevel(mid: String, level: Int)
}

/// One participant's transport. Calls take effect in the order in which they are awaited.
public protocol MediaPeer: Sendable {
    var id: MediaPeerID { get }
    /// What the next answer says about this transport.
    var local: LocalTransport { get }
    /// Makes new local credentials for an ICE restart; `local` has them from then on.
    func restartICE() async -> LocalTransport
    /// Takes over what an answer promises: transport, publications, slots. Called before each
    /// answer is sent; sections that are no longer there are ended.
    func apply(_ session: NegotiatedSession) async throws(MediaRefusal) -> [AppliedPublication]
    func setMuted(mid: String, _ isMuted: Bool) async
    /// All steps at once; one outcome each.
    func remap(_ steps: [SlotStep]) async -> [SlotOutcome]
    /// The last call.
    func close() async
}

/// The media plane of this node.
public protocol MediaNode: Sendable {
    /// Before any peer is made.
    func start() async throws
    /// Closes every peer; ends `news`.
    func stop() async
    /// - Parameters:
    ///   - meeting: peers of one meeting are kept close together while it is small.
    ///   - label: for logs.
    func makePeer(meeting: String, label: String) async throws(MediaRefusal) -> any MediaPeer
    /// For one reader.
    var news: AsyncStream<[(MediaPeerID, MediaNews)]> { get }
    /// Share of the workers' capacity that is in use, 0 to 1.
    var load: Double { get }
    /// Whether another peer would find a place.
    var hasRoom: Bool { get }
    /// Takes what only the workers know and what grows over time; called once a second.
    func measure() async
    /// Numbers about the media plane, up to date but for what `measure` takes. Never waits.
    func metrics() -> [NodeMetric]
    /// What encrypts media, for people: "ipsec-mb" or "openssl".
    var cipher: String { get }
    /// UDP ports that media arrives on.
    var ports: [UInt16] { get }
}
