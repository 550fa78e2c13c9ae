// Reads session descriptions (RFC 8866) in one pass; time is linear in the text's size.
// State: the description so far. Owner: the caller, for one text.
// SPDX-License-Identifier: Apache-2.0

extension SessionDescription {
    /// Reads an SDP text. Accepts any bytes; never aborts. Unknown lines are ignored.
    ///
    /// - Throws: `SDPError` beyond `SDPLimits`, or for a line that is understood but malformed.
    public static func parse(_ bytes: Span<UInt8>) throws(SDPError) -> SessionDescription {
        guard bytes.count <= SDPLimits.bytesMax else {
            throw SDPError("the SDP is larger than \(SDPLimits.bytesMax) bytes")
        }
        var reader = SDPReader()
        var start = 0
        for index in 0..<bytes.count where bytes[index] == 0x0A {
            try reader.readLine(bytes.extracting(start..<index))
            start = index + 1
        }
        if start < bytes.count { try reader.readLine(bytes.extracting(start..<bytes.count)) }
        return try reader.finish()
    }

    public static func parse(_ text: String) throws(SDPError) -> SessionDescription {
        var text = text
        text.makeContiguousUTF8()
        return try parse(text.utf8.span)
    }
}

struct SDPReader {
    private typealias Handler = @Sendable (inout SDPReader, Substring) throws(SDPError) -> Void

    private var description = SessionDescription()
    /// The section being read; nil at session level.
    private var section: MediaSection?
    /// Index in `section.formats` by payload type.
    private var formatIndex: [UInt8: Int] = [:]
    private var seenSSRCs: Set<UInt32> = []
    private var line = 0

    func fail(_ problem: String) -> SDPError { SDPError("SDP line \(line): \(problem)") }

    mutating func readLine(_ bytes: Span<UInt8>) throws(SDPError) {
        line += 1
        guard line <= SDPLimits.linesMax else { throw fail("too many lines") }
        var count = bytes.count
        if count > 0, bytes[count - 1] == 0x0D { count -= 1 }
        if count == 0 { return }
        guard count <= SDPLimits.lineBytesMax else { throw fail("the line is too long") }
        guard count >= 2, bytes[1] == UInt8(ascii: "=") else {
            throw fail("a line must start with a letter and =")
        }
        for index in 0..<count where bytes[index] < 0x20 && bytes[index] != 0x09 {
            throw fail("a control character")
        }
        switch bytes[0] {
        case UInt8(ascii: "v"):
            guard line == 1, count == 3, bytes[2] == UInt8(ascii: "0") else {
                throw fail("the version must be 0 and stand first")
            }
        case UInt8(ascii: "m"): try startSection(try text(bytes.extracting(2..<count)))
        case UInt8(ascii: "a"): try readAttribute(bytes.extracting(2..<count))
        default: break
        }
        if line == 1, bytes[0] != UInt8(ascii: "v") { throw fail("v=0 must stand first") }
    }

    mutating func finish() throws(SDPError) -> SessionDescription {
        guard line > 0 else { throw SDPError("the SDP is empty") }
        endSection()
        var mids: Set<String> = []
        for section in description.media {
            guard let mid = section.mid else { continue }
            guard mids.insert(mid).inserted else { throw SDPError("the mid \(mid) stands twice") }
        }
        return description
    }

