// What a machine's readings mean for a node, and what to change. Pure.
// SPDX-License-Identifier: Apache-2.0

/// One thing that was looked at.
public struct DoctorFinding: Sendable, Equatable, Encodable {
    public enum Verdict: String, Sendable, Encodable {
        case ok
        /// It works, but not as well as it could.
        case warning
        /// Something will not work.
        case problem
    }

    /// A fixed word, such as `socket-buffers`.
    public var check: String
    public var verdict: Verdict
    /// What was found.
    public var text: String
    /// The command or setting that changes it; nil when nothing is to be done.
    public var advice: String?

    public init(_ check: String, _ verdict: Verdict, _ text: String, advice: String? = nil) {
        self.check = check
        self.verdict = verdict
        self.text = text
        self.advice = advice
    }
}

/// The checks of `roundhouse doctor`.
public enum Doctor {
    /// Sockets and files of a node beside those of its participants.
    static let ownDescriptors: UInt64 = 200
    /// Free bytes of the data folder below which databases may stop, and below which they will.
    static let spaceWanted: UInt64 = 1 << 30
    static let spaceNeeded: UInt64 = 64 << 20
    /// Seconds that a certificate should be valid still.
    static let certificateSeconds: Int64 = 14 * 86_400

    /// Everything, in the order in which it is shown.
    public static func examine(_ host: HostReadings) -> [DoctorFinding] {
        [
            socketBuffers(host), descriptors(host), segmentation(host), coalescing(host),
            cipher(host), cores(host), clockSource(host), wallClock(host), kernelLosses(host),
        ] + offloads(host) + [announced(host)] + ports(host)
            + [dataFolder(host)] + host.certificate.map { [certificate($0, host)] }.orEmpty
    }

    // MARK: Kernel

    static func socketBuffers(_ host: HostReadings) -> DoctorFinding {
        let buffers = host.socketBuffers
        let granted = min(buffers.receiveBytes, buffers.sendBytes)
        let text = "\(bytes(buffers.receiveBytes)) to receive and \(bytes(buffers.sendBytes)) to "
            + "send granted, \(bytes(buffers.wantedBytes)) wanted"
        guard granted < buffers.wantedBytes else {
            return DoctorFinding("socket-buffers", .ok, text)
        }
        let advice = "sysctl -w net.core.rmem_max=\(buffers.wantedBytes) "
            + "net.core.wmem_max=\(buffers.wantedBytes)   (and the same two in /etc/sysctl.d)"
        let verdict: DoctorFinding.Verdict = granted < 512 << 10 ? .problem : .warning
        return DoctorFinding("socket-buffers", verdict, text, advice: advice)
    }

    static func descriptors(_ host: HostReadings) -> DoctorFinding {
        let wanted = UInt64(host.capacity) * 2 + ownDescriptors
        let text = "\(host.descriptorsSoft) files and sockets may be open, \(host.descriptorsHard) "
            + "at most; \(host.capacity) participants want \(wanted)"
        guard host.descriptorsSoft < wanted else { return DoctorFinding("descriptors", .ok, text) }
        return DoctorFinding(
            "descriptors", host.descriptorsSoft < wanted / 2 ? .problem : .warning, text,
            advice: "ulimit -n \(wanted)   (systemd: LimitNOFILE=\(wanted))")
    }

    static func segmentation(_ host: HostReadings) -> DoctorFinding {
        switch host.segmentation {
        case .works:
            return DoctorFinding("udp-segment", .ok, "UDP_SEGMENT works: 4 packets in one message")
        case .refused(let code):
            return DoctorFinding(
                "udp-segment", .warning,
                "the kernel refuses UDP_SEGMENT (error \(code)): each packet costs a message",
                advice: "run on Linux 4.18 or newer; sandboxes such as gVisor have none")
        case .wrong(let what):
            return DoctorFinding(
                "udp-segment", .problem, "UDP_SEGMENT does not do what it should: \(what)",
                advice: "--segmentation off")
        }
    }

    static func coalescing(_ host: HostReadings) -> DoctorFinding {
        switch host.coalescing {
        case .works: return DoctorFinding("udp-gro", .ok, "UDP_GRO works")
        case .refused(let code):
            return DoctorFinding(
                "udp-gro", .warning, "the kernel refuses UDP_GRO (error \(code))",
                advice: "run on Linux 5.0 or newer")
        case .wrong(let what):
            return DoctorFinding(
                "udp-gro", .warning, "UDP_GRO put nothing together: \(what)",
                advice: "--receive-coalescing off")
        }
    }

