// Wires the roles: stores, keys, services, and what each needs of the others.
// SPDX-License-Identifier: Apache-2.0
import Accounts
import AsyncHTTPClient
import Foundation
import Gateway
import Hummingbird
import JWTKit
import Logging
import MediaPlane
import Meetings
import Routing
import ServiceKit
import ServiceLifecycle
import Stores

/// Builds the parts of a process. Used once.
struct Assembly {
    private let settings: Settings
    private let site: Site
    private let roles: Set<Role>
    private let logger: Logger
    private let data: String
    private let serviceKey: ES256PrivateKey
    private var parts = Parts()

    init(_ settings: Settings, site: Site, roles: Set<Role>, logger: Logger) throws {
        self.settings = settings
        self.site = site
        self.roles = roles
        self.logger = logger
        data = settings.text(.data) ?? "data"
        serviceKey = try KeyFile.loadOrCreate(
            settings.text(.serviceKey) ?? data + "/keys/service.pem")
    }

    consuming func build() async throws -> Parts {
        var accounts: AccountService?
        var meetings: (service: Meetings.MeetingService, key: ES256PrivateKey)?
        if roles.contains(.account) { accounts = try await addAccounts() }
        if roles.contains(.meeting) { meetings = try await addMeetings(accounts) }
        if roles.contains(.router) { try await addRouter(meetings?.service, meetings?.key) }
        if roles.contains(.gateway) { try addGateway() }
        return parts
    }

    // MARK: Account

    private mutating func addAccounts() async throws -> AccountService {
        let store = try SQLiteAccountStore(path: data + "/accounts.sqlite")
        let workers = PasswordWorkers(
            threads: max(1, min(4, ProcessInfo.processInfo.activeProcessorCount)))
        var configuration = AccountConfiguration()
        configuration.tokenLifetime = settings.duration(.tokenLifetime)
        configuration.addressBurst = settings.integer(.signInsPerAddress)
        configuration.addressRate = Double(configuration.addressBurst) / 100
        let service = try await AccountService(
            store: store, passwords: workers, configuration: configuration)
        let credentials = await ServiceCredentials(key: serviceKey, role: .account)
        parts.routes += AccountRoutes(service: service, credentials: credentials).routes
        parts.checks.append(Self.check("accounts") { try await store.check() })
        parts.services.append(TokenPruning(accounts: service, logger: Logger(label: "accounts")))
        parts.cleanUp = { await workers.stop() }
        return service
    }

