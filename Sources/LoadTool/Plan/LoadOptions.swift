// What a load run does. SPDX-License-Identifier: Apache-2.0

package import Signaling

/// Why the options make no run.
public struct LoadOptionsError: Error, Equatable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }
}

/// How many received packets are decrypted and looked into.
public enum DecryptShare: Sendable, Equatable, CustomStringConvertible {
    case none
    /// One of so many, 1: all.
    case oneOf(Int)

    /// Reads `none`, `all`, `N` or `1/N`.
    public init?(_ text: String) {
        switch text {
        case "none": self = .none
        case "all": self = .oneOf(1)
        default:
            let digits = text.hasPrefix("1/") ? String(text.dropFirst(2)) : text
            guard let count = Int(digits), (1...1_000_000).contains(count) else { return nil }
            self = .oneOf(count)
        }
    }

    public var description: String {
        switch self {
        case .none: "none"
        case .oneOf(1): "all"
        case .oneOf(let count): "1/\(count)"
        }
    }
}

/// Shaped synthetic video: pictures of a fixed number of packets with sizes in a range.
public struct VideoShape: Sendable, Equatable, CustomStringConvertible {
    /// Pictures a second.
    public var framesPerSecond: Int
    public var packetsPerFrame: Int
    /// Bytes of an RTP payload.
    public var bytes: ClosedRange<Int>

    /// A gallery's thumbnail: 45 packets a second of 300 to 700 B.
    public static let gallery = VideoShape(
        framesPerSecond: 15, packetsPerFrame: 3, bytes: 300...700)
    /// A stage's speaker: 300 packets a second of 1100 B.
    public static let stage = VideoShape(
        framesPerSecond: 30, packetsPerFrame: 10, bytes: 1100...1100)

    public init(framesPerSecond: Int, packetsPerFrame: Int, bytes: ClosedRange<Int>) {
        self.framesPerSecond = framesPerSecond
        self.packetsPerFrame = packetsPerFrame
        self.bytes = bytes
    }

    /// Reads `FRAMESxPACKETSxBYTES` or `FRAMESxPACKETSxMIN-MAX`, as `15x3x300-700`.
    public init?(_ text: String) {
        let parts = text.split(separator: "x", omittingEmptySubsequences: false)
        guard parts.count == 3, let frames = Int(parts[0]), let packets = Int(parts[1]) else {
            return nil
        }
        let sizes = parts[2].split(separator: "-", omittingEmptySubsequences: false)
            .map { Int($0) }
        guard let low = sizes.first ?? nil, let high = sizes.last ?? nil, sizes.count <= 2,
            low <= high, low >= 64, high <= 1180, (1...240).contains(frames),
            (1...64).contains(packets)
        else { return nil }
        self.init(framesPerSecond: frames, packetsPerFrame: packets, bytes: low...high)
    }

    public var description: String {
        let size = bytes.lowerBound == bytes.upperBound
            ? "\(bytes.lowerBound)" : "\(bytes.lowerBound)-\(bytes.upperBound)"
        return "\(framesPerSecond)x\(packetsPerFrame)x\(size)"
    }
}

/// What participants send.
public enum MediaChoice: Sendable, Equatable {
    /// Shaped packets with a stamp in each: nothing is encoded, delay is measured exactly.
    case synthetic(VideoShape)
    /// Encoded before the run from a moving pattern and a tone.
    case vp8, vp9
    /// IVF files (VP8, VP9) and Ogg Opus files.
    case files([String])

    /// Reads `gallery`, `synthetic`, `stage`, `vp8`, `vp9` or `file:PATH[,PATH]`.
    public init(_ text: String) throws {
        switch text {
        case "gallery", "synthetic": self = .synthetic(.gallery)
        case "stage": self = .synthetic(.stage)
        case "vp8": self = .vp8
        case "vp9": self = .vp9
        default:
            guard text.hasPrefix("file:"), text.utf8.count > 5 else {
                throw LoadOptionsError(
                    "--media must be gallery, stage, synthetic, vp8, vp9 or file:PATH[,PATH], "
                        + "not '\(text)'")
            }
            self = .files(text.dropFirst(5).split(separator: ",").map(String.init))
        }
    }
}

/// Which system's protocol participants speak.
public enum DialectChoice: String, Sendable, CaseIterable {
    case roundhouse
    /// The videoroom of a Janus server, as a peer for comparisons.
    case janus
}