    static func kernelLosses(_ host: HostReadings) -> DoctorFinding {
        let lost = host.kernel
        let full = lost.v4.receiveBufferErrors + lost.v6.receiveBufferErrors
        let text = "since the machine started \(full) datagrams met a full receive buffer and "
            + "\(lost.softnetDropped) packets a full backlog"
        guard full + lost.softnetDropped > 0 else {
            return DoctorFinding("kernel-losses", .ok, text)
        }
        let advice = lost.softnetDropped > 0
            ? "sysctl -w net.core.netdev_max_backlog=10000"
            : "watch roundhouse_kernel_udp_receive_buffer_errors_total under load; larger "
                + "net.core.rmem_max or more --workers"
        return DoctorFinding("kernel-losses", .warning, text, advice: advice)
    }

    /// One finding an interface that is up.
    static func offloads(_ host: HostReadings) -> [DoctorFinding] {
        host.interfaces.filter { $0.isUp && !$0.isLoopback }.map { interface in
            guard let has = interface.hasUdpSegmentation else {
                return DoctorFinding(
                    "offload", .ok, "\(interface.name): the driver tells nothing of offloads")
            }
            if has {
                return DoctorFinding(
                    "offload", .ok, "\(interface.name): tx-udp-segmentation is on")
            }
            return DoctorFinding(
                "offload", .warning,
                "\(interface.name): tx-udp-segmentation is off: the kernel cuts messages itself, "
                    + "at two to three times the cost",
                advice: "ethtool -K \(interface.name) tx-udp-segmentation on   (where the driver "
                    + "can)")
        }
    }

    // MARK: Processor and time

    static func cipher(_ host: HostReadings) -> DoctorFinding {
        let wanted = ["aes", "vaes", "avx512f", "pclmulqdq", "vpclmulqdq", "pmull"]
        let has = wanted.filter { host.processorFeatures.contains($0) }
        let text = "\(host.cipher) encrypts media; the processor has "
            + (has.isEmpty ? "no AES instructions" : has.joined(separator: ", "))
        guard host.processorFeatures.contains("aes") else {
            return DoctorFinding(
                "cipher", .warning, text,
                advice: "choose a machine whose processor has AES instructions")
        }
        if host.cipher != "ipsec-mb", host.processorFeatures.contains("pclmulqdq") {
            return DoctorFinding(
                "cipher", .warning, text,
                advice: "apt install libipsec-mb-dev and build again; unset ROUNDHOUSE_CIPHER if "
                    + "it says openssl")
        }
        return DoctorFinding("cipher", .ok, text)
    }

    static func cores(_ host: HostReadings) -> DoctorFinding {
        let quota = host.processorQuota.map { ", limited to \($0) of them by its control group" }
        let text = "\(host.cores) cores\(quota ?? ""); \(host.workers) media threads"
        let usable = min(Double(host.cores), host.processorQuota ?? .infinity)
        guard Double(host.workers) > usable else { return DoctorFinding("cores", .ok, text) }
        let fitting = max(1, Int(usable))
        return DoctorFinding(
            "cores", .warning, text + ": they will take turns and packets will wait",
            advice: "--workers \(fitting), or a larger CPU limit")
    }

    static func clockSource(_ host: HostReadings) -> DoctorFinding {
        let quick = ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"]
        guard let source = host.clockSource else {
            return DoctorFinding("clock-source", .ok, "the clock source is not told here")
        }
        if quick.contains(source) {
            return DoctorFinding("clock-source", .ok, "the clock is \(source): read without a call")
        }
        return DoctorFinding(
            "clock-source", .warning, "the clock is \(source): each reading is a system call",
            advice: "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource")
    }

    static func wallClock(_ host: HostReadings) -> DoctorFinding {
        switch host.isClockSynchronised {
        case true?: DoctorFinding("time", .ok, "the time of day is synchronised")
        case nil: DoctorFinding("time", .ok, "the kernel does not tell of synchronisation")
        case false?:
            DoctorFinding(
                "time", .warning,
                "the time of day is not synchronised: tickets of other machines may look expired",
                advice: "timedatectl set-ntp true   (or run chronyd)")
        }
    }

    static func bytes(_ count: UInt64) -> String {
        let units = [(UInt64(1) << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        guard let (size, name) = units.first(where: { count >= $0.0 }) else { return "\(count) B" }
        let tenths = count * 10 / size
        return tenths % 10 == 0 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
    }
}

extension Optional where Wrapped: RangeReplaceableCollection {
    fileprivate var orEmpty: Wrapped { self ?? Wrapped() }
}
