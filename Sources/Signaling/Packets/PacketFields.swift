// Typed access to the members of a packet, with errors that name the member.
// SPDX-License-Identifier: Apache-2.0

/// Why a packet was refused.
public struct PacketError: Error, Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// Not a JSON object. The socket is closed.
        case notJSON
        /// Beyond a limit. The socket is closed.
        case limit
        /// A packet, but not one that can be obeyed. The socket stays open.
        case malformed
    }

    public let kind: Kind
    /// For people: the packet's type, the member and what is wrong with it.
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// True when the socket must not stay open (signaling: "not JSON or broke a limit").
    public var isFatal: Bool { kind != .malformed }
}

/// Sizes of what a packet may carry.
public enum PacketLimits {
    /// Bytes of an account id, a meeting id, a mid, a rid, a codec's name.
    public static let idBytesMax = 128
    /// Bytes of a ticket or a session secret.
    public static let ticketBytesMax = 8192
    /// Bytes of an SDP text: 100 sections of 3 kB with room.
    public static let sdpBytesMax = 512 * 1024
    /// Bytes of a chat message.
    public static let chatBytesMax = 4096
    /// Bytes of an error message, a name, an address.
    public static let textBytesMax = 1024
    /// Actions in one SUBSCRIBE, UNSUBSCRIBE or UNSUB_SUB list.
    public static let actionsMax = 100
    /// Elements of any other list: users of a meeting, slots, feeds.
    public static let listMax = 2048
    /// bit/s in a subscription.
    public static let bitrateMax = 1_000_000_000
}

/// The members of one object inside a packet.
struct PacketFields {
    let members: [String: JSONValue]
    /// Prefix of error messages, such as "SUBSCRIBE: subscriptions[2]."
    let path: String

    func fail(_ name: String, _ problem: String) -> PacketError {
        PacketError(.malformed, "\(path)\(name) \(problem)")
    }

    private func required(_ name: String) throws(PacketError) -> JSONValue {
        guard let value = members[name] else { throw fail(name, "is missing") }
        return value
    }

    /// The member, or nil when it is absent or null.
    private func optional(_ name: String) -> JSONValue? {
        members[name].flatMap { $0 == .null ? nil : $0 }
    }

    func has(_ name: String) -> Bool { members[name] != nil }

    func isArray(_ name: String) -> Bool {
        if case .array = members[name] { true } else { false }
    }

    func string(
        _ name: String, bytes: ClosedRange<Int> = 1...PacketLimits.idBytesMax
    ) throws(PacketError) -> String {
        try check(try required(name), name, bytes)
    }

    func optionalString(
        _ name: String, bytes: ClosedRange<Int> = 0...PacketLimits.textBytesMax
    ) throws(PacketError) -> String? {
        guard let value = optional(name) else { return nil }
        return try check(value, name, bytes)
    }

    private func check(
        _ value: JSONValue, _ name: String, _ bytes: ClosedRange<Int>
    ) throws(PacketError) -> String {
        guard case .string(let text) = value else {
            throw fail(name, "must be a string, not \(value.typeName)")
        }
        if text.utf8.count < bytes.lowerBound { throw fail(name, "must not be empty") }
        guard text.utf8.count <= bytes.upperBound else {
            throw fail(name, "is longer than \(bytes.upperBound) bytes")
        }
        return text
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(PacketError) -> Int {
        let value = try required(name)
        let number: Int?
        switch value {
        case .integer(let whole): number = Int(exactly: whole)
        case .number(let real): number = Int(exactly: real)
        default: throw fail(name, "must be an integer, not \(value.typeName)")
        }
        guard let number else { throw fail(name, "must be an integer, not \(value.typeName)") }
        guard range.contains(number) else {
            throw fail(name, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func integer(
        _ name: String, in range: ClosedRange<Int>, default other: Int
    ) throws(PacketError) -> Int {
        optional(name) == nil ? other : try integer(name, in: range)
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws(PacketError) -> Double {
        let value = try required(name)
        let number: Double
        switch value {
        case .integer(let whole): number = Double(whole)
        case .number(let real): number = real
        default: throw fail(name, "must be a number, not \(value.typeName)")
        }
        guard range.contains(number) else {
            throw fail(name, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func bool(_ name: String) throws(PacketError) -> Bool {
        let value = try required(name)
        guard case .bool(let flag) = value else {
            throw fail(name, "must be true or false, not \(value.typeName)")
        }
        return flag
    }

    func optionalBool(_ name: String) throws(PacketError) -> Bool? {
        optional(name) == nil ? nil : try bool(name)
    }

    func choice<T: RawRepresentable & CaseIterable>(
        _ name: String, _: T.Type
    ) throws(PacketError) -> T where T.RawValue == String {
        let text = try string(name)
        guard let value = T(rawValue: text) else {
            let known = T.allCases.map(\.rawValue).joined(separator: ", ")
            throw fail(name, "must be one of: \(known)")
        }
        return value
    }

    func optionalChoice<T: RawRepresentable & CaseIterable>(
        _ name: String, _ type: T.Type
    ) throws(PacketError) -> T? where T.RawValue == String {
        optional(name) == nil ? nil : try choice(name, type)
    }

    /// The objects of a list, each with its own error path.
    func objects(
        _ name: String, most: Int = PacketLimits.listMax
    ) throws(PacketError) -> [PacketFields] {
        let value = try required(name)
        guard case .array(let elements) = value else {
            throw fail(name, "must be an array, not \(value.typeName)")
        }
        guard elements.count <= most else {
            throw fail(name, "has more than \(most) elements")
        }
        var fields: [PacketFields] = []
        for (index, element) in elements.enumerated() {
            guard case .object(let members) = element else {
                throw fail("\(name)[\(index)]", "must be an object, not \(element.typeName)")
            }
            fields.append(PacketFields(members: members, path: "\(path)\(name)[\(index)]."))
        }
        return fields
    }

    func strings(_ name: String) throws(PacketError) -> [String] {
        let value = try required(name)
        guard case .array(let elements) = value else {
            throw fail(name, "must be an array, not \(value.typeName)")
        }
        guard elements.count <= PacketLimits.listMax else {
            throw fail(name, "has more than \(PacketLimits.listMax) elements")
        }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            texts.append(
                try check(element, "\(name)[\(index)]", 1...PacketLimits.idBytesMax))
        }
        return texts
    }

    /// The strings of an object by member name; empty when it is absent.
    func dictionary(_ name: String) throws(PacketError) -> [String: String] {
        guard let value = optional(name) else { return [:] }
        guard case .object(let object) = value else {
            throw fail(name, "must be an object, not \(value.typeName)")
        }
        guard object.count <= PacketLimits.listMax else {
            throw fail(name, "has more than \(PacketLimits.listMax) members")
        }
        var texts: [String: String] = [:]
        for (key, element) in object {
            texts[key] = try check(element, "\(name).\(key)", 0...PacketLimits.textBytesMax)
        }
        return texts
    }
}
