// `roundhouse load`: synthetic participants against a running system.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Dispatch
import Foundation
import LoadTool

/// Exit statuses beside those of a report.
enum LoadStatus {
    static let usage: Int32 = 2
    static let noRun: Int32 = 4
}

struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put synthetic participants on a running system and measure what comes through.",
        discussion: """
            Participants sign up, join by HTTP and WebSocket, connect by ICE and DTLS-SRTP, \
            publish and subscribe like real clients. After all joins and a moment to settle, \
            --duration seconds are measured. Ctrl-C ends early with a report.

            Exit status: 0 fine, 1 a threshold was exceeded (failed joins and missing \
            subscriptions are always one), 2 usage, 3 the result is not valid because the tool \
            itself was the bottleneck, 4 the test could not run.

            A thousand participants need file descriptors (ulimit -n) and, on the server, a \
            higher --sign-ins-per-address and --sockets-per-address than the defaults.
            """)

    @Option(help: "Base URL of the system.")
    var url = "http://127.0.0.1:8080"
    @Option(help: "What participants speak: roundhouse, or janus for a videoroom as a peer.")
    var dialect = DialectChoice.roundhouse.rawValue
    @Option(help: "Meetings.")
    var meetings = 1
    @Option(help: "Participants of each meeting.")
    var participants = 4
    @Option(help: "Video feeds that a participant subscribes to, at most.")
    var feeds = 49
    @Option(help: "How many of a meeting's participants publish; default: all.")
    var publishers: Int?
    @Option(help: "What a publisher publishes: a list of camera, microphone, screen.")
    var publish: String?
    @Option(
        help: ArgumentHelp(
            "gallery, stage (shaped packets), synthetic (with --video-shape), vp8, vp9 (encoded "
                + "before the run) or file:PATH[,PATH] (IVF, Ogg Opus)."))
    var media = "gallery"
    @Option(
        help: ArgumentHelp(
            "Pictures a second x packets a picture x bytes of a packet, as 15x3x300-700.",
            valueName: "FxPxMIN-MAX"))
    var videoShape: String?
    @Option(help: "Simulcast encodings of a camera.")
    var layers = 1
    @Option(help: "The most that a subscription asks for, bit/s.")
    var feedBitrate = 4_000_000
    @Option(help: "Remap all subscriptions each so many seconds.")
    var churn: Double?
    @Option(help: "Share of datagrams dropped on purpose in each direction, 0 to 0.5.")
    var loss = 0.0
    @Option(help: "Joins a second.")
    var ramp = 20.0
    @Option(help: "Seconds that are measured.")
    var duration = 10.0
    @Option(help: "Seconds to wait for every subscription's first frame, at most.")
    var settle = 10.0
    @Option(help: "Packets that are decrypted and looked into: none, all or 1/N.")
    var decrypt = "1/16"
    @Option(help: "Packet threads.")
    var threads = 1
    @Flag(help: "Take any certificate.")
    var insecure = false
    @Option(help: "Keep accounts in this file from run to run instead of deleting them.")
    var accounts: String?
    @Option(help: "Write the result as JSON; - is standard output.")
    var json: String?
    @Option(help: "Write the result as a page with plots.")
    var html: String?
    @Option(help: "Fail above this loss, a share of 1.")
    var maxLoss: Double?
    @Option(help: "Fail when the 99th percentile of the one-way delay is above this.")
    var maxP99Ms: Double?
    @Option(help: "The server's process, if it is on this machine and not found by its port.")
    var serverPid: Int32?
    @Option(help: "The same seed makes the same choices.")
    var seed: UInt64 = 1
    @Flag(help: "No progress on standard error.")
    var quiet = false

    func run() async throws {
        let options: LoadOptions
        do { options = try made() } catch let error as LoadOptionsError {
            Self.say("Error: \(error)\nSee 'roundhouse load --help'.")
            throw ExitCode(LoadStatus.usage)
        }
        let console = LoadConsole(isSilent: quiet)
        let stop = StopFlag()
        let signals = Self.stopping(stop)
        defer { for signal in signals { signal.cancel() } }
        let result: LoadResult
        do {
            result = try await LoadRun(options, console: console, stop: stop).run()
            try Self.write(result, options)
        } catch {
            Self.say("roundhouse load: \(error)")
            throw ExitCode(LoadStatus.noRun)
        }
        if options.jsonFile != "-" { print(result.text, terminator: "") }
        throw ExitCode(result.status)
    }

    private func made() throws -> LoadOptions {
        var options = LoadOptions()
        options.url = url
        guard let speaks = DialectChoice(rawValue: dialect) else {
            throw LoadOptionsError("--dialect must be roundhouse or janus, not '\(dialect)'")
        }
        options.dialect = speaks
        options.meetings = meetings
        options.participants = participants
        options.feeds = feeds
        options.publishers = publishers
        options.media = try chosenMedia()
        let usual = media == "stage" ? "camera" : "camera,microphone"
        options.sources = (publish ?? usual).split(separator: ",").map(String.init)
        options.layers = layers
        options.feedBitrate = feedBitrate
        options.churn = churn
        options.loss = loss
        options.ramp = ramp
        options.duration = duration
        options.settle = settle
        guard let share = DecryptShare(decrypt) else {
            throw LoadOptionsError("--decrypt must be none, all or 1/N, not '\(decrypt)'")
        }
        options.decrypt = share
        options.threads = threads
        options.isInsecure = insecure
        options.accountsFile = accounts
        options.jsonFile = json
        options.htmlFile = html
        options.maxLoss = maxLoss
        options.maxP99Milliseconds = maxP99Ms
        options.serverPID = serverPid
        options.seed = seed
        try options.validate()
        return options
    }

    private func chosenMedia() throws -> MediaChoice {
        let choice = try MediaChoice(media)
        guard let videoShape else { return choice }
        guard let shape = VideoShape(videoShape), case .synthetic = choice else {
            throw LoadOptionsError(
                "--video-shape is as 15x3x300-700 (64 to 1180 bytes) and goes with synthetic "
                    + "media, not '\(videoShape)'")
        }
        return .synthetic(shape)
    }

    /// Ctrl-C and SIGTERM end the run early; a second one ends the process.
    private static func stopping(_ stop: StopFlag) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                stop.stop()
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
    }

    private static func write(_ result: LoadResult, _ options: LoadOptions) throws {
        for (path, text) in [(options.jsonFile, result.json), (options.htmlFile, result.html)] {
            guard let path else { continue }
            if path == "-" {
                print(text, terminator: "")
            } else {
                try text.write(toFile: path, atomically: true, encoding: .utf8)
            }
        }
    }

    private static func say(_ text: String) {
        // Without a standard error there is nobody to tell.
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
