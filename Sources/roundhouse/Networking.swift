// Addresses and ports of this host.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaPlane
import NIOCore

enum Networking {
    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || IPAddress(host)?.isLoopback ?? false
    }

    static func isAny(_ host: String) -> Bool { IPAddress(host)?.isAny ?? false }

    /// The host's addresses that others can reach, IPv4 first.
    static func hostAddresses() -> [IPAddress] {
        let devices = (try? System.enumerateDevices()) ?? []
        let addresses = devices.compactMap { $0.address?.ipAddress.flatMap { IPAddress($0) } }
            .filter { !$0.isLoopback && !$0.isLinkLocal && !$0.isAny }
        var seen = Set<IPAddress>()
        return addresses.filter { seen.insert($0).inserted }
            .sorted { $0.family.rawValue < $1.family.rawValue }
    }

    /// As it stands in a URL.
    static func urlHost(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    /// A TCP port that is free now; for `--port 0`, whose number has to be known before the
    /// server listens.
    static func freePort(host: String) throws -> Int {
        let family: any SocketKind = host.contains(":") ? SocketV6() : SocketV4()
        guard let port = family.freePort() else {
            throw SettingsError(description: "no TCP port is free on \(host)")
        }
        return port
    }
}

private protocol SocketKind {
    func freePort() -> Int?
}

private struct SocketV4: SocketKind {
    func freePort() -> Int? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        return bound(&address, AF_INET).map { Int(UInt16(bigEndian: $0.sin_port)) }
    }
}

private struct SocketV6: SocketKind {
    func freePort() -> Int? {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        return bound(&address, AF_INET6).map { Int(UInt16(bigEndian: $0.sin6_port)) }
    }
}

/// Binds a socket to any port, reads its address and closes it.
private func bound<Address>(_ address: inout Address, _ family: Int32) -> Address? {
    let handle = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    guard handle >= 0 else { return nil }
    defer { close(handle) }
    var length = socklen_t(MemoryLayout<Address>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(handle, generic, length) == 0 && getsockname(handle, generic, &length) == 0
        }
    }
    return isBound ? address : nil
}
