// Chooses the routing node of a new meeting: power of two choices, weighted by capacity.
// SPDX-License-Identifier: Apache-2.0

/// A node as the choice sees it.
public struct NodeCandidate: Sendable, Equatable {
    public var id: String
    public var address: String
    /// Participants it is willing to carry.
    public var capacity: Int
    /// Meetings on it, with or without users.
    public var meetings: Int
    /// Users of each meeting that has some.
    public var usersByMeeting: [Int]
    /// What the node's latest beat said: share in use, 0 to 1, and participants.
    public var beatLoad: Double
    public var beatUsers: Int

    public init(id: String, address: String, capacity: Int) {
        self.id = id
        self.address = address
        self.capacity = capacity
        meetings = 0
        usersByMeeting = []
        beatLoad = 0
        beatUsers = 0
    }

    /// The node would refuse newcomers, as it said itself.
    public var isFull: Bool { beatLoad >= 1 || (capacity > 0 && beatUsers >= capacity) }
}

/// Counters that are minutes old make every instance send every meeting to the node that looks
/// idlest. Two random nodes and the better of them spread the meetings even so.
public enum Assignment {
    /// Users that a meeting is expected to get when it has none yet.
    static let expectedUsers = 4
    /// Size of the meetings for which a node's capacity is stated.
    static let typicalUsers = 10
    /// Feeds that a participant receives at most.
    static let feedsMax = 49

    /// Streams in and out that a meeting of this size costs.
    public static func cost(users: Int) -> Int { users + users * min(max(0, users - 1), feedsMax) }

    /// Share of the node that is used, about 0 to 1: the larger of what the counters and what the
    /// beat say.
    public static func utilisation(_ node: NodeCandidate) -> Double {
        let quiet = max(0, node.meetings - node.usersByMeeting.count)
        let counted = node.usersByMeeting.reduce(0) { $0 + cost(users: $1) }
            + quiet * cost(users: expectedUsers)
        let capacity = Double(max(1, node.capacity))
        let streams = capacity * Double(cost(users: typicalUsers) / typicalUsers)
        return max(Double(counted) / streams, node.beatLoad, Double(node.beatUsers) / capacity)
    }

    /// All nodes with room in the order in which they should be asked: each is the better of two
    /// that are drawn with a chance that grows with their capacity.
    public static func order(
        _ nodes: [NodeCandidate], using generator: inout some RandomNumberGenerator
    ) -> [NodeCandidate] {
        var rest = nodes.filter { $0.capacity > 0 && !$0.isFull }
        var ordered: [NodeCandidate] = []
        while !rest.isEmpty {
            let first = draw(rest, except: nil, using: &generator)
            var chosen = first
            if rest.count > 1 {
                let second = draw(rest, except: first, using: &generator)
                if utilisation(rest[second]) < utilisation(rest[first]) { chosen = second }
            }
            ordered.append(rest.remove(at: chosen))
        }
        return ordered
    }

    private static func draw(
        _ nodes: [NodeCandidate], except: Int?, using generator: inout some RandomNumberGenerator
    ) -> Int {
        let total = nodes.indices.reduce(0) { $0 + ($1 == except ? 0 : nodes[$1].capacity) }
        var ticket = Int.random(in: 0..<total, using: &generator)
        for index in nodes.indices where index != except {
            ticket -= nodes[index].capacity
            if ticket < 0 { return index }
        }
        return nodes.indices.last { $0 != except } ?? 0
    }
}
