// `roundhouse doctor`: looks at the machine and the settings and says what to change.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import MediaPlane
import ServiceKit

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check this machine for what a node needs, and say what to change.",
        discussion: """
            Takes the same settings as the node would. Ends with status 1 when something will \
            not work; warnings are about speed and reach. ROUNDHOUSE_CIPHER=openssl or ipsec-mb \
            chooses what encrypts media.
            """)

    @OptionGroup var options: SettingOptions
    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let settings: Settings
        do { settings = try options.settings() } catch {
            throw ValidationError(error.description)
        }
        let report = Report(findings: Doctor.examine(try HostReadings(settings)))
        print(json ? try report.json() : report.text)
        if report.problems > 0 { throw ExitCode(1) }
    }

    /// The findings for a terminal or a program.
    struct Report: Encodable {
        let findings: [DoctorFinding]
        let problems: Int
        let warnings: Int

        init(findings: [DoctorFinding]) {
            self.findings = findings
            problems = findings.count { $0.verdict == .problem }
            warnings = findings.count { $0.verdict == .warning }
        }

        func json() throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }

        var text: String {
            func column(_ text: String, _ width: Int) -> String {
                text.padding(toLength: width, withPad: " ", startingAt: 0)
            }
            let lines = findings.flatMap { finding in
                let head = column(finding.verdict.rawValue, 9) + column(finding.check, 16)
                let advice = finding.advice.map { String(repeating: " ", count: 25) + "→ " + $0 }
                return [head + finding.text] + (advice.map { [$0] } ?? [])
            }
            let verdict = "\(problems) problem\(problems == 1 ? "" : "s"), "
                + "\(warnings) warning\(warnings == 1 ? "" : "s")"
            return (lines + [verdict]).joined(separator: "\n")
        }
    }
}

extension HostReadings {
    /// Reads this machine for a node with these settings.
    init(_ settings: Settings) throws {
        self.init()
        let host = settings.text(.host) ?? "127.0.0.1"
        capacity = settings.integer(.capacity)
        announced = settings.list(.announce).compactMap { IPAddress($0) }
        isLoopbackOnly = Networking.isLoopback(host)
        addresses = Networking.hostAddresses()
        readMachine(bufferBytes: WorkerPool.Configuration().socketBufferBytes)
        let threads = settings.integer(.workers)
        workers = threads == 0 ? ProcessInfo.processInfo.activeProcessorCount : threads
        interfaces = Networking.interfaces().map { interface in
            var interface = interface
            interface.hasUdpSegmentation = InterfaceFeatures.isActive(
                "tx-udp-segmentation", of: interface.name)
            return interface
        }
        ports = Self.ports(settings, host: host, workers: workers)
        dataFolder = Self.folder(settings.text(.data) ?? "data")
        if let path = settings.text(.tlsCert) {
            certificate = Self.certificate(path, key: settings.text(.tlsKey))
        }
    }

    /// The ports that the settings name; those that the kernel chooses are always free.
    private static func ports(_ settings: Settings, host: String, workers: Int) -> [Port] {
        var ports: [Port] = []
        if let port = UInt16(exactly: settings.integer(.port)), port != 0 {
            let code = Networking.bindingError(.stream, host: host, port: port)
            ports.append(Port(transport: "TCP", port: port, code: code))
        }
        let first = settings.integer(.mediaPort)
        guard first != 0 else { return ports }
        let bind = Networking.isLoopback(host) ? "127.0.0.1" : "0.0.0.0"
        for port in (first..<(first + workers)).compactMap(UInt16.init(exactly:)) {
            let code = Networking.bindingError(.datagram, host: bind, port: port)
            ports.append(Port(transport: "UDP", port: port, code: code))
        }
        return ports
    }

    /// Tries the folder, or where it would be made.
    private static func folder(_ path: String) -> Folder {
        var folder = Folder()
        folder.path = path
        var place = URL(filePath: path).standardizedFileURL
        while !FileManager.default.fileExists(atPath: place.path), place.path != "/" {
            place.deleteLastPathComponent()
        }
        let file = place.appending(path: ".roundhouse-doctor-\(UUID().uuidString)").path
        let handle = open(file, O_CREAT | O_EXCL | O_WRONLY, 0o600)
        if handle < 0 {
            folder.error = String(cString: strerror(errno))
        } else {
            close(handle)
            unlink(file)
        }
        var space = statvfs()
        if statvfs(place.path, &space) == 0 {
            folder.freeBytes = UInt64(space.f_bavail) * UInt64(space.f_frsize)
        }
        return folder
    }

    private static func certificate(_ path: String, key: String?) -> Certificate {
        var certificate = Certificate(path: path)
        do {
            let dates = try CertificateDates(pemFile: path)
            (certificate.notBefore, certificate.notAfter) = (dates.notBefore, dates.notAfter)
            if let key, !FileManager.default.isReadableFile(atPath: key) {
                certificate.error = "the key \(key) cannot be read"
            }
        } catch {
            certificate.error = "\(error)"
        }
        return certificate
    }
}