/// Everything that a run is told. Defaults are those of the command.
public struct LoadOptions: Sendable {
    /// Base URL of the system: http or https.
    public var url = "http://127.0.0.1:8080"
    public var dialect = DialectChoice.roundhouse
    public var meetings = 1
    /// Of each meeting.
    public var participants = 4
    /// Most camera feeds that a participant subscribes to.
    public var feeds = 49
    /// How many of a meeting's participants publish; nil: all.
    public var publishers: Int?
    /// What a publisher publishes: camera, microphone, screen.
    public var sources: [String] = ["camera", "microphone"]
    public var media = MediaChoice.synthetic(.gallery)
    /// Simulcast encodings of a camera.
    public var layers = 1
    /// The most that a subscription asks for, bit/s.
    public var feedBitrate = 4_000_000
    /// Seconds between remaps of all subscriptions; nil: none.
    public var churn: Double?
    /// Share of packets dropped in each direction on purpose, 0 to 0.5.
    public var loss = 0.0
    /// Joins a second.
    public var ramp = 20.0
    /// Seconds that are measured.
    public var duration = 10.0
    /// Most seconds from the last join to the begin of the measurement.
    public var settle = 10.0
    public var decrypt = DecryptShare.oneOf(16)
    /// Packet threads.
    public var threads = 1
    /// Any certificate is taken.
    public var isInsecure = false
    /// File in which accounts are kept from run to run.
    public var accountsFile: String?
    public var jsonFile: String?
    public var htmlFile: String?
    /// Most loss, a share of 1.
    public var maxLoss: Double?
    /// Most 99th percentile of the one-way delay, milliseconds.
    public var maxP99Milliseconds: Double?
    /// Process whose CPU time and memory are measured; nil: found by the port on this machine.
    public var serverPID: Int32?
    public var seed: UInt64 = 1

    public init() {}

    /// Throws `LoadOptionsError` that names the option.
    public func validate() throws {
        guard LoadURL(url) != nil else {
            throw LoadOptionsError("--url must be http://HOST[:PORT] or https://…, not '\(url)'")
        }
        try check("--meetings", meetings, 1...10_000)
        try check("--participants", participants, 1...10_000)
        try check("--feeds", feeds, 0...49)
        try check("--publishers", publishers ?? participants, 0...participants)
        try check("--layers", layers, 1...3)
        try check("--threads", threads, 1...64)
        try check("--feed-bitrate", feedBitrate, 1000...PacketLimits.bitrateMax)
        try check("--churn", churn ?? 1, 0.2...3600)
        try check("--loss", loss, 0...0.5)
        try check("--ramp", ramp, 0.1...10_000)
        try check("--duration", duration, 0.5...604_800)
        try check("--settle", settle, 0...600)
        try check("--max-loss", maxLoss ?? 0, 0...1)
        try check("--max-p99-ms", maxP99Milliseconds ?? 0, 0...60_000)
        guard !sources.isEmpty, Set(sources).count == sources.count,
            sources.allSatisfy({ FeedSource(rawValue: $0) != nil })
        else { throw LoadOptionsError("--publish is a list of camera, microphone and screen") }
        if layers > 1, case .files = media {
            throw LoadOptionsError("--layers goes with synthetic, vp8 or vp9 media, not with files")
        }
        guard meetings * participants <= 20_000 else {
            throw LoadOptionsError("more than 20000 participants at once")
        }
    }

    private func check<Value: Comparable>(
        _ name: String, _ value: Value, _ range: ClosedRange<Value>
    ) throws {
        guard range.contains(value) else {
            throw LoadOptionsError(
                "\(name) must be \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
    }

    package var publishedSources: [FeedSource] { sources.compactMap { FeedSource(rawValue: $0) } }
    /// Of each meeting.
    package var publisherCount: Int { min(publishers ?? participants, participants) }
}

/// The parts of the system's URL.
package struct LoadURL: Sendable, Equatable {
    package var isTLS: Bool
    package var host: String
    package var port: Int

    /// Reads `http://HOST[:PORT][/]`; IPv6 addresses stand in brackets.
    package init?(_ text: String, schemes: (plain: String, tls: String) = ("http", "https")) {
        guard let separator = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<separator.lowerBound]
        guard scheme == schemes.plain || scheme == schemes.tls else { return nil }
        isTLS = scheme == schemes.tls
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        var name = authority
        var number = isTLS ? 443 : 80
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[end...].lastIndex(of: ":") {
            guard let given = Int(authority[authority.index(after: colon)...]),
                (1...65535).contains(given)
            else { return nil }
            number = given
            name = authority[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        guard !name.isEmpty else { return nil }
        host = String(name)
        port = number
    }

    /// `host:port`, as a Host header has it.
    package var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