    private func text(_ bytes: Span<UInt8>) throws(SDPError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes))
        } catch {
            throw fail("the line is not UTF-8")
        }
    }

    private mutating func endSection() {
        if let section { description.media.append(section) }
        section = nil
        formatIndex.removeAll(keepingCapacity: true)
        seenSSRCs.removeAll(keepingCapacity: true)
    }

    private mutating func startSection(_ value: String) throws(SDPError) {
        endSection()
        guard description.media.count < SDPLimits.sectionsMax else {
            throw fail("more than \(SDPLimits.sectionsMax) media sections")
        }
        let words = value.split(separator: " ", maxSplits: 3)
        guard words.count == 4,
            let port = UInt16(words[1].prefix { $0 != "/" })
        else { throw fail("a malformed m= line") }
        var section = MediaSection(
            type: String(words[0]), port: port, proto: String(words[2]),
            formatText: String(words[3]))
        if section.kind != nil {
            for word in words[3].split(separator: " ") {
                guard let payloadType = UInt8(word), payloadType < 128 else {
                    throw fail("\(word.prefix(20)) is not a payload type")
                }
                guard formatIndex[payloadType] == nil else { continue }
                guard section.formats.count < SDPLimits.formatsMax else {
                    throw fail("more than \(SDPLimits.formatsMax) payload types")
                }
                formatIndex[payloadType] = section.formats.count
                section.formats.append(PayloadFormat(payloadType: payloadType))
            }
        }
        self.section = section
    }

    private mutating func readAttribute(_ bytes: Span<UInt8>) throws(SDPError) {
        var colon = 0
        while colon < bytes.count, bytes[colon] != UInt8(ascii: ":") { colon += 1 }
        guard colon <= 24 else { return }
        let name = try text(bytes.extracting(0..<colon))
        let handlers = section == nil ? Self.sessionHandlers : Self.mediaHandlers
        guard let handler = handlers[name] else { return }
        let value = try text(bytes.extracting(min(colon + 1, bytes.count)..<bytes.count))
        try handler(&self, value[...])
    }

    private static let sessionHandlers: [String: Handler] = [
        "group": { (reader, value) throws(SDPError) in reader.readGroup(value) },
        "extmap-allow-mixed": { (reader, _) throws(SDPError) in
            reader.description.allowsMixedExtensions = true
        },
        "ice-ufrag": { (reader, value) throws(SDPError) in
            let text = try reader.iceText(value, 4...256)
            reader.description.transport.ufrag = text
        },
        "ice-pwd": { (reader, value) throws(SDPError) in
            let text = try reader.iceText(value, 22...256)
            reader.description.transport.password = text
        },
        "fingerprint": { (reader, value) throws(SDPError) in
            let fingerprint = try reader.readFingerprint(value)
            reader.add(fingerprint, to: &reader.description.transport)
        },
        "setup": { (reader, value) throws(SDPError) in
            let role = try reader.readSetup(value)
            reader.description.transport.setup = role
        },
    ]

    private static let mediaHandlers: [String: Handler] = [
        "mid": { (reader, value) throws(SDPError) in try reader.readMid(value) },
        "rtpmap": { (reader, value) throws(SDPError) in try reader.readRtpmap(value) },
        "fmtp": { (reader, value) throws(SDPError) in reader.readFormatParameters(value) },
        "rtcp-fb": { (reader, value) throws(SDPError) in reader.readFeedback(value) },
        "extmap": { (reader, value) throws(SDPError) in try reader.readExtension(value) },
        "ssrc": { (reader, value) throws(SDPError) in try reader.readSSRC(value) },
        "ssrc-group": { (reader, value) throws(SDPError) in try reader.readSSRCGroup(value) },
        "rid": { (reader, value) throws(SDPError) in try reader.readRid(value) },
        "simulcast": { (reader, value) throws(SDPError) in try reader.readSimulcast(value) },
        "sendrecv": { (reader, _) throws(SDPError) in reader.section?.direction = .sendrecv },
        "sendonly": { (reader, _) throws(SDPError) in reader.section?.direction = .sendonly },
        "recvonly": { (reader, _) throws(SDPError) in reader.section?.direction = .recvonly },
        "inactive": { (reader, _) throws(SDPError) in reader.section?.direction = .inactive },
        "rtcp-mux": { (reader, _) throws(SDPError) in reader.section?.hasRtcpMux = true },
        "rtcp-rsize": { (reader, _) throws(SDPError) in
            reader.section?.hasReducedSizeRtcp = true
        },
        "bundle-only": { (reader, _) throws(SDPError) in reader.section?.isBundleOnly = true },
        "extmap-allow-mixed": { (reader, _) throws(SDPError) in
            reader.description.allowsMixedExtensions = true
        },
        "ice-ufrag": { (reader, value) throws(SDPError) in
            let text = try reader.iceText(value, 4...256)
            reader.section?.transport.ufrag = text
        },
        "ice-pwd": { (reader, value) throws(SDPError) in
            let text = try reader.iceText(value, 22...256)
            reader.section?.transport.password = text
        },
        "fingerprint": { (reader, value) throws(SDPError) in
            let fingerprint = try reader.readFingerprint(value)
            if var section = reader.section {
                reader.add(fingerprint, to: &section.transport)
                reader.section = section
            }
        },
        "setup": { (reader, value) throws(SDPError) in
            let role = try reader.readSetup(value)
            reader.section?.transport.setup = role
        },
    ]

    // Session and transport attributes.

    private mutating func readGroup(_ value: Substring) {
        let words = value.split(separator: " ")
        guard words.first == "BUNDLE", description.bundles.count < 4 else { return }
        description.bundles.append(words.dropFirst().map(String.init))
    }

    /// ICE characters (RFC 8839 section 5.4).
    private func iceText(
        _ value: Substring, _ bytes: ClosedRange<Int>
    ) throws(SDPError) -> String {
        let isIceText = value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
        guard isIceText, bytes.contains(value.utf8.count) else {
            throw fail("malformed ICE credentials")
        }
        return String(value)
    }

    private func readSetup(_ value: Substring) throws(SDPError) -> SetupRole {
        guard let role = SetupRole(rawValue: String(value)) else {
            throw fail("an unknown setup role")
        }
        return role
    }

    private func add(_ fingerprint: DTLSFingerprint, to transport: inout TransportAttributes) {
        guard transport.fingerprints.count < SDPLimits.fingerprintsMax else { return }
        if !transport.fingerprints.contains(fingerprint) {
            transport.fingerprints.append(fingerprint)
        }
    }

    private func readFingerprint(_ value: Substring) throws(SDPError) -> DTLSFingerprint {
        let words = value.split(separator: " ")
        guard words.count == 2 else { throw fail("a malformed fingerprint") }
        var bytes: [UInt8] = []
        for pair in words[1].split(separator: ":", omittingEmptySubsequences: false) {
            guard pair.utf8.count == 2, let byte = UInt8(pair, radix: 16) else {
                throw fail("a malformed fingerprint")
            }
            bytes.append(byte)
        }
        let algorithm = words[0].lowercased()
        if let size = Self.digestSizes[algorithm], size != bytes.count {
            throw fail("a fingerprint of the wrong length")
        }
        guard bytes.count <= 64 else { throw fail("a fingerprint of the wrong length") }
        return DTLSFingerprint(algorithm: algorithm, bytes: bytes)
    }

    private static let digestSizes = [
        "sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64,
    ]

    // Section attributes.

    private mutating func readMid(_ value: Substring) throws(SDPError) {
        let isToken = value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard isToken, (1...32).contains(value.utf8.count) else { throw fail("a malformed mid") }
        section?.mid = String(value)
    }

    /// Calls `change` with the format whose number starts `value`, and the rest of `value`.
    private mutating func changeFormat(
        _ value: Substring, _ change: (inout PayloadFormat, Substring) -> Void
    ) {
        let words = value.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let payloadType = UInt8(words[0]),
            let index = formatIndex[payloadType], var formats = section?.formats
        else { return }
        section?.formats = []
        change(&formats[index], words[1])
        section?.formats = formats
    }

    private mutating func readRtpmap(_ value: Substring) throws(SDPError) {
        let words = value.split(separator: " ", maxSplits: 1)
        let parts = words.last?.split(separator: "/") ?? []
        guard words.count == 2, UInt8(words[0]) != nil, parts.count >= 2,
            let clockRate = UInt32(parts[1])
        else { throw fail("a malformed rtpmap") }
        changeFormat(value) { format, _ in
            format.name = parts[0].uppercased()
            format.clockRate = clockRate
            format.channels = parts.count > 2 ? UInt8(parts[2]) ?? 1 : 1
        }
    }

    private mutating func readFormatParameters(_ value: Substring) {
        changeFormat(value) { format, rest in
            format.parameterText = String(rest)
            for parameter in rest.split(separator: ";").prefix(32) {
                let pair = parameter.split(separator: "=", maxSplits: 1)
                guard let name = pair.first?.trimmed.lowercased() else { continue }
                format.parameters[name] = pair.count > 1 ? String(pair[1].trimmed) : ""
            }
        }
    }

    private mutating func readFeedback(_ value: Substring) {
        if value.hasPrefix("* ") {
            guard var formats = section?.formats else { return }
            section?.formats = []
            for index in formats.indices where formats[index].feedback.count < 16 {
                formats[index].feedback.append(String(value.dropFirst(2)))
            }
            section?.formats = formats
            return
        }
        changeFormat(value) { format, rest in
            if format.feedback.count < 16 { format.feedback.append(String(rest)) }
        }
    }

    private mutating func readExtension(_ value: Substring) throws(SDPError) {
        let words = value.split(separator: " ")
        guard words.count >= 2, let number = words[0].split(separator: "/").first,
            let id = UInt16(number)
        else { throw fail("a malformed extmap") }
        guard (1...255).contains(id), id != 15 else { return }
        guard let count = section?.extensions.count, count < SDPLimits.extensionsMax else {
            throw fail("more than \(SDPLimits.extensionsMax) header extensions")
        }
        section?.extensions.append(ExtensionMapping(id: UInt8(id), uri: String(words[1])))
    }

    private mutating func readSSRC(_ value: Substring) throws(SDPError) {
        guard let word = value.split(separator: " ", maxSplits: 1).first,
            let ssrc = UInt32(word)
        else { throw fail("a malformed ssrc") }
        guard seenSSRCs.insert(ssrc).inserted else { return }
        guard seenSSRCs.count <= SDPLimits.ssrcsMax else {
            throw fail("more than \(SDPLimits.ssrcsMax) SSRCs in a section")
        }
        section?.ssrcs.append(ssrc)
    }

    private mutating func readSSRCGroup(_ value: Substring) throws(SDPError) {
        let words = value.split(separator: " ")
        guard words.count >= 2, words.count <= 1 + SDPLimits.ssrcsMax,
            let count = section?.ssrcGroups.count, count < SDPLimits.ssrcsMax
        else { throw fail("a malformed ssrc-group") }
        var ssrcs: [UInt32] = []
        for word in words.dropFirst() {
            guard let ssrc = UInt32(word) else { throw fail("a malformed ssrc-group") }
            ssrcs.append(ssrc)
        }
        section?.ssrcGroups.append(SSRCGroup(semantics: String(words[0]), ssrcs: ssrcs))
    }

    /// Characters and length of a rid (RFC 8851 section 10); 16 is the most one byte can say.
    private static func isRid(_ text: Substring) -> Bool {
        (1...16).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private mutating func readRid(_ value: Substring) throws(SDPError) {
        let words = value.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, Self.isRid(words[0]), words[1] == "send" || words[1] == "recv"
        else { throw fail("a malformed rid") }
        guard let count = section?.rids.count, count < SDPLimits.ridsMax else {
            throw fail("more than \(SDPLimits.ridsMax) rids")
        }
        var rid = RestrictionID(id: String(words[0]), isSending: words[1] == "send")
        for restriction in words.count > 2 ? words[2].split(separator: ";") : []
        where restriction.hasPrefix("pt=") {
            rid.payloadTypes = restriction.dropFirst(3).split(separator: ",").compactMap {
                UInt8($0)
            }
        }
        section?.rids.append(rid)
    }

    private mutating func readSimulcast(_ value: Substring) throws(SDPError) {
        let words = value.split(separator: " ")
        guard words.count == 2 || words.count == 4 else { throw fail("a malformed simulcast") }
        for index in stride(from: 0, to: words.count, by: 2) where words[index] == "send" {
            let streams = words[index + 1].split(separator: ";")
            guard streams.count <= SDPLimits.ridsMax else { throw fail("too many encodings") }
            var rids: [String] = []
            for stream in streams {
                // Of alternatives the first; "~" marks one that starts paused.
                guard var rid = stream.split(separator: ",").first else {
                    throw fail("a malformed simulcast")
                }
                if rid.hasPrefix("~") { rid = rid.dropFirst() }
                guard Self.isRid(rid) else { throw fail("a malformed simulcast") }
                rids.append(String(rid))
            }
            section?.simulcastSend = rids
        }
    }
}

extension Substring {
    /// Without spaces at both ends.
    fileprivate var trimmed: Substring {
        var text = drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
