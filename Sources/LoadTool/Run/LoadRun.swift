// The course of a run: prepare, ramp, settle, measure, leave, report.
// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Glibc
import MediaPlane
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Ends a run early; any thread, any number of times.
public final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    public func stop() { flag.store(true, ordering: .relaxed) }
    package var isStopped: Bool { flag.load(ordering: .relaxed) }

    /// Waits in small steps; false when stopped or cancelled.
    package func pause(_ seconds: Double) async -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        while !isStopped, !Task.isCancelled {
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else { return true }
            try? await Task.sleep(for: min(left, .milliseconds(100)))
        }
        return false
    }
}

/// Why there is no result at all.
public struct LoadRunError: Error, CustomStringConvertible {
    public let description: String
}

/// What a run gives back.
public struct LoadResult: Sendable {
    /// 0: fine, 1: a threshold was exceeded, 3: the result is not valid.
    public let status: Int32
    /// For a terminal.
    public let text: String
    public let json: String
    public let html: String
}

/// One load test.
public struct LoadRun: Sendable {
    private static let connections = 64
    private static let reachTimeout = TimeAmount.seconds(3)

    private let options: LoadOptions
    private let console: LoadConsole
    private let stop: StopFlag

    public init(_ options: LoadOptions, console: LoadConsole, stop: StopFlag) {
        self.options = options
        self.console = console
        self.stop = stop
    }

    /// Runs. Throws `LoadOptionsError` for options that make no run and `LoadRunError` when there
    /// is nothing to report.
    public func run() async throws -> LoadResult {
        try options.validate()
        Self.raiseDescriptorLimit()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: options.threads)
        do { try await reach(group) } catch {
            try? await group.shutdownGracefully()
            throw LoadRunError(description: explain(error))
        }
        var configuration = clientConfiguration()
        // A crowd waits for its turn; that is part of the join, not its failure.
        configuration.timeout.connect = HttpApi.timeout
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connections
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(group), configuration: configuration)
        let outcome: Result<LoadReport, any Error>
        do { outcome = .success(try await measure(group, client)) } catch {
            outcome = .failure(error)
        }
        console.finish()
        try? await client.shutdown()
        try? await group.shutdownGracefully()
        switch outcome {
        case .success(let report):
            return LoadResult(
                status: report.status, text: TextReport(report).text,
                json: try report.json(), html: HtmlReport(report).text)
        case .failure(let error): throw LoadRunError(description: explain(error))
        }
    }

    private func clientConfiguration() -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        if options.isInsecure {
            configuration.tlsConfiguration = .makeClientConfiguration()
            configuration.tlsConfiguration?.certificateVerification = .none
        }
        return configuration
    }

    /// Fails soon when nobody is there: the crowd's client is patient.
    private func reach(_ group: any EventLoopGroup) async throws {
        guard options.dialect == .roundhouse else { return }
        var configuration = clientConfiguration()
        configuration.timeout.connect = Self.reachTimeout
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(group), configuration: configuration)
        let outcome: Result<Void, any Error>
        do {
            let request = HTTPClientRequest(url: options.url)
            _ = try await client.execute(request, timeout: Self.reachTimeout)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try? await client.shutdown()
        try outcome.get()
    }

    /// Two sockets a participant: as many as the system lets this process have.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Refused: sockets that are too many say so themselves.
        _ = setrlimit(kind, &limit)
    }

    private func explain(_ error: any Error) -> String {
        switch error {
        case let failure as LoadFailure: failure.description
        case let refusal as HttpRefusal: "\(options.url): \(refusal)"
        default:
            "\(options.url) cannot be used: \(error)"
                + ("\(error)".contains("CERTIFICATE_VERIFY_FAILED")
                    ? "; --insecure takes any certificate" : "")
        }
    }

    private func measure(
        _ group: any EventLoopGroup, _ client: HTTPClient
    ) async throws -> LoadReport {
        let media = try await MediaLibrary(options).load { console.show($0) }
        let loops = try PacketLoops(
            threads: options.threads, loss: options.loss, seed: options.seed)
        defer { loops.stop() }
        let context = LoadContext(
            options: options, loops: loops, certificate: try DtlsCertificate(days: 7),
            group: group, media: media, losses: LossLog())
        let dialect = try makeDialect(context, client)
        let course = LoadCourse(context, dialect, console: console, stop: stop)
        let outcome: Result<RunRecord, any Error>
        do {
            try await dialect.prepare { console.show($0) }
            outcome = .success(try await course.run())
        } catch {
            outcome = .failure(error)
        }
        await dialect.finish()
        return ReportBuilder(options, try outcome.get()).build()
    }

    private func makeDialect(
        _ context: LoadContext, _ client: HTTPClient
    ) throws -> any MeetingDialect {
        switch options.dialect {
        case .janus: try JanusDialect(context)
        case .roundhouse:
            RoundhouseDialect(
                context, api: HttpApi(url: options.url, client: client), tls: try socketTLS())
        }
    }

    private func socketTLS() throws -> NIOSSLContext? {
        guard LoadURL(options.url)?.isTLS == true else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        if options.isInsecure { configuration.certificateVerification = .none }
        return try NIOSSLContext(configuration: configuration)
    }
}
