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

    /// The network devices; several addresses of one count once.
    static func interfaces() -> [HostReadings.Interface] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var seen = Set<String>()
        var interfaces: [HostReadings.Interface] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            let name = entry.ifa_name.map { String(cString: $0) } ?? ""
            guard !name.isEmpty, seen.insert(name).inserted else { continue }
            let flags = Int(entry.ifa_flags)
            interfaces.append(
                HostReadings.Interface(
                    name: name, isUp: flags & Int(IFF_UP) != 0,
                    isLoopback: flags & Int(IFF_LOOPBACK) != 0))
        }
        return interfaces
    }

    /// As it stands in a URL.
    static func urlHost(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    enum Transport {
        case stream, datagram

        fileprivate var type: Int32 {
            Int32(self == .stream ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue)
        }
    }

    /// errno of binding a port, 0 when it is free. A stream's port that only lingers is free.
    static func bindingError(_ transport: Transport, host: String, port: UInt16) -> Int32 {
        let name = host == "localhost" ? "127.0.0.1" : host
        guard let address = try? SocketAddress(ipAddress: name, port: Int(port)) else {
            return EADDRNOTAVAIL
        }
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let handle = socket(family, transport.type, 0)
        guard handle >= 0 else { return errno }
        defer { close(handle) }
        if transport == .stream {
            var one: Int32 = 1
            setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(4))
        }
        return address.withSockAddr { pointer, size in
            guard bind(handle, pointer, socklen_t(size)) == 0 else { return errno }
            return transport == .stream && listen(handle, 1) != 0 ? errno : 0
        }
    }

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
