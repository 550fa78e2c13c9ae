// The command line: `roundhouse up` and one command a role.
// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

@main
struct Roundhouse: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roundhouse",
        abstract: "Video conferencing around a fast media routing node.",
        discussion: """
            Settings come from built-in defaults, then a YAML file (--config), then the \
            environment (ROUNDHOUSE_PORT and so on), then flags. 'roundhouse config' shows \
            what is in effect.
            """,
        subcommands: [
            Up.self, GatewayRole.self, AccountRole.self, MeetingRole.self, RouterRole.self,
            Config.self, DoctorCommand.self, Load.self,
        ])

    /// As usual, but `load` has exit statuses of its own: scripts tell by them what happened.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            let isLoad = CommandLine.arguments.dropFirst().first == Load._commandName
            if isLoad, exitCode(for: error) == .validationFailure {
                let text = fullMessage(for: error) + "\n"
                try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
                Foundation.exit(LoadStatus.usage)
            }
            exit(withError: error)
        }
    }
}

/// What all role commands do: read the settings, then run until a signal ends the process.
protocol RoleCommand: AsyncParsableCommand {
    var options: SettingOptions { get }
    static var roles: Set<Role> { get }
}

extension RoleCommand {
    func run() async throws {
        let settings: Settings
        do { settings = try options.settings() } catch {
            throw ValidationError(error.description)
        }
        try await RoleRunner(settings: settings, roles: Self.roles).run()
    }
}

/// A part of the system that a process can run.
enum Role: String, CaseIterable, Sendable {
    case gateway, account, meeting, router
}

struct Up: RoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run everything in one process on embedded stores.")
    static let roles = Set(Role.allCases)
    @OptionGroup var options: SettingOptions
}

struct GatewayRole: RoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Run the entry point: routes by path, serves the client.")
    static let roles: Set<Role> = [.gateway]
    @OptionGroup var options: SettingOptions
}

struct AccountRole: RoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "account", abstract: "Run the account service.")
    static let roles: Set<Role> = [.account]
    @OptionGroup var options: SettingOptions
}

struct MeetingRole: RoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "meeting", abstract: "Run the meeting service.")
    static let roles: Set<Role> = [.meeting]
    @OptionGroup var options: SettingOptions
}

struct RouterRole: RoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "router", abstract: "Run a media routing node.")
    static let roles: Set<Role> = [.router]
    @OptionGroup var options: SettingOptions
}

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the settings in effect and where each came from; secrets are masked.")
    @OptionGroup var options: SettingOptions

    func run() throws {
        do { print(try options.settings().rendered()) } catch {
            throw ValidationError(error.description)
        }
    }
}
