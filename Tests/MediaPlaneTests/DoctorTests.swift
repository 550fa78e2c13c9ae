// What the doctor says about machines of all kinds. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

/// A machine on which all is well.
private func soundHost() -> HostReadings {
    var host = HostReadings()
    (host.workers, host.cores) = (2, 4)
    host.socketBuffers.wantedBytes = 4 << 20
    host.socketBuffers.receiveBytes = 4 << 20
    host.socketBuffers.sendBytes = 4 << 20
    (host.descriptorsSoft, host.descriptorsHard) = (65_536, 65_536)
    host.interfaces = [
        .init(name: "lo", isUp: true, isLoopback: true),
        .init(name: "eth0", isUp: true, isLoopback: false, hasUdpSegmentation: true),
    ]
    host.addresses = [IPAddress(203, 0, 113, 7)]
    host.cipher = "ipsec-mb"
    host.processorFeatures = ["aes", "pclmulqdq"]
    host.clockSource = "tsc"
    host.isClockSynchronised = true
    host.ports = [.init(transport: "TCP", port: 443, code: 0)]
    host.dataFolder.path = "data"
    host.dataFolder.freeBytes = 100 << 30
    host.epochSeconds = 1_700_000_000
    return host
}

/// The finding of a check on a sound machine after a change.
private func finding(
    _ check: String, _ change: (inout HostReadings) -> Void
) throws -> DoctorFinding {
    var host = soundHost()
    change(&host)
    let found = Doctor.examine(host).filter { $0.check == check }
    return try #require(found.first { $0.verdict != .ok } ?? found.first)
}

@Suite struct DoctorTests {
    @Test func aSoundMachineNeedsNothing() {
        let findings = Doctor.examine(soundHost())
        #expect(findings.count == 13)
        #expect(findings.allSatisfy { $0.verdict == .ok && $0.advice == nil })
    }

    @Test func everyComplaintSaysWhatToDo() {
        var host = HostReadings()
        (host.segmentation, host.coalescing) = (.refused(92), .wrong("x"))
        (host.workers, host.clockSource, host.isClockSynchronised) = (9, "hpet", false)
        host.interfaces = [
            .init(name: "eth0", isUp: true, isLoopback: false, hasUdpSegmentation: false)
        ]
        host.kernel.softnetDropped = 1
        host.socketBuffers.wantedBytes = 1
        host.ports = [.init(transport: "UDP", port: 4000, code: 98)]
        host.dataFolder.error = "Permission denied"
        var certificate = HostReadings.Certificate(path: "c.pem")
        certificate.error = "not PEM"
        host.certificate = certificate
        let findings = Doctor.examine(host)
        #expect(findings.count == 14)
        for finding in findings {
            #expect(finding.verdict != .ok, "\(finding)")
            #expect(finding.advice?.isEmpty == false, "\(finding)")
        }
    }

    @Test func smallBuffersAreWarnedOf() throws {
        let small = try finding("socket-buffers") { $0.socketBuffers.receiveBytes = 1 << 20 }
        #expect(small.verdict == .warning)
        #expect(small.advice?.contains("net.core.rmem_max=4194304") == true)
        let tiny = try finding("socket-buffers") { $0.socketBuffers.sendBytes = 208 << 10 }
        #expect(tiny.verdict == .problem)
        #expect(tiny.text.contains("208 KiB"))
    }

    @Test func descriptorsMustSufficeForTheCapacity() throws {
        #expect(try finding("descriptors") { $0.descriptorsSoft = 2200 }.verdict == .ok)
        let few = try finding("descriptors") { $0.descriptorsSoft = 1100 }
        #expect(few.verdict == .warning)
        #expect(few.advice?.hasPrefix("ulimit -n 2200") == true)
        #expect(try finding("descriptors") { $0.descriptorsSoft = 1024 }.verdict == .problem)
    }

    @Test func segmentationIsJudgedByItsTrial() throws {
        #expect(try finding("udp-segment") { $0.segmentation = .refused(92) }.verdict == .warning)
        let wrong = try finding("udp-segment") { $0.segmentation = .wrong("[400]") }
        #expect(wrong.verdict == .problem && wrong.advice == "--segmentation off")
        #expect(try finding("udp-gro") { $0.coalescing = .refused(92) }.verdict == .warning)
    }

    @Test func onlyInterfacesThatCarryTrafficCount() throws {
        let off = try finding("offload") { $0.interfaces[1].hasUdpSegmentation = false }
        #expect(off.verdict == .warning && off.advice?.contains("-K eth0") == true)
        let down = try finding("offload") {
            $0.interfaces.append(
                .init(name: "eth1", isUp: false, isLoopback: false, hasUdpSegmentation: false))
        }
        #expect(down.verdict == .ok)
    }

    @Test func aProcessorsInstructionsAreUsed() throws {
        #expect(try finding("cipher") { $0.cipher = "openssl" }.verdict == .warning)
        #expect(try finding("cipher") { $0.processorFeatures = [] }.verdict == .warning)
        let arm = try finding("cipher") {
            ($0.cipher, $0.processorFeatures) = ("openssl", ["aes", "pmull"])
        }
        #expect(arm.verdict == .ok)
    }

    @Test func moreThreadsThanCoresAreTooMany() throws {
        #expect(try finding("cores") { $0.workers = 5 }.advice?.contains("--workers 4") == true)
        #expect(try finding("cores") { $0.processorQuota = 1.5 }.verdict == .warning)
        #expect(try finding("cores") { $0.processorQuota = 2 }.verdict == .ok)
    }

