// IP addresses, UDP endpoints and ICE candidates as values. SPDX-License-Identifier: Apache-2.0

import Glibc

/// An IPv4 or IPv6 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Family: UInt8, Sendable { case v4 = 4, v6 = 6 }

    public let family: Family
    /// Network byte order read as big-endian numbers; an IPv4 address is the top 32 bits of `high`.
    let high: UInt64
    let low: UInt64

    init(family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    /// The IPv4 address with these four octets.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        let bits = UInt64(a) << 24 | UInt64(b) << 16 | UInt64(c) << 8 | UInt64(d)
        self.init(family: .v4, high: bits << 32, low: 0)
    }

    /// Reads `192.0.2.1` or `2001:db8::1`; nil for anything else. An IPv4-mapped IPv6 address
    /// (RFC 4291 section 2.5.5.2) becomes the IPv4 address.
    public init?(_ text: String) {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self.init(family: .v4, high: UInt64(UInt32(bigEndian: v4.s_addr)) << 32, low: 0)
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: &v6) { [UInt8]($0) }
        self.init(networkBytes: bytes)
    }

    /// 4 or 16 bytes in network order; nil for another count.
    public init?(networkBytes bytes: [UInt8]) {
        func number(_ range: Range<Int>) -> UInt64 {
            bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
        }
        switch bytes.count {
        case 4: self.init(family: .v4, high: number(0..<4) << 32, low: 0)
        case 16:
            let (high, low) = (number(0..<8), number(8..<16))
            if high == 0, low >> 32 == 0xffff {
                self.init(family: .v4, high: low << 32, low: 0)
            } else {
                self.init(family: .v6, high: high, low: low)
            }
        default: return nil
        }
    }

    public static let anyV4 = IPAddress(0, 0, 0, 0)
    public static let anyV6 = IPAddress(family: .v6, high: 0, low: 0)
    public static let loopbackV4 = IPAddress(127, 0, 0, 1)
    public static let loopbackV6 = IPAddress(family: .v6, high: 0, low: 1)

    public var isAny: Bool { high == 0 && low == 0 }
    public var isLoopback: Bool {
        family == .v4 ? high >> 56 == 127 : high == 0 && low == 1
    }
    /// 169.254.0.0/16 or fe80::/10.
    public var isLinkLocal: Bool {
        family == .v4 ? high >> 48 == 0xa9fe : high >> 54 == 0x3fa
    }

    /// 4 or 16 bytes in network order.
    public var networkBytes: [UInt8] {
        let highBytes = (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64($0))) }
        if family == .v4 { return [UInt8](highBytes[0..<4]) }
        return highBytes + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64($0))) }
    }

    public var description: String {
        let bytes = networkBytes
        if family == .v4 { return bytes.map(String.init).joined(separator: ".") }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let written = bytes.withUnsafeBytes {
            inet_ntop(AF_INET6, $0.baseAddress, &text, socklen_t(INET6_ADDRSTRLEN))
        }
        guard written != nil else { return "::" }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// An IP address with a UDP port.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    public let port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String {
        address.family == .v4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// A host candidate over UDP (RFC 8839 section 5.1), component 1.
public struct Candidate: Hashable, Sendable {
    public let endpoint: Endpoint
    public let foundation: String
    public let priority: UInt32

    /// - Parameter preference: 0...65535, higher is preferred (RFC 8445 section 5.1.2.1).
    public init(endpoint: Endpoint, foundation: String, preference: UInt16) {
        self.endpoint = endpoint
        self.foundation = foundation
        priority = 126 << 24 | UInt32(preference) << 8 | 255
    }

    /// The value of `a=candidate:`, without the attribute's name.
    public var attribute: String {
        "\(foundation) 1 udp \(priority) \(endpoint.address) \(endpoint.port) typ host"
    }
}
