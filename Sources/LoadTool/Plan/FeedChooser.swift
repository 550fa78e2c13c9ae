// Which feeds a participant subscribes to. SPDX-License-Identifier: Apache-2.0

package import Signaling

/// One thing that somebody publishes.
package struct FeedName: Hashable, Sendable {
    package var account: String
    package var source: FeedSource

    package init(_ account: String, _ source: FeedSource = .camera) {
        self.account = account
        self.source = source
    }
}

/// One change of subscriptions: what goes and what comes, to be sent in this order.
package struct FeedChange: Equatable, Sendable {
    package var unsubscribe: [FeedName] = []
    package var subscribe: [FeedName] = []
    /// The two lists share a feed: they go in two packets, since a feed that is in both lists of
    /// one UNSUB_SUB keeps its slot.
    package var isSplit: Bool { !Set(unsubscribe).isDisjoint(with: subscribe) }
    package var isEmpty: Bool { unsubscribe.isEmpty && subscribe.isEmpty }

    package init(unsubscribe: [FeedName] = [], subscribe: [FeedName] = []) {
        self.unsubscribe = unsubscribe
        self.subscribe = subscribe
    }
}

/// A window over the publishers of a meeting in the order in which they were seen, as pages of a
/// gallery. Owner: one participant.
package struct FeedChooser: Sendable {
    private let feedsMax: Int
    private var available: [FeedName] = []
    private var subscribed: [FeedName] = []
    /// Index in `available` of the window's begin.
    private var start = 0

    package init(feedsMax: Int) { self.feedsMax = feedsMax }

    package var wanted: [FeedName] { subscribed }
    package var availableCount: Int { available.count }
    /// How many feeds the participant will have once everything is there.
    package var target: Int { min(feedsMax, available.count) }

    /// A feed began or ceased to be published. A feed that ceased is gone without being
    /// unsubscribed.
    package mutating func set(_ feed: FeedName, isPublishing: Bool) {
        if isPublishing {
            if !available.contains(feed) { available.append(feed) }
        } else {
            available.removeAll { $0 == feed }
            subscribed.removeAll { $0 == feed }
        }
    }

    /// What is missing in the window.
    package mutating func fill() -> FeedChange {
        guard subscribed.count < target else { return FeedChange() }
        var change = FeedChange()
        for offset in available.indices where subscribed.count < target {
            let feed = available[(start + offset) % available.count]
            if !subscribed.contains(feed) {
                subscribed.append(feed)
                change.subscribe.append(feed)
            }
        }
        return change
    }

    /// Turns to the next page: every subscription is remapped. Without enough other feeds the
    /// same ones come in another order, so that each moves to another slot.
    package mutating func turn() -> FeedChange {
        guard !available.isEmpty, !subscribed.isEmpty else { return FeedChange() }
        let old = subscribed
        let step = available.count > feedsMax ? feedsMax : 1
        start = (start + step) % available.count
        subscribed = (0..<target).map { available[(start + $0) % available.count] }
        return FeedChange(unsubscribe: old, subscribe: subscribed)
    }
}
