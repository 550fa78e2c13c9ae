// A JSON value (RFC 8259) as the packets of the WebSocket protocol carry it.
// SPDX-License-Identifier: Apache-2.0

/// One JSON value.
///
/// Numbers without a fraction or an exponent that fit 64 bits are `integer`, all others `number`.
/// The members of an object have no order and no duplicates.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// What a person would call the type of this value: used in error messages.
    public var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// What a JSON text may cost its reader.
public struct JSONLimits: Sendable {
    /// Largest text in bytes.
    public var bytesMax: Int
    /// Deepest nesting of arrays and objects.
    public var depthMax: Int
    /// Most values in the whole text, members and elements together.
    public var valuesMax: Int

    public init(bytes: Int = 1 << 20, depth: Int = 16, values: Int = 20_000) {
        bytesMax = bytes
        depthMax = depth
        valuesMax = values
    }
}

/// Why a text was refused as JSON.
public enum JSONError: Error, Equatable {
    /// Not JSON: what was wrong, and the byte offset at which it was noticed.
    case malformed(reason: String, offset: Int)
    /// JSON perhaps, but larger or deeper than `JSONLimits` allows.
    case limit(String)
}

/// Builds one JSON object as text; members come out in the order in which they are added.
public struct JSONObjectWriter: Sendable {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    public init() {}

    public mutating func add(_ key: String, _ value: String) {
        begin(key)
        appendString(value)
    }

    public mutating func add(_ key: String, _ value: Bool) {
        begin(key)
        append(value ? "true" : "false")
    }

    public mutating func add(_ key: String, _ value: Int) {
        begin(key)
        append(String(value))
    }

    /// Adds a number; one that JSON cannot say (infinite, not a number) becomes null.
    public mutating func add(_ key: String, _ value: Double) {
        begin(key)
        append(value.isFinite ? String(value) : "null")
    }

    public mutating func addNull(_ key: String) {
        begin(key)
        append("null")
    }

    public mutating func add(_ key: String, _ values: [String]) {
        begin(key)
        append("[")
        for (index, value) in values.enumerated() {
            if index > 0 { append(",") }
            appendString(value)
        }
        append("]")
    }

    public mutating func add(_ key: String, _ object: JSONObjectWriter) {
        begin(key)
        bytes += object.bytes
        append("}")
    }

    public mutating func add(_ key: String, _ objects: [JSONObjectWriter]) {
        begin(key)
        append("[")
        for (index, object) in objects.enumerated() {
            if index > 0 { append(",") }
            bytes += object.bytes
            append("}")
        }
        append("]")
    }

    /// The object as text.
    public var text: String { String(decoding: bytes, as: UTF8.self) + "}" }

    private mutating func begin(_ key: String) {
        if bytes.count > 1 { append(",") }
        appendString(key)
        append(":")
    }

    private mutating func append(_ text: String) { bytes += text.utf8 }

    private mutating func appendString(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 { appendEscaped(byte) }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0..<0x20:
            append("\\u00")
            append(byte < 16 ? "0" : "1")
            append(String(byte & 15, radix: 16))
        default: bytes.append(byte)
        }
    }
}