    private static func check(
        _ name: String, _ body: @escaping @Sendable () async throws -> Void
    ) -> ReadinessCheck {
        ReadinessCheck(name) {
            do {
                try await body()
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    // MARK: Meeting

    private mutating func addMeetings(
        _ accounts: AccountService?
    ) async throws -> (service: Meetings.MeetingService, key: ES256PrivateKey) {
        let credentials = await ServiceCredentials(key: serviceKey, role: .meeting)
        let key = try KeyFile.loadOrCreate(
            settings.text(.ticketKey) ?? data + "/keys/tickets.pem")
        let records = try SQLiteMeetingStore(path: data + "/meetings.sqlite")
        let loads = try SQLiteServerLoadStore(path: data + "/load.sqlite")
        var configuration = MeetingServiceConfiguration()
        configuration.ticketLifetime = settings.duration(.ticketLifetime)
        let service = Meetings.MeetingService(
            .init(
                meetings: records, loads: loads,
                accounts: try accounts ?? remoteAccounts(credentials),
                tickets: await TicketIssuer(key: key)),
            configuration: configuration, logger: Logger(label: "meetings"))
        var routes = MeetingRoutes(
            service: service,
            keys: await .init(credentials: credentials, ticketKey: key.publicKey),
            recorders: HTTPRecorderCalls(client: .shared, credentials: credentials))
        if site.followsHost {
            routes.publicServer = Self.hostFollower(isTLS: site.server.tls != nil)
        }
        parts.routes += routes.routes
        parts.checks.append(Self.check("meetings") { try await records.check() })
        parts.checks.append(Self.check("load") { try await loads.check() })
        parts.services.append(LoadSync(service, interval: settings.duration(.loadSyncInterval)))
        return (service, key)
    }

    private func remoteAccounts(_ credentials: ServiceCredentials) throws -> any AccountDirectory {
        let urls = settings.list(.accountURL).map(Self.trimmed)
        guard !urls.isEmpty else {
            throw SettingsError(description: "the meeting service needs --account-url")
        }
        return RemoteAccountDirectory(baseURLs: urls, client: .shared, credentials: credentials)
    }

    private static func trimmed(_ url: String) -> String {
        url.hasSuffix("/") ? String(url.dropLast()) : url
    }

    /// A page must find its socket under the name it was loaded from: certificates and origin
    /// checks go by that name.
    private static func hostFollower(isTLS: Bool) -> @Sendable (Request, String) -> String {
        { request, address in
            guard let host = request.head.authority, !host.isEmpty, host.utf8.count <= 255,
                host.utf8.allSatisfy(isHostByte)
            else { return address }
            return "\(isTLS ? "wss" : "ws")://\(host)/ws"
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x3A, 0x41...0x5B, 0x5D, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }

    // MARK: Router

    private mutating func addRouter(
        _ local: Meetings.MeetingService?, _ ticketKey: ES256PrivateKey?
    ) async throws {
        let nodeLogger = Logger(label: "router")
        let service: any Routing.MeetingService
        let tickets: any TicketChecking
        if let local, let ticketKey {
            service = LocalMeetingService(meetings: local, ticketKey: ticketKey.publicKey)
            tickets = await TicketVerifier(key: ticketKey.publicKey)
        } else {
            guard let url = settings.list(.meetingURL).first else {
                throw SettingsError(description: "a routing node needs --meeting-url")
            }
            let credentials = await ServiceCredentials(key: serviceKey, role: .router)
            service = HTTPMeetingService(baseURL: Self.trimmed(url), client: .shared) {
                try await credentials.issue(to: .meeting)
            }
            tickets = RemoteTicketKeys(
                service: service, cacheFile: data + "/ticket-keys.json", logger: nodeLogger)
        }
        let media = try media()
        let node = try RoutingNode(
            routing(), tickets: tickets, meetings: service,
            media: try WorkerMediaNode(media, logger: nodeLogger), logger: nodeLogger)
        nodeLogger.info(
            "the media plane is ready",
            metadata: [
                "cipher": "\(WorkerPool.cipher)", "workers": "\(media.workers)",
                "send_window_us": "\(media.sendWindowMicroseconds)",
                "padding_bytes": "\(media.paddingBytesMax)",
                "segmentation": "\(media.hasSegmentation ? "on" : "off")",
                "receive_coalescing": "\(media.hasReceiveCoalescing ? "on" : "off")",
            ])
        MetricsRegistry.shared.addCollector { node.collect(into: &$0) }
        parts.routes += node.routes
        parts.services.append(node)
        parts.checks.append(
            ReadinessCheck("node") { node.isReady ? nil : "not registered or draining" })
        if local != nil { parts.waitUntilReady = { await Self.wait(for: node) } }
    }

    /// At most some seconds: a node that cannot register is reported by `/readyz`.
    private static func wait(for node: RoutingNode) async {
        for _ in 0..<250 where !node.isReady { try? await Task.sleep(for: .milliseconds(20)) }
    }

    private func routing() throws -> RoutingConfiguration {
        var configuration = RoutingConfiguration(
            nodeID: try nodeID(), address: site.nodeURL, dataFolder: data + "/router")
        configuration.capacity = settings.integer(.capacity)
        configuration.meeting.participantsMax = configuration.capacity
        configuration.limits.socketsMax = max(
            configuration.limits.socketsMax, 2 * configuration.capacity)
        configuration.meeting.resumeWindow = settings.duration(.resumeWindow)
        configuration.meeting.emptyTimeout = settings.duration(.emptyMeetingTimeout)
        configuration.ticketLifetime = settings.duration(.ticketLifetime)
        configuration.limits.socketsPerAddress = settings.integer(.socketsPerAddress)
        let origins = settings.list(.origin)
        if !origins.isEmpty { configuration.allowedOrigins = Set(origins) }
        return configuration
    }

    private func media() throws -> WorkerPool.Configuration {
        let host = settings.text(.host) ?? "127.0.0.1"
        let given = settings.list(.announce)
        let announced = given.compactMap { IPAddress($0) }
        if announced.count != given.count {
            let list = given.joined(separator: ", ")
            throw SettingsError(description: "--announce must be IP addresses, not '\(list)'")
        }
        let workers = settings.integer(.workers)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let offered = announced.isEmpty ? Self.mediaAddresses(host: host) : announced
        let bind: IPAddress = offered.contains { $0.family == .v6 } ? .anyV6 : .anyV4
        var configuration = WorkerPool.Configuration(
            workers: workers == 0 ? min(64, cores) : workers,
            bind: announced.isEmpty && offered == [.loopbackV4] ? .loopbackV4 : bind,
            firstPort: UInt16(settings.integer(.mediaPort)),
            announced: offered)
        configuration.reserve(participants: settings.integer(.capacity))
        configuration.branchSize = settings.integer(.branchSize)
        configuration.sendWindowMicroseconds = settings.integer(.sendWindow)
        configuration.paddingBytesMax = settings.integer(.paddingBytes)
        configuration.hasSegmentation = settings.text(.segmentation) != "off"
        configuration.hasReceiveCoalescing = settings.text(.receiveCoalescing) != "off"
        return configuration
    }

    /// Where browsers are told to send media. For pages on loopback too the machine's own IPv4
    /// addresses are among them: Firefox checks no loopback candidate (RFC 8445 section 5.1.1.1).
    private static func mediaAddresses(host: String) -> [IPAddress] {
        let own = Networking.hostAddresses()
        guard Networking.isLoopback(host) else { return own }
        return [.loopbackV4] + own.filter { $0.family == .v4 }
    }

    /// The node's name, made once and kept in the data folder.
    private func nodeID() throws -> String {
        if let given = settings.text(.nodeID) { return given }
        let path = data + "/node-id"
        let kept = try? String(contentsOfFile: path, encoding: .utf8)
        if let kept, !kept.isEmpty { return kept }
        try FileManager.default.createDirectory(
            atPath: data, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let made = "node-" + UUID().uuidString.lowercased().prefix(8)
        try made.write(toFile: path, atomically: true, encoding: .utf8)
        return made
    }

    // MARK: Gateway

    private mutating func addGateway() throws {
        parts.webFolder = settings.text(.web) ?? Self.defaultWebFolder()
        for (role, prefix, key) in [
            (Role.account, "/account", SettingKey.accountURL),
            (.meeting, "/meeting", .meetingURL),
        ] where !roles.contains(role) {
            let urls = settings.list(key).map(Self.trimmed)
            guard !urls.isEmpty else {
                throw SettingsError(description: "the gateway needs \(key.flag)")
            }
            let upstreams = Upstreams(urls: urls)
            parts.upstreams.append((prefix, upstreams))
            parts.checks.append(
                ReadinessCheck(role.rawValue) {
                    upstreams.isAvailable(now: .now) ? nil : "no instance answers"
                })
        }
    }

    /// Beside the program, in the system, or in the source tree.
    private static func defaultWebFolder() -> String {
        let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        var folder = program.deletingLastPathComponent()
        let installed = folder.appending(path: "../share/roundhouse/web").standardized.path
        var candidates = [installed, "/usr/share/roundhouse/web"]
        // A build lies some folders below the root of its source tree.
        for _ in 0..<4 {
            folder = folder.deletingLastPathComponent()
            candidates.append(folder.appending(path: "Sources/WebClient").path)
        }
        return candidates.first {
            FileManager.default.fileExists(atPath: $0 + "/index.html")
        } ?? candidates[1]
    }
}

/// Removes expired sign-ins every hour.
struct TokenPruning: Service {
    let accounts: AccountService
    let logger: Logger

    func run() async throws {
        while !Task.isShuttingDownGracefully {
            do {
                let count = try await accounts.prune()
                logger.debug("expired sign-ins removed", metadata: ["count": "\(count)"])
            } catch {
                logger.warning("sign-ins could not be pruned", metadata: ["error": "\(error)"])
            }
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(3600)) }
            if Task.isCancelled { return }
        }
    }
}
