// Which slot carries which feed, and since when one is waited for.
// SPDX-License-Identifier: Apache-2.0

package import Signaling

/// What the packet loop is to be told of a slot.
package enum SlotAction: Equatable, Sendable {
    /// Measure from `since` (monotonic nanoseconds) to the feed's first packet and frame.
    case mark(ssrc: UInt32, FeedName, since: UInt64)
    /// Silence is no fault.
    case rest(ssrc: UInt32)
}

/// The subscriptions of one participant. Which slot carries a feed is the node's choice and known
/// by SLOTS only, often after the first packets.
package struct FeedSlots: Sendable {
    private struct Slot {
        var mid: String
        var ssrc: UInt32
        /// By the newest SLOTS.
        var carried: FeedName?
    }

    private var chooser: FeedChooser
    private var slots: [Slot] = []
    /// Subscriptions that no SLOTS has shown yet, with the time of the packet.
    private var pending: [FeedName: UInt64] = [:]

    package init(feedsMax: Int) { chooser = FeedChooser(feedsMax: feedsMax) }

    package var state: FeedState {
        FeedState(wanted: chooser.target, bound: slots.count { $0.carried != nil })
    }

    package mutating func setSlots(_ all: [AnswerPlan.Slot]) {
        slots = all.filter { $0.plan.kind == .video }.map {
            Slot(mid: $0.mid, ssrc: $0.plan.ssrc)
        }
    }

    package mutating func set(_ feed: FeedName, isPublishing: Bool) {
        chooser.set(feed, isPublishing: isPublishing)
        if !isPublishing { pending[feed] = nil }
    }

    /// The subscriptions that are missing, to be sent now.
    package mutating func fill() -> FeedChange {
        slots.isEmpty ? FeedChange() : chooser.fill()
    }

    package mutating func turn() -> FeedChange { slots.isEmpty ? FeedChange() : chooser.turn() }

    /// A change goes out now (monotonic nanoseconds).
    package mutating func expect(_ change: FeedChange, now: UInt64) -> [SlotAction] {
        var actions: [SlotAction] = []
        let gone = Set(change.unsubscribe)
        for feed in gone { pending[feed] = nil }
        for index in slots.indices {
            guard let carried = slots[index].carried, gone.contains(carried) else { continue }
            slots[index].carried = nil
            actions.append(.rest(ssrc: slots[index].ssrc))
        }
        for feed in change.subscribe { pending[feed] = now }
        return actions
    }

    /// SLOTS came.
    package mutating func update(_ states: [SlotState]) -> [SlotAction] {
        var actions: [SlotAction] = []
        var byMid: [String: SlotState] = [:]
        for state in states { byMid[state.mid] = state }
        for index in slots.indices {
            guard let state = byMid[slots[index].mid] else { continue }
            let feed = state.source.flatMap {
                state.accountID.isEmpty ? nil : FeedName(state.accountID, $0)
            }
            slots[index].carried = feed
            guard let feed, let since = pending.removeValue(forKey: feed) else { continue }
            actions.append(.mark(ssrc: slots[index].ssrc, feed, since: since))
        }
        return actions
    }
}
