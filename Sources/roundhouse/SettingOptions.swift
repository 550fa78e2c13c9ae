// The flags that every role's command shares.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// Flags of all settings. A flag that is not given leaves the value to the other layers.
struct SettingOptions: ParsableArguments {
    @Option(help: "YAML file with settings (also ROUNDHOUSE_CONFIG).")
    var config: String?

    @Option(help: "IP address to listen on for HTTP.")
    var host: String?
    @Option(help: "TCP port for HTTP and WebSockets; 0 takes any.")
    var port: String?
    @Option(help: "Folder for databases, keys and journals.")
    var data: String?
    @Option(help: "Folder of the web client.")
    var web: String?
    @Option(help: "IP address offered to media clients; repeat for several.")
    var announce: [String] = []
    @Option(help: "First UDP media port, one a worker; 0 takes any.")
    var mediaPort: String?
    @Option(help: "Media threads; 0: one a core.")
    var workers: String?
    @Option(help: "Participants that this node takes, of all meetings together.")
    var capacity: String?
    @Option(help: "Participants of one meeting that share a media thread before it spreads.")
    var branchSize: String?
    @Option(help: "Microseconds a media packet waits for company under load; 0: never.")
    var sendWindowUs: String?
    @Option(help: "RTP padding that lets packets share a kernel message; 0: none.")
    var paddingBytes: String?
    @Option(help: "on or off: send runs of packets as one kernel message.")
    var segmentation: String?
    @Option(help: "on or off: receive runs of packets as one kernel message.")
    var receiveCoalescing: String?
    @Option(help: "PEM file with the TLS certificate and its chain.")
    var tlsCert: String?
    @Option(help: "PEM file with the certificate's private key.")
    var tlsKey: String?
    @Flag(help: "Make a certificate for a try-out in a LAN; browsers will warn.")
    var selfSigned = false
    @Option(help: "Web origin that may open a meeting socket; repeat for several.")
    var origin: [String] = []
    @Option(help: "Name of this routing node.")
    var nodeID: String?
    @Option(help: "WebSocket URL that clients of this node are told.")
    var nodeURL: String?
    @Option(help: "Base URL of an account service; repeat for several.")
    var accountURL: [String] = []
    @Option(help: "Base URL of a meeting service; repeat for several.")
    var meetingURL: [String] = []
    @Option(help: "IP address of a gateway that is believed about clients; repeat for several.")
    var trustedProxy: [String] = []
    @Option(help: "Sign-ups and sign-ins of one client address at once.")
    var signInsPerAddress: String?
    @Option(help: "Meeting sockets of one client address at once.")
    var socketsPerAddress: String?
    @Option(help: "PEM file with the key that the services share.")
    var serviceKey: String?
    @Option(help: "PEM file with the key that meeting services sign tickets with.")
    var ticketKey: String?
    @Option(help: "Seconds for which a broken connection may be resumed.")
    var resumeWindow: String?
    @Option(help: "Seconds after which an empty meeting ends.")
    var emptyMeetingTimeout: String?
    @Option(help: "Seconds for which a ticket to a meeting is valid.")
    var ticketLifetime: String?
    @Option(help: "Seconds for which a sign-in is valid.")
    var tokenLifetime: String?
    @Option(help: "Mean seconds between exchanges of load with the database.")
    var loadSyncInterval: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: String?

    /// The effective settings of this process.
    func settings(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(SettingsError) -> Settings {
        try Settings(
            file: config ?? environment["ROUNDHOUSE_CONFIG"], environment: environment,
            flags: given())
    }

    private func given() -> [SettingKey: [String]] {
        let single: [(SettingKey, String?)] = [
            (.host, host), (.port, port), (.data, data), (.web, web), (.mediaPort, mediaPort),
            (.workers, workers), (.capacity, capacity), (.branchSize, branchSize),
            (.sendWindow, sendWindowUs), (.paddingBytes, paddingBytes),
            (.segmentation, segmentation), (.receiveCoalescing, receiveCoalescing),
            (.tlsCert, tlsCert), (.tlsKey, tlsKey), (.nodeID, nodeID),
            (.nodeURL, nodeURL), (.serviceKey, serviceKey), (.ticketKey, ticketKey),
            (.signInsPerAddress, signInsPerAddress), (.socketsPerAddress, socketsPerAddress),
            (.resumeWindow, resumeWindow),
            (.emptyMeetingTimeout, emptyMeetingTimeout), (.ticketLifetime, ticketLifetime),
            (.tokenLifetime, tokenLifetime), (.loadSyncInterval, loadSyncInterval),
            (.logLevel, logLevel), (.selfSigned, selfSigned ? "true" : nil),
        ]
        let lists: [(SettingKey, [String])] = [
            (.announce, announce), (.origin, origin), (.accountURL, accountURL),
            (.meetingURL, meetingURL), (.trustedProxy, trustedProxy),
        ]
        var flags: [SettingKey: [String]] = [:]
        for (key, value) in single { flags[key] = value.map { [$0] } }
        for (key, value) in lists where !value.isEmpty { flags[key] = value }
        return flags
    }
}
