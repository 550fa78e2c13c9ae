// Roundhouse's own protocol: accounts, meetings, WebSocket. SPDX-License-Identifier: Apache-2.0

import NIOCore
package import NIOSSL
import Synchronization

/// Where the participants of one meeting learn its id.
struct MeetingDesk: Sendable {
    private let promise: EventLoopPromise<String>

    init(_ eventLoop: any EventLoop) { promise = eventLoop.makePromise() }

    func opened(_ id: String) { promise.succeed(id) }

    /// The host could not create it. Harmless once it was opened.
    func failed() { promise.fail(Self.noHost) }

    /// A consequence of what happened to the host.
    static let noHost = LoadFailure("the host did not create the meeting")

    func id() async throws -> String { try await promise.futureResult.get() }
}

package final class RoundhouseDialect: MeetingDialect {
    private let context: LoadContext
    private let api: HttpApi
    private let tls: NIOSSLContext?
    private let accounts: Accounts
    private let taken = Mutex<[LoadAccount]>([])
    private let desks: [MeetingDesk]

    package init(_ context: LoadContext, api: HttpApi, tls: NIOSSLContext?) {
        self.context = context
        self.api = api
        self.tls = tls
        accounts = Accounts(api, file: context.options.accountsFile)
        desks = (0..<context.options.meetings).map { _ in MeetingDesk(context.group.next()) }
    }

    deinit { for desk in desks { desk.failed() } }

    /// An account for each place in a meeting; meetings share them.
    package func prepare(progress: @escaping @Sendable (String) -> Void) async throws {
        let count = context.options.participants
        let made = try await accounts.take(count) { number in
            progress("accounts: \(number) of \(count)")
        }
        taken.withLock { $0 = made }
    }

    package func makeParticipant(_ place: Place) -> any SyntheticParticipant {
        let everyone = taken.withLock { $0 }
        var options = SocketOptions()
        options.tls = tls
        let identity = RoundhouseParticipant.Identity(
            account: everyone[place.index], everyone: everyone.map(\.accountID),
            desk: desks[place.meeting])
        return RoundhouseParticipant(
            place, identity, context, api: api, socketOptions: options)
    }

    package func finish() async {
        for desk in desks { desk.failed() }
        await accounts.giveBack(taken.withLock { $0 })
    }
}