    @Test func clocksAreJudged() throws {
        #expect(try finding("clock-source") { $0.clockSource = "acpi_pm" }.verdict == .warning)
        #expect(try finding("clock-source") { $0.clockSource = nil }.verdict == .ok)
        #expect(try finding("time") { $0.isClockSynchronised = false }.verdict == .warning)
        #expect(try finding("time") { $0.isClockSynchronised = nil }.verdict == .ok)
    }

    /// Given, own addresses, cloud, loopback only, verdict.
    @Test(arguments: [
        ([], ["203.0.113.7"], nil, false, DoctorFinding.Verdict.ok),
        ([], ["10.0.0.5"], nil, false, .warning),
        ([], ["10.0.0.5"], "Amazon EC2", false, .problem),
        ([], ["10.0.0.5", "2001:db8::1"], "Amazon EC2", false, .ok),
        ([], [], nil, false, .problem),
        ([], ["10.0.0.5"], nil, true, .warning),
        (["203.0.113.7"], ["10.0.0.5"], "Amazon EC2", false, .ok),
        (["10.0.0.5"], ["10.0.0.5"], nil, false, .ok),
        (["192.168.1.9"], ["10.0.0.5"], nil, false, .warning),
        (["127.0.0.1"], ["10.0.0.5"], nil, false, .problem),
        (["0.0.0.0"], ["10.0.0.5"], nil, false, .problem),
    ] as [([String], [String], String?, Bool, DoctorFinding.Verdict)])
    func announcedAddressesMustBeReachable(
        _ given: [String], _ own: [String], _ cloud: String?, _ isLocal: Bool,
        _ verdict: DoctorFinding.Verdict
    ) throws {
        let found = try finding("announced") {
            $0.announced = given.compactMap { IPAddress($0) }
            $0.addresses = own.compactMap { IPAddress($0) }
            ($0.cloud, $0.isLoopbackOnly) = (cloud, isLocal)
        }
        #expect(found.verdict == verdict, "\(found)")
    }

    @Test func takenPortsAreNamed() throws {
        let taken = try finding("ports") {
            $0.ports.append(.init(transport: "UDP", port: 40_001, code: 98))
        }
        #expect(taken.verdict == .problem && taken.text.contains("UDP port 40001"))
        let privileged = try finding("ports") { $0.ports[0].code = 13 }
        #expect(privileged.advice?.hasPrefix("setcap") == true)
    }

    @Test func theDataFolderNeedsRoom() throws {
        #expect(try finding("data") { $0.dataFolder.freeBytes = 500 << 20 }.verdict == .warning)
        #expect(try finding("data") { $0.dataFolder.freeBytes = 1 << 20 }.verdict == .problem)
        #expect(try finding("data") { $0.dataFolder.error = "EROFS" }.verdict == .problem)
    }

    /// Seconds from now of the first and the last valid moment.
    @Test(arguments: [
        (-100, 90 * 86_400, DoctorFinding.Verdict.ok), (-100, 13 * 86_400, .warning),
        (-100, 0, .problem), (100, 90 * 86_400, .problem),
    ] as [(Int64, Int64, DoctorFinding.Verdict)])
    func certificatesExpire(
        _ from: Int64, _ to: Int64, _ verdict: DoctorFinding.Verdict
    ) throws {
        let found = try finding("certificate") { host in
            var certificate = HostReadings.Certificate(path: "c.pem")
            certificate.notBefore = host.epochSeconds + from
            certificate.notAfter = host.epochSeconds + to
            host.certificate = certificate
        }
        #expect(found.verdict == verdict)
    }
}

@Suite struct HostReaderTests {
    @Test func controlGroupsLimitCores() {
        #expect(HostReadings.quota(max: "150000 100000\n") == 1.5)
        #expect(HostReadings.quota(max: "max 100000\n") == nil)
        #expect(HostReadings.quota(max: "") == nil)
        #expect(HostReadings.quota(max: nil, quota: "200000\n", period: "100000\n") == 2)
        #expect(HostReadings.quota(max: nil, quota: "-1\n", period: "100000\n") == nil)
    }

    @Test func processorsAreRead() {
        let features = HostReadings.features(cpuinfo: "model name\t: X\nflags\t\t: fpu aes vaes\n")
        #expect(features == ["fpu", "aes", "vaes"])
        #expect(HostReadings.features(cpuinfo: "Features\t: fp aes pmull\n").contains("pmull"))
        #expect(HostReadings.features(cpuinfo: "") == [])
        #expect(HostReadings.cores(status: "Name: x\nCpus_allowed:\t00000000,0000000f\n") == 4)
        #expect(HostReadings.cores(status: "") == 1)
        #expect(HostReadings.cloud(vendor: "Amazon EC2") == "Amazon EC2")
        #expect(HostReadings.cloud(vendor: "LENOVO") == nil)
    }

    @Test func thisMachineCanBeRead() {
        var host = HostReadings()
        host.readMachine(bufferBytes: 64 << 10)
        #expect(host.socketBuffers.receiveBytes >= 64 << 10)
        #expect(host.descriptorsSoft > 0)
        #expect(host.epochSeconds > 1_600_000_000)
        #expect(!host.cipher.isEmpty && host.cores > 0)
        #expect(InterfaceFeatures.isActive("tx-udp-segmentation", of: "no-such-device") == nil)
        #expect(InterfaceFeatures.isActive("no-such-feature", of: "lo") == nil)
    }
}
