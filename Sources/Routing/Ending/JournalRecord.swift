// One line of the end journal: what happened to a meeting, guarded by a checksum.
// SPDX-License-Identifier: Apache-2.0

/// A line reads `CRC KIND SECONDS MEETING [HOST]`: CRC-32 of all that follows it as 8 hexadecimal
/// digits, seconds since 1970, names percent-encoded. The line feed at the end belongs to it: a
/// line without one was torn by a crash.
package struct JournalRecord: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// The meeting lives on this node; `host` is set.
        case open
        /// It has ended for ever; the meeting service doesn't know yet.
        case end
        /// The meeting service knows.
        case accepted
    }

    package var kind: Kind
    package var meetingID: String
    /// Seconds since 1970.
    package var at: Int64
    package var host: String?

    package var line: String {
        var body = "\(kind.rawValue) \(at) \(percentEncoded(meetingID))"
        if let host { body += " " + percentEncoded(host) }
        let sum = String(checksum(body.utf8), radix: 16)
        return String(repeating: "0", count: 8 - sum.utf8.count) + sum + " " + body + "\n"
    }

    /// - Parameter line: without its line feed. nil for anything that `line` did not write.
    package init?(line: Substring) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        guard (4...5).contains(fields.count), fields[0].utf8.count == 8,
            let sum = UInt32(fields[0], radix: 16),
            sum == checksum(line.dropFirst(9).utf8),
            let kind = Kind(rawValue: String(fields[1])), let at = Int64(fields[2]),
            let meetingID = percentDecoded(fields[3]), !meetingID.isEmpty
        else { return nil }
        var host: String?
        if fields.count == 5 {
            guard let text = percentDecoded(fields[4]) else { return nil }
            host = text
        }
        self.init(kind: kind, meetingID: meetingID, at: at, host: host)
    }

    package init(kind: Kind, meetingID: String, at: Int64, host: String? = nil) {
        self.kind = kind
        self.meetingID = meetingID
        self.at = at
        self.host = host
    }
}

/// CRC-32 (ISO 3309), bit by bit: the lines are short and few.
private func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
}

private func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."), UInt8(ascii: "~"):
        true
    default: false
    }
}

/// RFC 3986 section 2.1; everything but unreserved characters is escaped.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        if isPlain(byte) {
            bytes.append(byte)
        } else {
            bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

private func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            guard isPlain(byte) else { return nil }
            bytes.append(byte)
            continue
        }
        guard let pair = String(rest.prefix(2)), pair.utf8.count == 2,
            let value = UInt8(pair, radix: 16)
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}
