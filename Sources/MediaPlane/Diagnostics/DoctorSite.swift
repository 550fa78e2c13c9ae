// What is examined about addresses, ports, the data folder and the certificate. Pure.
// SPDX-License-Identifier: Apache-2.0

extension Doctor {
    // MARK: Addresses

    /// Whether clients can reach the addresses that candidates will name.
    static func announced(_ host: HostReadings) -> DoctorFinding {
        let own = host.addresses
        let advice = "--announce ADDRESS   (the public address that clients reach this machine by)"
        guard !host.announced.isEmpty else {
            return host.isLoopbackOnly
                ? DoctorFinding(
                    "announced", .warning,
                    "the node listens on loopback: only programs on this machine reach it",
                    advice: "--host 0.0.0.0 --tls-cert FILE --tls-key FILE")
                : unannounced(own, cloud: host.cloud, advice)
        }
        let list = host.announced.map(\.description).joined(separator: ", ")
        if host.announced.contains(where: { $0.isAny }) {
            return DoctorFinding(
                "announced", .problem, "\(list) is no address that packets can be sent to",
                advice: advice)
        }
        if !host.isLoopbackOnly, host.announced.allSatisfy(\.isLoopback) {
            return DoctorFinding(
                "announced", .problem, "only loopback is announced: \(list)", advice: advice)
        }
        let strange = host.announced.filter { $0.isPrivate && !own.contains($0) }
        if !strange.isEmpty {
            let names = strange.map(\.description).joined(separator: ", ")
            return DoctorFinding(
                "announced", .warning, "\(names) is private and not this machine's",
                advice: advice)
        }
        return DoctorFinding("announced", .ok, "announced to clients: \(list)")
    }

    private static func unannounced(
        _ own: [IPAddress], cloud: String?, _ advice: String
    ) -> DoctorFinding {
        let list = own.map(\.description).joined(separator: ", ")
        if own.isEmpty {
            return DoctorFinding(
                "announced", .problem, "the machine has no address but loopback", advice: advice)
        }
        if own.contains(where: { !$0.isPrivate }) {
            return DoctorFinding("announced", .ok, "announced to clients: \(list)")
        }
        if let cloud {
            return DoctorFinding(
                "announced", .problem,
                "the machine is in a cloud (\(cloud)) and knows only private addresses: \(list)",
                advice: advice)
        }
        return DoctorFinding(
            "announced", .warning, "only private addresses, good for a local network: \(list)",
            advice: advice)
    }

    /// One finding a port that cannot be had, or one that all can.
    static func ports(_ host: HostReadings) -> [DoctorFinding] {
        let taken = host.ports.filter { $0.code != 0 }
        guard !taken.isEmpty else {
            let names = host.ports.map { "\($0.transport) \($0.port)" }
            let list = names.isEmpty ? "any" : names.joined(separator: ", ")
            return [DoctorFinding("ports", .ok, "free: \(list)")]
        }
        return taken.map { port in
            let flag = port.transport == "UDP" ? "--media-port" : "--port"
            // EACCES
            if port.code == 13 {
                return DoctorFinding(
                    "ports", .problem,
                    "\(port.transport) port \(port.port) needs a privilege",
                    advice: "setcap cap_net_bind_service=+ep roundhouse, or another \(flag)")
            }
            return DoctorFinding(
                "ports", .problem,
                "\(port.transport) port \(port.port) cannot be bound (error \(port.code)); is "
                    + "something, or another roundhouse, running on it?",
                advice: "ss -lnptu 'sport = :\(port.port)', or another \(flag)")
        }
    }

    // MARK: Files

    static func dataFolder(_ host: HostReadings) -> DoctorFinding {
        let folder = host.dataFolder
        if let error = folder.error {
            return DoctorFinding(
                "data", .problem, "\(folder.path) cannot be written: \(error)",
                advice: "chown it to the user that runs roundhouse, or --data FOLDER")
        }
        let text = "\(folder.path) can be written, \(bytes(folder.freeBytes)) free"
        guard folder.freeBytes < spaceWanted else { return DoctorFinding("data", .ok, text) }
        return DoctorFinding(
            "data", folder.freeBytes < spaceNeeded ? .problem : .warning, text,
            advice: "free some space, or --data FOLDER on another disk")
    }

    static func certificate(
        _ certificate: HostReadings.Certificate, _ host: HostReadings
    ) -> DoctorFinding {
        let path = certificate.path
        let advice = "renew it, for instance with certbot renew, and restart"
        if let error = certificate.error {
            return DoctorFinding(
                "certificate", .problem, "\(path) cannot be used: \(error)",
                advice: "--tls-cert and --tls-key must be PEM files that this user can read")
        }
        if host.epochSeconds < certificate.notBefore {
            return DoctorFinding(
                "certificate", .problem, "\(path) is not valid yet", advice: "check the clock")
        }
        let left = certificate.notAfter - host.epochSeconds
        if left <= 0 {
            return DoctorFinding("certificate", .problem, "\(path) has expired", advice: advice)
        }
        let text = "\(path) is valid for \(left / 86_400) more days"
        return left < certificateSeconds
            ? DoctorFinding("certificate", .warning, text, advice: advice)
            : DoctorFinding("certificate", .ok, text)
    }
}

extension IPAddress {
    /// Reachable within one network only: RFC 1918, RFC 6598, RFC 4193, and link-local.
    public var isPrivate: Bool {
        if isLinkLocal || isLoopback { return true }
        guard family == .v4 else { return networkBytes[0] & 0xfe == 0xfc }
        let bytes = networkBytes
        return bytes[0] == 10 || (bytes[0] == 172 && bytes[1] & 0xf0 == 16)
            || (bytes[0] == 192 && bytes[1] == 168) || (bytes[0] == 100 && bytes[1] & 0xc0 == 64)
    }
}
