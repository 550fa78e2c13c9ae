// What the kernel lost on the way to and from the sockets of this machine.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Errors of UDP (`/proc/net/snmp`, `/proc/net/snmp6`) and of the receive path of the interfaces
/// (`/proc/net/softnet_stat`), all since the machine or network namespace started.
public struct KernelCounters: Sendable, Equatable {
    /// Datagrams of one address family.
    public struct Udp: Sendable, Equatable {
        /// Received and dropped: a socket's buffer was full.
        public var receiveBufferErrors: UInt64 = 0
        /// Not sent: a socket's buffer was full.
        public var sendBufferErrors: UInt64 = 0
        /// Received and dropped for any reason, those of full buffers included.
        public var inErrors: UInt64 = 0
        public init() {}
    }

    public var v4 = Udp()
    public var v6 = Udp()
    /// Packets dropped because a core's backlog was full.
    public var softnetDropped: UInt64 = 0
    /// Times a core stopped receiving with packets left because its turn was over.
    public var softnetSqueezed: UInt64 = 0

    public init() {}

    /// Reads text as the kernel writes it; what is missing or malformed counts 0.
    public init(snmp: String, snmp6: String, softnet: String) {
        let udp = Self.table(snmp, named: "Udp:")
        v4.receiveBufferErrors = udp["RcvbufErrors"] ?? 0
        v4.sendBufferErrors = udp["SndbufErrors"] ?? 0
        v4.inErrors = udp["InErrors"] ?? 0
        for line in snmp6.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count == 2, let value = UInt64(words[1]) else { continue }
            switch words[0] {
            case "Udp6RcvbufErrors": v6.receiveBufferErrors = value
            case "Udp6SndbufErrors": v6.sendBufferErrors = value
            case "Udp6InErrors": v6.inErrors = value
            default: break
            }
        }
        // A line a core, hexadecimal: processed, dropped, squeezed and more.
        for line in softnet.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 3 else { continue }
            softnetDropped &+= UInt64(words[1], radix: 16) ?? 0
            softnetSqueezed &+= UInt64(words[2], radix: 16) ?? 0
        }
    }

    /// As the machine has them now.
    public static func read() -> KernelCounters {
        KernelCounters(
            snmp: readText("/proc/net/snmp") ?? "", snmp6: readText("/proc/net/snmp6") ?? "",
            softnet: readText("/proc/net/softnet_stat") ?? "")
    }

    /// Two lines of one name: the columns' names and their values.
    private static func table(_ text: String, named name: String) -> [Substring: UInt64] {
        let rows = text.split(separator: "\n").map { $0.split(separator: " ") }
            .filter { $0.first.map { $0 == name } ?? false }
        guard rows.count == 2 else { return [:] }
        var values: [Substring: UInt64] = [:]
        for (column, value) in zip(rows[0], rows[1]).dropFirst() {
            values[column] = UInt64(value)
        }
        return values
    }
}

/// The whole of a small file, such as those of /proc; nil when it cannot be read.
package func readText(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 * 1024)
    while bytes.count < 1 << 20 {
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { return nil }
        if count == 0 { break }
        bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}
