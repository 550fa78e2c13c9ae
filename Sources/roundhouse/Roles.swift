// Builds the services of a process from its settings and runs them until a signal.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Gateway
import Hummingbird
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle

/// Runs one or several roles behind one HTTP server.
struct RoleRunner {
    let settings: Settings
    let roles: Set<Role>

    func run() async throws {
        // Databases, keys and journals are for this user alone.
        umask(0o077)
        let logger = startObservability()
        do {
            let site = try Site(settings, roles: roles)
            let assembly = try Assembly(settings, site: site, roles: roles, logger: logger)
            try await serve(assembly.build(), site, logger)
        } catch let error as SettingsError {
            throw CommandFailure(description: error.description)
        } catch {
            throw CommandFailure(description: Self.explain(error, settings))
        }
    }

    private func startObservability() -> Logger {
        let level = Logger.Level(rawValue: settings.text(.logLevel) ?? "info") ?? .info
        LoggingSystem.bootstrap { JSONLogHandler(label: $0, level: level) }
        MetricsSystem.bootstrap(MetricsRegistry.shared)
        return Logger(label: "roundhouse")
    }

    private func serve(_ parts: Parts, _ site: Site, _ logger: Logger) async throws {
        let routes = parts.routes
            + OperatorRoutes.routes(
                checks: parts.checks, metrics: .shared, document: try OpenAPIDocument.json())
        let router = Router(context: HTTPContext.self, options: .autoGenerateHeadEndpoints)
        router.add(
            middleware: RequestMiddleware(
                methods: MethodIndex(routes),
                trustedProxies: Set(settings.list(.trustedProxy)),
                limiter: RateLimiter(ratePerSecond: 300, burst: 3000)))
        if let folder = parts.webFolder {
            router.add(middleware: try WebClientFiles<HTTPContext>(folder: folder))
        }
        if !parts.upstreams.isEmpty {
            router.add(middleware: ServiceProxy(routes: parts.upstreams))
        }
        router.add(routes)
        let server = try HTTPService(
            site.server, router: router, logger: Logger(label: "http")
        ) { _ in
            await parts.waitUntilReady()
            try? FileHandle.standardOutput.write(
                contentsOf: Data("Roundhouse is ready: \(site.url)\n".utf8))
        }
        var configuration = ServiceGroupConfiguration(
            services: (parts.services + [server]).map { .init(service: $0) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        configuration.maximumCancellationDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
        await parts.cleanUp()
        logger.info("stopped")
    }

    private static func explain(_ error: any Error, _ settings: Settings) -> String {
        let text = "\(error)"
        if text.contains("errno: 98") || text.contains("Address already in use") {
            let host = settings.text(.host) ?? ""
            let port = settings.integer(.port)
            return "port \(port) on \(host) is in use; choose another with --port"
        }
        return text
    }
}

/// Ends the command with a message and a failure status.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
}

/// What the roles of a process contribute.
struct Parts {
    var routes: [Route] = []
    var checks: [ReadinessCheck] = []
    /// In the order in which they start; they stop the other way round.
    var services: [any Service] = []
    var upstreams: [(prefix: String, upstreams: Upstreams)] = []
    var webFolder: String?
    var waitUntilReady: @Sendable () async -> Void = {}
    var cleanUp: @Sendable () async -> Void = {}
}

/// Where the process listens and what it is called from outside.
struct Site {
    let server: HTTPServiceConfiguration
    /// For the browser, with a slash at the end.
    let url: String
    /// WebSocket URL of the routing role.
    let nodeURL: String
    /// Whether the node's URL is worked out, so that clients are better told the host they used.
    let followsHost: Bool

    init(_ settings: Settings, roles: Set<Role>) throws {
        let host = settings.text(.host) ?? "127.0.0.1"
        let given = settings.integer(.port)
        let port = given == 0 ? try Networking.freePort(host: host) : given
        let tls = try Self.certificate(settings, host: host)
        if tls == nil, roles.contains(.gateway), !Networking.isLoopback(host) {
            throw SettingsError(
                description: "plain HTTP is only for a loopback address, and --host is \(host): "
                    + "give --tls-cert and --tls-key, or --self-signed for a try-out")
        }
        server = HTTPServiceConfiguration(host: host, port: port, tls: tls)
        var name = host
        if Networking.isAny(host) {
            name = settings.list(.announce).first
                ?? Networking.hostAddresses().first?.description ?? "127.0.0.1"
        }
        let authority = "\(Networking.urlHost(name)):\(port)"
        url = "\(tls == nil ? "http" : "https")://\(authority)/"
        nodeURL = settings.text(.nodeURL) ?? "\(tls == nil ? "ws" : "wss")://\(authority)/ws"
        followsHost = settings.text(.nodeURL) == nil && roles.isSuperset(of: [.gateway, .router])
    }

    private static func certificate(
        _ settings: Settings, host: String
    ) throws -> CertificateFiles? {
        let pair = (settings.text(.tlsCert), settings.text(.tlsKey))
        switch pair {
        case (let certificate?, let key?):
            return CertificateFiles(certificate: certificate, key: key)
        case (nil, nil):
            if !settings.flag(.selfSigned) { return nil }
            var names = [host] + settings.list(.announce)
            names += Networking.hostAddresses().map(\.description)
            names += ["localhost", "127.0.0.1", "::1", ProcessInfo.processInfo.hostName]
            var seen = Set<String>()
            let unique = names.filter { !Networking.isAny($0) && seen.insert($0).inserted }
            let folder = (settings.text(.data) ?? "data") + "/tls"
            return try SelfSigned.loadOrCreate(folder: folder, names: unique)
        default:
            throw SettingsError(description: "--tls-cert and --tls-key belong together")
        }
    }
}
