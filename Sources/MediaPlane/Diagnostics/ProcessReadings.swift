// What this process uses of its machine. SPDX-License-Identifier: Apache-2.0

import Glibc

/// CPU time, memory and descriptors of this process.
public struct ProcessReadings: Sendable, Equatable {
    /// User and system time since its start, seconds.
    public var cpuSeconds = 0.0
    public var residentBytes: UInt64 = 0
    public var openDescriptors = 0
    /// The soft limit.
    public var descriptorsMax: UInt64 = 0

    public init() {}

    public static func read() -> ProcessReadings {
        var readings = ProcessReadings()
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            readings.cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        // Pages: size, resident and more.
        let words = (readText("/proc/self/statm") ?? "").split(separator: " ")
        if words.count > 1, let pages = UInt64(words[1]) {
            readings.residentBytes = pages * UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            readings.descriptorsMax = UInt64(limit.rlim_cur)
        }
        readings.openDescriptors = countEntries("/proc/self/fd")
        return readings
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1e6
    }

    /// Entries of a folder without "." and "..", and without the descriptor that reads it.
    private static func countEntries(_ path: String) -> Int {
        guard let folder = opendir(path) else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        return max(0, count - 3)
    }
}
