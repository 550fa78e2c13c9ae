// Reads request bodies strictly: media type, size, JSON, types and ranges of each member.
// SPDX-License-Identifier: Apache-2.0
public import FoundationEssentials
public import Hummingbird
import NIOCore

/// One JSON value (RFC 8259).
public enum JSONValue: Sendable, Equatable, Codable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// The members of a JSON object, taken one by one with their constraints.
public struct JSONMembers: Sendable {
    public let members: [String: JSONValue]

    public init(_ members: [String: JSONValue]) { self.members = members }

    /// Parses bytes; anything but one JSON object is a 400 problem.
    public init(parsing bytes: some DataProtocol) throws(Problem) {
        let value: JSONValue
        do {
            value = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch {
            throw Problem(.badRequest, detail: "the body is not valid JSON")
        }
        guard case .object(let members) = value else {
            throw Problem(.badRequest, detail: "the body must be a JSON object")
        }
        self.members = members
    }

    /// A required string whose length in code points lies in `length`.
    public func string(_ name: String, _ length: ClosedRange<Int>) throws(Problem) -> String {
        guard let value = try optionalString(name, length) else {
            throw Problem(.badRequest, detail: "'\(name)' is missing")
        }
        return value
    }

    /// A string that may be absent (but not null).
    public func optionalString(
        _ name: String, _ length: ClosedRange<Int>
    ) throws(Problem) -> String? {
        guard let value = members[name] else { return nil }
        guard case .string(let text) = value else {
            throw Problem(.badRequest, detail: "'\(name)' must be a string")
        }
        guard length.contains(text.unicodeScalars.count) else {
            throw Problem(
                .badRequest,
                detail: "'\(name)' must have \(length.lowerBound) to \(length.upperBound) "
                    + "characters")
        }
        return text
    }

    /// A number in a range; `fallback` when absent.
    public func number(
        _ name: String, _ range: ClosedRange<Double>, fallback: Double? = nil
    ) throws(Problem) -> Double {
        switch members[name] {
        case .number(let value) where range.contains(value): return value
        case nil:
            if let fallback { return fallback }
            throw Problem(.badRequest, detail: "'\(name)' is missing")
        default:
            throw Problem(
                .badRequest,
                detail: "'\(name)' must be a number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
    }

    /// A whole number in a range; `fallback` when absent.
    public func integer(
        _ name: String, _ range: ClosedRange<Int>, fallback: Int? = nil
    ) throws(Problem) -> Int {
        let bounds = Double(range.lowerBound)...Double(range.upperBound)
        let value = try number(name, bounds, fallback: fallback.map(Double.init))
        guard value == value.rounded() else {
            throw Problem(.badRequest, detail: "'\(name)' must be a whole number")
        }
        return Int(value)
    }

    /// A truth value; `fallback` when absent.
    public func bool(_ name: String, fallback: Bool) throws(Problem) -> Bool {
        switch members[name] {
        case nil: return fallback
        case .bool(let value): return value
        default: throw Problem(.badRequest, detail: "'\(name)' must be true or false")
        }
    }
}

extension Request {
    /// The JSON object in the body. Problems: 415 for another media type, 413 above the size
    /// limit, 400 for anything but one JSON object.
    public func jsonMembers(_ context: HTTPContext) async throws -> JSONMembers {
        let type = (headers[.contentType] ?? "").split(separator: ";").first
        guard type?.trimmingSpaces.lowercased() == "application/json" else {
            throw Problem(
                .unsupportedMediaType, detail: "the body must be application/json",
                headers: [.accept: "application/json"])
        }
        let body: ByteBuffer
        do {
            body = try await self.body.collect(upTo: context.maxUploadSize)
        } catch is NIOTooManyBytesError {
            throw Problem(.contentTooLarge, detail: "the body is larger than 64 KiB")
        }
        return try JSONMembers(parsing: body.readableBytesView)
    }
}
