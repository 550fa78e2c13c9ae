// The HTTP server of a process.
// SPDX-License-Identifier: Apache-2.0
import Foundation
public import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOSSL
public import ServiceLifecycle

/// Where and how to listen.
public struct HTTPServiceConfiguration: Sendable {
    /// An IP address or host name.
    public var host: String
    /// 0 takes any free port.
    public var port: Int
    /// Nil for plain HTTP.
    public var tls: CertificateFiles?
    public var webSocket = WebSocketServerLimits()
    /// Time without a request after which a connection is closed.
    public var idleTimeout: Duration = .seconds(75)

    public init(host: String, port: Int, tls: CertificateFiles? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    /// Plain HTTP is only for the machine itself: browsers give cameras to secure pages alone,
    /// and tokens must not travel in clear text.
    public var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

/// Why the server cannot start.
public struct HTTPServiceError: Error, CustomStringConvertible, Sendable {
    public let description: String
}

/// Serves a router until graceful shutdown.
public struct HTTPService: Service {
    private let application: Application<RouterResponder<HTTPContext>>

    /// - Parameter onReady: called with the port once the server listens.
    public init(
        _ configuration: HTTPServiceConfiguration, router: Router<HTTPContext>, logger: Logger,
        onReady: @escaping @Sendable (Int) async -> Void
    ) throws {
        let tls = try configuration.tls.map(Self.context)
        let builder = HTTPServerBuilder { responder in
            ServiceChannel(
                responder: responder, limits: configuration.webSocket,
                idleTimeout: configuration.idleTimeout, tls: tls)
        }
        application = Application(
            router: router, server: builder,
            configuration: .init(
                address: .hostname(configuration.host, port: configuration.port), backlog: 1024),
            onServerRunning: { channel in await onReady(channel.localAddress?.port ?? 0) },
            logger: logger)
    }

    public func run() async throws { try await application.run() }

    private static func context(_ files: CertificateFiles) throws -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
            guard !chain.isEmpty else {
                throw HTTPServiceError(description: "\(files.certificate) holds no certificate")
            }
            let key = try NIOSSLPrivateKey(file: files.key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch let error as HTTPServiceError {
            throw error
        } catch {
            throw HTTPServiceError(
                description: "cannot use certificate \(files.certificate) "
                    + "with key \(files.key): \(error)")
        }
    }
}
