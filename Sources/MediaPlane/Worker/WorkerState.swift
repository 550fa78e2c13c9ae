// What a worker knows about its participants, tracks and slots. SPDX-License-Identifier: Apache-2.0

/// One participant's transport. Confined to its worker's thread; a class because the DTLS handle is
/// destroyed exactly once and because it is looked up several times for one datagram.
final class Peer {
    let id: ParticipantID
    let label: String
    /// What the participant is counted under in the placement; "" for none.
    var meeting = ""
    let cname: String
    /// The SSRC of our reports and requests.
    let localSSRC: UInt32
    var ice: IceLiteAgent
    var dtls: DtlsConnection?
    var transport: TransportDescription?
    var isEstablished = false
    var hasStartedDtls = false
    var hasFailed = false
    /// Where the last DTLS datagram came from.
    var dtlsAddress: Endpoint?

    /// Handles of what belongs to the participant.
    var tracks: [UInt32] = []
    var slots: [UInt32] = []
    /// Received SSRC to track and encoding, resend streams left out.
    var sources: [UInt32: SourceName] = [:]
    var slotsBySSRC: [UInt32: UInt32] = [:]

    var clock = PublisherClock()
    var roundTrip = RoundTripTime()
    var estimate = DownlinkEstimate()
    var sentMeter = RateMeter()
    var feedback = TransportFeedbackBuilder()
    var wantsTransportFeedback = false
    var firSequence: UInt8 = 0
    /// One remap at a time; the others wait their turn.
    var isRemapping = false
    var waitingRemaps: [CheckedContinuation<Void, Never>] = []
    var nextReportUs: UInt64
    var reportedLimitBps: Double?
    var reportedLoss = 0.0

    struct SourceName {
        var track: UInt32
        var encoding: Int
    }

    /// Drawn at random when the participant is made.
    struct Names {
        var cname: String
        var localSSRC: UInt32
        var ice: IceCredentials
    }

    init(id: ParticipantID, label: String, names: Names, nowUs: UInt64) {
        self.id = id
        self.label = label
        cname = names.cname
        localSSRC = names.localSSRC
        ice = IceLiteAgent(local: names.ice, nowUs: nowUs)
        nextReportUs = nowUs + 500_000 + UInt64(localSSRC % 500_000)
    }

    /// What resends and requests assume before the first measurement.
    var roundTripUs: UInt64 { roundTrip.us ?? 100_000 }
    var canSend: Bool { isEstablished && ice.selected != nil }
}

/// Which encodings of a track somebody receives or waits for. A mirror tells its origin, newer
/// news with a higher version; in the beginning all are wanted.
struct WantedEncodings: Sendable, Equatable {
    var version: UInt32 = 0
    /// Bit i: encoding i.
    var bits: UInt8 = 0xff

    func contains(_ encoding: Int) -> Bool { bits & 1 << encoding != 0 }
}

/// A track that a participant of this worker publishes, or the mirror of one on another worker.
struct Track {
    /// The name at the worker that receives it.
    let origin: TrackID
    /// The publisher's handle; nil for a mirror.
    let peer: UInt32?
    let publication: PublicationDescription
    var encodings: [Encoding]
    var isMuted = false
    /// Grows with each change of `isMuted`: tells a mirror which news is newer.
    var muteVersion: UInt32 = 0
    var audio = AudioMeter()
    /// Other workers that have a mirror, by index.
    var branches: [Int: Branch] = [:]
    /// Slots of this worker bound to it.
    var slots: Set<UInt32> = []
    /// A mirror without slots is removed after this.
    var lingerUntilUs: UInt64 = 0
    /// What a mirror told its origin last.
    var told = WantedEncodings()
    var reportedLayers: [LayerReport] = []
    /// As last measured.
    private(set) var layers: [LayerState]

    /// What is known of a mirror at the publisher's worker.
    struct Branch {
        var mirror: UInt32
        var wanted = WantedEncodings()
    }

    struct Encoding {
        var ssrc: UInt32 = 0
        var meter = LayerMeter()
        var nack = NackGenerator()
        var keyframes = KeyframePolicy()
        var reception = ReceptionReporter()
        var time: SourceTime?
    }

    init(origin: TrackID, peer: UInt32?, publication: PublicationDescription) {
        self.origin = origin
        self.peer = peer
        self.publication = publication
        encodings = publication.encodings.map { _ in Encoding() }
        layers = []
        noteLayers(nowUs: 0)
    }

    mutating func noteLayers(nowUs: UInt64) {
        layers = encodings.indices.map { layer($0, nowUs: nowUs) }
    }

    func layer(_ index: Int, nowUs: UInt64) -> LayerState {
        let declared = publication.encodings[index].declaredBitrate
        let isAudio = publication.kind == .audio
        return encodings[index].meter.state(
            index: index, declared: declared ?? (isAudio ? LayerMeter.audioBps : nil),
            nowUs: nowUs)
    }
}

/// One outgoing stream.
struct Slot {
    let id: SlotID
    let peer: UInt32
    let description: SlotDescription
    /// Handle of the bound track on this worker.
    var track: UInt32?
    var wantedBps = 0
    var priority = SlotPriority.normal
    /// The encoding aimed at; nil while unbound or paused.
    var target: Int?
    /// The encoding that is carried.
    var carried: Int?
    var isPaused = false
    var lossFraction = 0.0
    /// Extended sequence number in the receiver's last report.
    var reportedHighest: UInt32?

    func payload(for codec: MediaCodec) -> PayloadMapping? {
        description.payloads.first { $0.codec == codec }
    }
}
