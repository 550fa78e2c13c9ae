// CPU time and memory of a process, from /proc. SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// What a process has used up to now.
package struct ProcessUsage: Sendable, Equatable {
    /// CPU seconds.
    package var user = 0.0, system = 0.0
    /// Resident memory, bytes.
    package var residentBytes: UInt64 = 0
    package var total: Double { user + system }

    package init() {}
}

/// One process on this machine.
package struct ProcessProbe: Sendable {
    package let pid: Int32

    package init(pid: Int32) { self.pid = pid }

    /// This process.
    package static var own: ProcessProbe { ProcessProbe(pid: getpid()) }

    /// nil when there is no such process.
    package func read() -> ProcessUsage? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let statm = try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)
        else { return nil }
        return Self.parse(
            stat: stat, statm: statm, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
            pageBytes: UInt64(sysconf(Int32(_SC_PAGESIZE))))
    }

    /// Reads the texts of `stat` and `statm` (proc(5)).
    package static func parse(
        stat: String, statm: String, ticksPerSecond: Double, pageBytes: UInt64
    ) -> ProcessUsage? {
        // The command's name stands in parentheses and may hold anything.
        guard let close = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        let pages = statm.split(separator: " ")
        guard fields.count > 12, pages.count > 1, let user = Double(fields[11]),
            let system = Double(fields[12]), let resident = UInt64(pages[1])
        else { return nil }
        var usage = ProcessUsage()
        usage.user = user / ticksPerSecond
        usage.system = system / ticksPerSecond
        usage.residentBytes = resident * pageBytes
        return usage
    }

    /// The process that listens on a TCP port of this machine; nil when none is seen.
    package static func listening(onPort port: Int) -> ProcessProbe? {
        var inodes = Set<String>()
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            guard let text = try? String(contentsOfFile: table, encoding: .utf8) else { continue }
            inodes.formUnion(listeners(in: text, port: port))
        }
        guard !inodes.isEmpty else { return nil }
        let wanted = Set(inodes.map { "socket:[\($0)]" })
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for pid in names.compactMap({ Int32($0) }) where pid != getpid() {
            let folder = "/proc/\(pid)/fd"
            let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            let isOwner = entries.contains { entry in
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "\(folder)/\(entry)")
                return target.map(wanted.contains) ?? false
            }
            if isOwner { return ProcessProbe(pid: pid) }
        }
        return nil
    }

    /// Inodes of listening sockets in the text of `/proc/net/tcp`.
    package static func listeners(in table: String, port: Int) -> [String] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == "0A",
                let number = fields[1].split(separator: ":").last,
                Int(number, radix: 16) == port
            else { return nil }
            return String(fields[9])
        }
    }
}
