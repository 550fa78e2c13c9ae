// A strict JSON reader (RFC 8259) with limits on size, depth and number of values.
// State: the unread text, borrowed. Owner: the caller, for one text.
// SPDX-License-Identifier: Apache-2.0

extension JSONValue {
    /// Reads one JSON text. Accepts any bytes; never aborts.
    ///
    /// - Parameter bytes: the whole text as UTF-8.
    /// - Throws: `JSONError.malformed` for anything but one JSON value (duplicate member names
    ///   and lone surrogates are refused too); `JSONError.limit` beyond `limits`.
    public static func parse(
        _ bytes: Span<UInt8>, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.bytesMax else {
            throw .limit("larger than \(limits.bytesMax) bytes")
        }
        var reader = JSONReader(bytes, limits: limits)
        let value = try reader.readValue(depth: 0)
        reader.skipSpace()
        guard reader.isAtEnd else { throw reader.malformed("text after the value") }
        return value
    }
}

struct JSONReader: ~Escapable {
    private let bytes: Span<UInt8>
    private let limits: JSONLimits
    private var position = 0
    private var values = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    var isAtEnd: Bool { position == bytes.count }

    func malformed(_ reason: String) -> JSONError {
        .malformed(reason: reason, offset: position)
    }

    mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }

    mutating func readValue(depth: Int) throws(JSONError) -> JSONValue {
        values += 1
        guard values <= limits.valuesMax else {
            throw .limit("more than \(limits.valuesMax) values")
        }
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"): return try readObject(depth: depth + 1)
        case UInt8(ascii: "["): return try readArray(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try readString())
        case UInt8(ascii: "t"): return try readWord("true", .bool(true))
        case UInt8(ascii: "f"): return try readWord("false", .bool(false))
        case UInt8(ascii: "n"): return try readWord("null", .null)
        case .none: throw malformed("the text ends where a value should stand")
        default: return try readNumber()
        }
    }

    private func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private func check(depth: Int) throws(JSONError) {
        guard depth <= limits.depthMax else {
            throw .limit("nested deeper than \(limits.depthMax)")
        }
    }

    private mutating func readWord(
        _ word: StaticString, _ value: JSONValue
    ) throws(JSONError) -> JSONValue {
        for offset in 0..<word.utf8CodeUnitCount {
            let expected = word.withUTF8Buffer { $0[offset] }
            guard take(expected) else { throw malformed("not a JSON value") }
        }
        return value
    }

    private mutating func readObject(depth: Int) throws(JSONError) -> JSONValue {
        try check(depth: depth)
        position += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard peek() == UInt8(ascii: "\"") else { throw malformed("a member name is expected") }
            let key = try readString()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw malformed("a colon is expected") }
            let value = try readValue(depth: depth)
            guard members.updateValue(value, forKey: key) == nil else {
                throw malformed("a member name stands twice")
            }
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw malformed("a comma or } is expected") }
        }
    }

    private mutating func readArray(depth: Int) throws(JSONError) -> JSONValue {
        try check(depth: depth)
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try readValue(depth: depth))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw malformed("a comma or ] is expected") }
        }
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            position += 1
        }
        return position - start
    }

    private mutating func readNumber() throws(JSONError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let leadingZero = peek() == UInt8(ascii: "0")
        let whole = skipDigits()
        guard whole > 0 else { throw malformed("not a JSON value") }
        guard whole == 1 || !leadingZero else { throw malformed("a number starts with 0") }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            guard skipDigits() > 0 else { throw malformed("digits are missing after the point") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw malformed("digits are missing in the exponent") }
        }
        guard position - start <= 64 else { throw malformed("a number has too many digits") }
        let text = try copyString(from: start, to: position)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else {
            throw malformed("a number is out of range")
        }
        return .number(value)
    }

    private func copyString(from start: Int, to end: Int) throws(JSONError) -> String {
        do {
            let run = bytes.extracting(start..<end)
            return String(copying: try UTF8Span(validating: run))
        } catch {
            throw malformed("a string is not UTF-8")
        }
    }

    private mutating func readString() throws(JSONError) -> String {
        position += 1
        let start = position
        while let byte = peek(), byte >= 0x20, byte != UInt8(ascii: "\\") {
            if byte == UInt8(ascii: "\"") {
                let text = try copyString(from: start, to: position)
                position += 1
                return text
            }
            position += 1
        }
        return try readEscapedString(from: start)
    }

    private mutating func readEscapedString(from start: Int) throws(JSONError) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(position - start + 64)
        for index in start..<position { text.append(bytes[index]) }
        while let byte = peek() {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return try validated(text)
            case UInt8(ascii: "\\"): try readEscape(into: &text)
            case 0..<0x20: throw malformed("a control character in a string")
            default: text.append(byte)
            }
        }
        throw malformed("the text ends inside a string")
    }

    private func validated(_ text: [UInt8]) throws(JSONError) -> String {
        do {
            return String(copying: try UTF8Span(validating: text.span))
        } catch {
            throw malformed("a string is not UTF-8")
        }
    }

    private mutating func readEscape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = peek() else { throw malformed("the text ends inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): try readUnicodeEscape(into: &text)
        default: throw malformed("an unknown escape in a string")
        }
    }

    /// One \uXXXX escape, or two that form a surrogate pair (RFC 8259 section 7).
    private mutating func readUnicodeEscape(into text: inout [UInt8]) throws(JSONError) {
        var code = UInt32(try readHex4())
        if (0xD800..<0xDC00).contains(code) {
            guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
                throw malformed("a lone surrogate in a string")
            }
            let low = UInt32(try readHex4())
            guard (0xDC00..<0xE000).contains(low) else {
                throw malformed("a lone surrogate in a string")
            }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw malformed("a lone surrogate in a string")
        }
        text += UTF8.encode(scalar).map { Array($0) } ?? []
    }

    private mutating func readHex4() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Self.hexDigit(byte) else {
                throw malformed("four hexadecimal digits are expected")
            }
            position += 1
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
