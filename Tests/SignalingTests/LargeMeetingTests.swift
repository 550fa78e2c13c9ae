// The rules of a meeting of a thousand: what an event costs, and how many packets it makes.
// SPDX-License-Identifier: Apache-2.0

import Signaling
import Testing

@Suite(.serialized) struct LargeMeetingTests {
    private static let feeds = 49

    /// Packets that actions send, and the time that deciding and encoding took.
    private struct Cost {
        var packets = 0
        var encoded = 0
        var bytes = 0
        var time = Duration.zero
        var longest = Duration.zero

        mutating func take(_ work: () -> [MeetingAction]) {
            let start = ContinuousClock.now
            for action in work() {
                switch action {
                case .send(let packet, _): count(packet, 1)
                case .relay(let packet, let sockets): count(packet, sockets.count)
                default: break
                }
            }
            let spent = ContinuousClock.now - start
            time += spent
            longest = max(longest, spent)
        }

        private mutating func count(_ packet: Packet, _ receivers: Int) {
            packets += receivers
            encoded += 1
            bytes += packet.text.utf8.count * receivers
        }
    }

    private static func report(_ what: String, _ cost: Cost) {
        print(
            "\(what): \(cost.time), longest step \(cost.longest), \(cost.encoded) encoded, "
                + "\(cost.packets) sent, \(cost.bytes >> 20) MiB")
    }

    private static func join(_ stage: inout Stage, _ members: Int) -> Cost {
        var cost = Cost()
        for member in 2...UInt64(members) {
            cost.take { stage.join(member, "account-of-member-number-\(member)") }
            cost.take {
                stage.negotiate(
                    member, feeds: [.microphone, .camera], video: feeds, audio: feeds + 1)
            }
            cost.take { stage.meeting.tick(now: .milliseconds(10) * member) }
        }
        return cost
    }

    private static func subscribe(_ stage: inout Stage, _ members: Int, _ offset: Int) -> Cost {
        var cost = Cost()
        for member in 2...members {
            func others(_ offset: Int) -> [FeedRequest] {
                (0..<feeds).map { feed in
                    let other = 2 + (member - 2 + offset + feed) % (members - 1)
                    return FeedRequest(
                        accountID: "account-of-member-number-\(other)", bitrate: 150_000)
                }
            }
            let body: PacketBody = offset == 1
                ? .subscribe(others(1))
                : .unsubscribeSubscribe(
                    unsubscribe: others(1), subscribe: others(offset))
            cost.take { stage.say(UInt64(member), body) }
        }
        return cost
    }

    @Test func everyStepOfAMeetingOfAThousandIsShort() {
        let members = 1000
        var stage = Stage(["host"])
        Self.report("join and offer", Self.join(&stage, members))
        let subscribed = Self.subscribe(&stage, members, 1)
        Self.report("subscribe", subscribed)
        Self.report("subscribe to 49 others", Self.subscribe(&stage, members, 60))
        var layers = Cost()
        for member in 2...UInt64(members) {
            let peer = stage.peer(member)
            stage.meeting.slotLayer(peer, mid: "v0", layer: "q", bitrate: 150_000)
            let measured = [Feed.Layer(bitrate: 150_000)]
            layers.take { stage.meeting.feedLayers(peer, .camera, measured) }
        }
        // One SLOTS for every peer, and of FEEDS no more than a second's share.
        for second in 30..<40 { layers.take { stage.meeting.tick(now: .seconds(second)) } }
        Self.report("layers of all, told for 10 s", layers)
        #expect(layers.packets < 2 * members + 10 * 2100)
        var sound = Cost()
        for step in 0..<50 {
            let now = Duration.seconds(40) + .milliseconds(100 * step)
            let loud = (0..<5).map { stage.peer(UInt64(2 + (step / 10 * 100 + $0) % 900)) }
            sound.take {
                stage.meeting.audioLevels(loud.map { (peer: $0, level: 20) }, now: now)
            }
        }
        Self.report("5 s of five voices, others each second", sound)
        var leaving = Cost()
        for member in 2...UInt64(members) {
            leaving.take {
                stage.say(member, .leave(accountID: "account-of-member-number-\(member)"))
            }
            // A hundred in a second.
            guard member % 10 == 0 else { continue }
            leaving.take { stage.meeting.tick(now: .seconds(50) + .milliseconds(10) * member) }
        }
        Self.report("leave", leaving)
        #expect(stage.meeting.participantCount == 1)
    }
}
