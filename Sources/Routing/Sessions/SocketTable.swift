// The open sockets of a node: names, a count for each address, deadlines.
// SPDX-License-Identifier: Apache-2.0

import Signaling
import Synchronization

/// Owner: `RoutingNode`. State: about 100 bytes a socket.
final class SocketTable: Sendable {
    private struct Entry {
        var socket: any SignalSocket
        var address: String
        /// When the first packet must have come; nil once it has.
        var deadline: Duration?
    }

    private struct State {
        var entries: [SocketID: Entry] = [:]
        var perAddress: [String: Int] = [:]
        var next: UInt64 = 1
        var isClosed = false
    }

    private let state = Mutex(State())
    private let perAddressMax: Int
    private let socketsMax: Int

    init(perAddressMax: Int, socketsMax: Int) {
        self.perAddressMax = perAddressMax
        self.socketsMax = socketsMax
    }

    var count: Int { state.withLock { $0.entries.count } }

    /// Whether one more socket may come from `address`.
    func hasRoom(for address: String) -> Bool {
        state.withLock {
            !$0.isClosed && $0.entries.count < socketsMax
                && $0.perAddress[address, default: 0] < perAddressMax
        }
    }

    /// nil where `hasRoom` says no.
    func add(_ socket: any SignalSocket, from address: String, deadline: Duration) -> SocketID? {
        state.withLock { state in
            guard !state.isClosed, state.entries.count < socketsMax,
                state.perAddress[address, default: 0] < perAddressMax
            else { return nil }
            let id = SocketID(state.next)
            state.next += 1
            state.entries[id] = Entry(socket: socket, address: address, deadline: deadline)
            state.perAddress[address, default: 0] += 1
            return id
        }
    }

    /// The first packet has come.
    func heard(_ id: SocketID) {
        state.withLock { $0.entries[id]?.deadline = nil }
    }

    func remove(_ id: SocketID) {
        state.withLock { state in
            guard let entry = state.entries.removeValue(forKey: id) else { return }
            let left = state.perAddress[entry.address, default: 1] - 1
            state.perAddress[entry.address] = left > 0 ? left : nil
        }
    }

    /// Sockets from which nothing has come until their deadline; each is returned once.
    func takeSilent(now: Duration) -> [any SignalSocket] {
        state.withLock { state in
            var silent: [any SignalSocket] = []
            for (id, entry) in state.entries {
                guard let deadline = entry.deadline, deadline <= now else { continue }
                state.entries[id]?.deadline = nil
                silent.append(entry.socket)
            }
            return silent
        }
    }

    /// Lets nobody in any more and returns who is there.
    func close() -> [any SignalSocket] {
        state.withLock { state in
            state.isClosed = true
            return state.entries.values.map(\.socket)
        }
    }
}
