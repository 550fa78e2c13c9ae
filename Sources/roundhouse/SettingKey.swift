// The settings of every role: name, kind of value, default and meaning.
// SPDX-License-Identifier: Apache-2.0

/// One setting. Its raw value is the key in the YAML file and, with two dashes, the flag;
/// upper-cased with underscores after `ROUNDHOUSE_` it is the environment variable.
enum SettingKey: String, CaseIterable, Sendable {
    case host, port, data, web
    case announce
    case mediaPort = "media-port"
    case workers
    case capacity
    case branchSize = "branch-size"
    case sendWindow = "send-window-us"
    case paddingBytes = "padding-bytes"
    case segmentation
    case receiveCoalescing = "receive-coalescing"
    case tlsCert = "tls-cert"
    case tlsKey = "tls-key"
    case selfSigned = "self-signed"
    case origin
    case nodeID = "node-id"
    case nodeURL = "node-url"
    case accountURL = "account-url"
    case meetingURL = "meeting-url"
    case trustedProxy = "trusted-proxy"
    case signInsPerAddress = "sign-ins-per-address"
    case socketsPerAddress = "sockets-per-address"
    case serviceKey = "service-key"
    case ticketKey = "ticket-key"
    case resumeWindow = "resume-window"
    case emptyMeetingTimeout = "empty-meeting-timeout"
    case ticketLifetime = "ticket-lifetime"
    case tokenLifetime = "token-lifetime"
    case loadSyncInterval = "load-sync-interval"
    case logLevel = "log-level"

    /// What a value must look like; `parse` in `Settings` enforces it.
    enum Kind: Sendable {
        case text
        case path
        case flag
        case list
        case integer(ClosedRange<Int>)
        case seconds(ClosedRange<Int>)
        case choice([String])
    }

    struct Description: Sendable {
        let kind: Kind
        /// As it would be written in the YAML file; `nil` when the default is worked out at start.
        let fallback: String?
        let meaning: String
        var isSecret = false
    }

    var flag: String { "--" + rawValue }

    var environmentName: String {
        "ROUNDHOUSE_" + rawValue.uppercased().replacing("-", with: "_")
    }

    var description: Description {
        switch self {
        case .host, .port, .data, .web, .logLevel, .workers, .mediaPort, .announce:
            serverDescription
        case .capacity, .branchSize, .sendWindow, .paddingBytes, .segmentation,
            .receiveCoalescing:
            mediaDescription
        case .tlsCert, .tlsKey, .selfSigned, .origin, .serviceKey, .ticketKey,
            .signInsPerAddress, .socketsPerAddress:
            securityDescription
        case .nodeID, .nodeURL, .accountURL, .meetingURL, .trustedProxy: fleetDescription
        case .resumeWindow, .emptyMeetingTimeout, .ticketLifetime, .tokenLifetime,
            .loadSyncInterval:
            lifetimeDescription
        }
    }

    private var serverDescription: Description {
        switch self {
        case .host:
            .init(kind: .text, fallback: "127.0.0.1", meaning: "IP address to listen on for HTTP")
        case .port:
            .init(kind: .integer(0...65535), fallback: "8080", meaning: "TCP port; 0 takes any")
        case .data:
            .init(kind: .path, fallback: "data", meaning: "folder for databases, keys and journals")
        case .web:
            .init(kind: .path, fallback: nil, meaning: "folder of the web client")
        case .announce:
            .init(
                kind: .list, fallback: nil,
                meaning: "IP addresses offered to media clients (public address behind 1:1 NAT)")
        case .mediaPort:
            .init(
                kind: .integer(0...65535), fallback: "0",
                meaning: "first UDP media port, one a worker; 0 takes any")
        case .workers:
            .init(kind: .integer(0...64), fallback: "0", meaning: "media threads; 0: one a core")
        default:
            .init(
                kind: .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
                fallback: "info", meaning: "least severe message that is logged")
        }
    }

