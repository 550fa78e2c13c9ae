// Reads the machine for the doctor: /proc, /sys and some harmless system calls.
// SPDX-License-Identifier: Apache-2.0

import Glibc

extension HostReadings {
    /// What does not depend on settings.
    ///
    /// - Parameter bufferBytes: wanted of a media socket's buffers.
    public mutating func readMachine(bufferBytes: Int) {
        socketBuffers = SocketTrials.buffers(wanted: bufferBytes)
        segmentation = SocketTrials.segmentation()
        coalescing = SocketTrials.coalescing()
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            (descriptorsSoft, descriptorsHard) = (UInt64(limit.rlim_cur), UInt64(limit.rlim_max))
        }
        cipher = WorkerPool.cipher
        processorFeatures = Self.features(cpuinfo: readText("/proc/cpuinfo") ?? "")
        cores = Self.cores(status: readText("/proc/self/status") ?? "")
        processorQuota = Self.quota()
        clockSource = readText("/sys/devices/system/clocksource/clocksource0/current_clocksource")
            .map(Self.trimmed)
        isClockSynchronised = Self.isClockSynchronised()
        kernel = KernelCounters.read()
        let vendor = readText("/sys/class/dmi/id/sys_vendor").map(Self.trimmed)
        cloud = vendor.flatMap(Self.cloud(vendor:))
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        epochSeconds = Int64(now.tv_sec)
    }

    /// Cores that the process may run on, from `/proc/PID/status`.
    package static func cores(status: String) -> Int {
        for line in status.split(separator: "\n") where line.hasPrefix("Cpus_allowed:") {
            let digits = line.dropFirst("Cpus_allowed:".count)
            return max(1, digits.reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount })
        }
        return 1
    }

    /// Asks the kernel by adjtimex, which Swift's module of the C library leaves out.
    private static func isClockSynchronised() -> Bool? {
        typealias Adjust = @convention(c) (UnsafeMutableRawPointer) -> Int32
        guard let symbol = dlsym(nil, "adjtimex") else { return nil }
        // struct timex of 64-bit Linux: 208 bytes, `status` at 40; all zero only reads.
        return withUnsafeTemporaryAllocation(byteCount: 208, alignment: 8) { times in
            times.initializeMemory(as: UInt8.self, repeating: 0)
            guard let base = times.baseAddress,
                unsafeBitCast(symbol, to: Adjust.self)(base) >= 0
            else { return nil }
            let unsynchronised: Int32 = 0x40  // STA_UNSYNC
            return times.load(fromByteOffset: 40, as: Int32.self) & unsynchronised == 0
        }
    }

    /// Flags of the first processor, as Linux names them on x86 and ARM.
    package static func features(cpuinfo: String) -> Set<String> {
        for line in cpuinfo.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let name = trimmed(String(parts[0]))
            if name == "flags" || name == "Features" {
                return Set(parts[1].split(separator: " ").map(String.init))
            }
        }
        return []
    }

    /// The cloud that a firmware's vendor belongs to; nil for any other machine.
    package static func cloud(vendor: String) -> String? {
        let known = [
            "Amazon", "Google", "Microsoft Corporation", "DigitalOcean", "Hetzner", "OVH",
            "Scaleway", "Vultr", "Akamai", "Linode", "Alibaba", "Oracle", "UpCloud", "Exoscale",
        ]
        return known.contains { vendor.hasPrefix($0) } ? vendor : nil
    }

    /// Reads `cpu.max` of version 2, or the quota and period of version 1.
    package static func quota(
        max: String?, quota: String? = nil, period: String? = nil
    ) -> Double? {
        if let max {
            let words = max.split { $0 == " " || $0 == "\n" }
            guard words.count == 2, let part = Double(words[0]), let whole = Double(words[1]),
                whole > 0
            else { return nil }
            return part / whole
        }
        guard let part = quota.flatMap({ Double(trimmed($0)) }), part > 0,
            let whole = period.flatMap({ Double(trimmed($0)) }), whole > 0
        else { return nil }
        return part / whole
    }

    /// The narrowest limit on the way up from this process's control group.
    private static func quota() -> Double? {
        var narrowest: Double?
        for line in (readText("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isUnified = parts[1].isEmpty
            guard isUnified || parts[1].split(separator: ",").contains("cpu") else { continue }
            var path = String(parts[2])
            while true {
                let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu"
                let found = isUnified
                    ? quota(max: readText(root + path + "/cpu.max") ?? "")
                    : quota(
                        max: nil, quota: readText(root + path + "/cpu.cfs_quota_us"),
                        period: readText(root + path + "/cpu.cfs_period_us"))
                if let found { narrowest = min(narrowest ?? found, found) }
                guard path.count > 1, let slash = path.lastIndex(of: "/") else { break }
                path = String(path[..<slash])
            }
        }
        return narrowest
    }

    private static func trimmed(_ text: String) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\n" || $0 == "\t" }
        return String(
            text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}
