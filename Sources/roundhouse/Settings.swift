// The effective settings: layers merged, values checked, origin remembered.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import Yams

/// Why the configuration cannot be used; the text names the setting and says what to do.
struct SettingsError: Error, CustomStringConvertible, Equatable {
    let description: String
}

/// The merged configuration: built-in defaults < YAML file < environment < flags.
struct Settings: Sendable {
    enum Origin: Sendable, Equatable, CustomStringConvertible {
        case builtIn
        case file(String)
        case environment
        case flag

        var description: String {
            switch self {
            case .builtIn: "default"
            case .file(let path): path
            case .environment: "environment"
            case .flag: "flag"
            }
        }
    }

    struct Value: Sendable, Equatable {
        /// More than one element only for lists.
        let texts: [String]
        let origin: Origin
    }

    private(set) var values: [SettingKey: Value] = [:]

    /// Merges the layers.
    ///
    /// - Parameters:
    ///   - file: path of a YAML file, or `nil`; a file that was named must exist.
    ///   - environment: variables; those that begin with `ROUNDHOUSE_` must all be known.
    ///   - flags: what the command line said.
    init(
        file: String?, environment: [String: String], flags: [SettingKey: [String]]
    ) throws(SettingsError) {
        for key in SettingKey.allCases {
            guard let fallback = key.description.fallback else { continue }
            values[key] = Value(texts: [fallback], origin: .builtIn)
        }
        if let file {
            try merge(Self.read(file), origin: .file(file)) { "'\($0.rawValue)' in \(file)" }
        }
        let fromEnvironment = try Self.read(environment)
        try merge(fromEnvironment, origin: .environment) { $0.environmentName }
        try merge(flags, origin: .flag) { $0.flag }
    }

    func text(_ key: SettingKey) -> String? { values[key]?.texts.first }
    func list(_ key: SettingKey) -> [String] { values[key]?.texts ?? [] }
    func flag(_ key: SettingKey) -> Bool { text(key) == "true" }

    /// An integer or a number of seconds, checked when the layers were merged.
    func integer(_ key: SettingKey) -> Int { text(key).flatMap { Int($0) } ?? 0 }
    func duration(_ key: SettingKey) -> Duration { .seconds(integer(key)) }

    /// One line a setting: name, value, where it came from. Secrets are masked.
    func rendered() -> String {
        SettingKey.allCases.map { key in
            let value = values[key]
            let shown = value.map { $0.texts.joined(separator: ", ") } ?? "(worked out at start)"
            let text = key.description.isSecret && value != nil ? "(hidden)" : shown
            let name = key.rawValue.padding(toLength: 24, withPad: " ", startingAt: 0)
            return "\(name)\(text)  [\(value?.origin ?? .builtIn)]"
        }.joined(separator: "\n")
    }

    // MARK: Layers

    private mutating func merge(
        _ layer: [SettingKey: [String]], origin: Origin, name: (SettingKey) -> String
    ) throws(SettingsError) {
        for (key, texts) in layer {
            let checked = try Self.check(texts, for: key, called: name(key))
            values[key] = Value(texts: checked, origin: origin)
        }
    }

    private static func read(_ path: String) throws(SettingsError) -> [SettingKey: [String]] {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw SettingsError(description: "cannot read the configuration file \(path): \(error)")
        }
        let node: Node?
        do { node = try Yams.compose(yaml: text) } catch {
            throw SettingsError(description: "\(path) is not valid YAML: \(error)")
        }
        guard let node else { return [:] }
        guard let mapping = node.mapping else {
            throw SettingsError(description: "\(path) must be a mapping of settings to values")
        }
        var layer: [SettingKey: [String]] = [:]
        for (keyNode, valueNode) in mapping {
            let name = keyNode.scalar?.string ?? "?"
            guard let key = SettingKey(rawValue: name) else {
                throw SettingsError(
                    description: "unknown setting '\(name)' in \(path)\(hint(name))")
            }
            layer[key] = try scalars(of: valueNode, name: name, path: path)
        }
        return layer
    }

    private static func scalars(
        of node: Node, name: String, path: String
    ) throws(SettingsError) -> [String] {
        if let scalar = node.scalar { return [scalar.string] }
        if let sequence = node.sequence {
            let texts = sequence.compactMap { $0.scalar?.string }
            if texts.count == sequence.count { return texts }
        }
        throw SettingsError(description: "'\(name)' in \(path) must be a value or a list of values")
    }

    /// Read elsewhere: the file's place; the packet path's ciphers ("openssl" or "ipsec-mb", the
    /// fastest by default); the build.
    private static let notSettings: Set<String> = [
        "ROUNDHOUSE_CONFIG", "ROUNDHOUSE_CIPHER", "ROUNDHOUSE_TARGETS",
    ]

    private static func read(
        _ environment: [String: String]
    ) throws(SettingsError) -> [SettingKey: [String]] {
        let prefix = "ROUNDHOUSE_"
        let keys = Dictionary(
            uniqueKeysWithValues: SettingKey.allCases.map { ($0.environmentName, $0) })
        var layer: [SettingKey: [String]] = [:]
        for (name, value) in environment where name.hasPrefix(prefix) {
            if notSettings.contains(name) { continue }
            guard let key = keys[name] else {
                let lower = name.dropFirst(prefix.count).lowercased().replacing("_", with: "-")
                throw SettingsError(
                    description: "unknown setting in the environment: \(name)\(hint(lower))")
            }
            if case .list = key.description.kind {
                layer[key] = value.split(separator: ",").map {
                    $0.trimmingCharacters(in: .whitespaces)
                }
            } else {
                layer[key] = [value]
            }
        }
        return layer
    }

    /// A nearby known name, as a question, or nothing.
    private static func hint(_ name: String) -> String {
        let near = SettingKey.allCases.first {
            $0.rawValue.hasPrefix(name.prefix(4)) || name.hasPrefix($0.rawValue.prefix(4))
        }
        return near.map { "; did you mean '\($0.rawValue)'?" } ?? ""
    }

    // MARK: Values

    private static func check(
        _ texts: [String], for key: SettingKey, called name: String
    ) throws(SettingsError) -> [String] {
        let kind = key.description.kind
        if case .list = kind {
            if texts.contains(where: \.isEmpty) {
                throw SettingsError(description: "\(name) has an empty element")
            }
            return texts
        }
        guard texts.count == 1, let text = texts.first, !text.isEmpty else {
            throw SettingsError(description: "\(name) needs exactly one value")
        }
        return [try check(text, kind: kind, called: name)]
    }

    private static func check(
        _ text: String, kind: SettingKey.Kind, called name: String
    ) throws(SettingsError) -> String {
        switch kind {
        case .text, .path, .list:
            return text
        case .flag:
            let words = ["true": "true", "yes": "true", "1": "true"]
                .merging(["false": "false", "no": "false", "0": "false"]) { first, _ in first }
            guard let word = words[text.lowercased()] else {
                throw SettingsError(description: "\(name) must be true or false, not '\(text)'")
            }
            return word
        case .integer(let range), .seconds(let range):
            guard let number = Int(text), range.contains(number) else {
                throw SettingsError(
                    description: "\(name) must be a whole number from \(range.lowerBound) to "
                        + "\(range.upperBound), not '\(text)'")
            }
            return String(number)
        case .choice(let words):
            guard words.contains(text) else {
                throw SettingsError(
                    description: "\(name) must be one of \(words.joined(separator: ", ")), "
                        + "not '\(text)'")
            }
            return text
        }
    }
}