    private var mediaDescription: Description {
        switch self {
        case .capacity:
            .init(
                kind: .integer(1...100_000), fallback: "1000",
                meaning: "participants that this node takes, of all meetings together")
        case .branchSize:
            .init(
                kind: .integer(1...100_000), fallback: "16",
                meaning: "participants of one meeting that share a media thread before the "
                    + "meeting spreads over more")
        case .sendWindow:
            .init(
                kind: .integer(0...20_000), fallback: "5000",
                meaning: "microseconds for which a media packet waits for company under load; "
                    + "0: never")
        case .paddingBytes:
            .init(
                kind: .integer(0...255), fallback: "32",
                meaning: "RTP padding that makes packets equally long, so that they share a "
                    + "kernel message; 0: none")
        case .segmentation:
            .init(
                kind: .choice(["on", "off"]), fallback: "on",
                meaning: "send runs of packets as one kernel message (UDP_SEGMENT)")
        default:
            .init(
                kind: .choice(["on", "off"]), fallback: "on",
                meaning: "receive runs of packets as one kernel message (UDP_GRO)")
        }
    }

    private var securityDescription: Description {
        switch self {
        case .tlsCert:
            .init(kind: .path, fallback: nil, meaning: "PEM file: certificate and its chain")
        case .tlsKey:
            .init(kind: .path, fallback: nil, meaning: "PEM file: private key of the certificate")
        case .selfSigned:
            .init(
                kind: .flag, fallback: "false",
                meaning: "make a certificate for a try-out; browsers will warn")
        case .origin:
            .init(
                kind: .list, fallback: nil,
                meaning: "web origins that may open a meeting socket; default: the server itself")
        case .signInsPerAddress:
            .init(
                kind: .integer(1...1_000_000), fallback: "100",
                meaning: "sign-ups and sign-ins of one client address at once; a hundredth of it "
                    + "comes back each second")
        case .socketsPerAddress:
            .init(
                kind: .integer(1...1_000_000), fallback: "200",
                meaning: "meeting sockets of one client address at once")
        case .ticketKey:
            .init(
                kind: .path, fallback: nil,
                meaning: "PEM file: P-256 key that meeting services sign tickets with; "
                    + "default: made in the data folder", isSecret: true)
        default:
            .init(
                kind: .path, fallback: nil,
                meaning: "PEM file: P-256 key shared by the services; "
                    + "default: made in the data folder", isSecret: true)
        }
    }

    private var fleetDescription: Description {
        switch self {
        case .nodeID:
            .init(
                kind: .text, fallback: nil,
                meaning: "name of this routing node; kept in the data folder")
        case .nodeURL:
            .init(
                kind: .text, fallback: nil,
                meaning: "WebSocket URL that clients of this node are told")
        case .accountURL:
            .init(kind: .list, fallback: nil, meaning: "base URLs of account services")
        case .meetingURL:
            .init(kind: .list, fallback: nil, meaning: "base URLs of meeting services")
        default:
            .init(
                kind: .list, fallback: nil,
                meaning: "IP addresses of gateways whose X-Forwarded-For is believed")
        }
    }

    private var lifetimeDescription: Description {
        switch self {
        case .resumeWindow:
            .init(
                kind: .seconds(0...3600), fallback: "20",
                meaning: "seconds for which a broken connection may be resumed")
        case .emptyMeetingTimeout:
            .init(
                kind: .seconds(1...86400), fallback: "60",
                meaning: "seconds after which an empty meeting ends")
        case .ticketLifetime:
            .init(
                kind: .seconds(5...86400), fallback: "300",
                meaning: "seconds for which a ticket to a meeting is valid")
        case .tokenLifetime:
            .init(
                kind: .seconds(60...31_536_000), fallback: "2592000",
                meaning: "seconds for which a sign-in is valid")
        default:
            .init(
                kind: .seconds(1...3600), fallback: "420",
                meaning: "mean seconds between exchanges of load with the database (jittered)")
        }
    }
}
