// One JSON object a line on standard error.
// SPDX-License-Identifier: Apache-2.0
import Foundation
public import Logging

/// Writes log lines as JSON: time, level, logger, message and metadata.
public struct JSONLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String

    public init(label: String, level: Logger.Level) {
        self.label = label
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let given = event.metadata { fields.merge(given) { $1 } }
        if let error = event.error { fields["error"] = .string("\(error)") }
        let line = Line(
            time: Date.now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            level: event.level.rawValue, logger: label, message: event.message.description,
            fields: fields.mapValues(\.description))
        guard var data = try? JSONEncoder.sorted.encode(line) else { return }
        data.append(0x0A)
        try? FileHandle.standardError.write(contentsOf: data)
    }

    private struct Line: Encodable {
        let time: String
        let level: String
        let logger: String
        let message: String
        let fields: [String: String]
    }
}
