// Packets: written and read, refused with words a person understands.
// SPDX-License-Identifier: Apache-2.0
import Signaling
import Testing

/// One packet of each kind, with every member.
private let samples: [PacketBody] = [
    .initiate(host: "a", ticket: "t"),
    .join(Join(accountID: "a", ticket: "t")),
    .join(Join(accountID: "a", name: "Anna", isWaiting: true)),
    .joinDenied(reason: "ended"), .joinDenied(reason: nil), .error(message: "no \"such\" \u{1}"),
    .meetingUsers(
        MeetingUsers(
            users: ["a", "b"], session: "s", host: "a", names: ["a": "Ännchen 🎩"],
            isLocked: true)),
    .leave(accountID: "a"), .end,
    .subscribe([FeedRequest(accountID: "a", bitrate: 5), FeedRequest(accountID: "b", bitrate: 0)]),
    .unsubscribe([FeedRequest(accountID: "a", bitrate: 5)]),
    .unsubscribeSubscribe(
        unsubscribe: [FeedRequest(accountID: "a", bitrate: 0)],
        subscribe: [FeedRequest(accountID: "b", bitrate: 9, source: .screen)]),
    .recordJoin(ticket: "t"), .offer(Offer(sdp: "v=0\r\n", sources: ["0": .microphone])),
    .answer(sdp: "v=0\r\n"),
    .feeds(
        accountID: "a",
        feeds: [
            Feed(
                source: .camera, codec: "VP8",
                layers: [.init(width: 1, height: 2, fps: 3, bitrate: 4)], isMuted: true)
        ]),
    .slots([
        SlotState(mid: "4", accountID: "a", source: .camera, layer: "h", bitrate: 7),
        SlotState(mid: "5"),
    ]),
    .speakers([SpeakerLevel(accountID: "a", level: 12)]),
    .mute(Mute(accountID: "a", kind: .video, isMuted: true, source: .screen)),
    .kick(accountID: "a"), .lock(Lock(isLocked: true, hasWaitingRoom: true)),
    .admit(accountID: "a"), .deny(accountID: "a"), .hand(Hand(accountID: "a", isRaised: true)),
    .chat(Chat(accountID: "a", to: "b", text: "hello\nworld")),
    .reaction(Reaction(accountID: "a", reaction: "👏")),
    .quality(
        Quality(
            downlink: 1_000_000, loss: 0.25,
            held: [.init(accountID: "a", source: .camera, wanted: 9, given: 3, reason: "r")])),
    .resume(session: "s"), .move(server: "wss://b/ws", ticket: "t"),
]

/// A refused text and a part of what is said about it.
private let refused: [(text: String, reason: String)] = [
    (#"{"meeting_id":"m","content_type":"NOPE"}"#, "unknown"),
    (#"{"meeting_id":"m"}"#, "content_type is missing"),
    (#"{"content_type":"END"}"#, "meeting_id is missing"),
    (#"{"meeting_id":7,"content_type":"END"}"#, "meeting_id must be a string"),
    (#"{"meeting_id":"m","content_type":"JOIN"}"#, "account_id is missing"),
    (#"{"meeting_id":"m","content_type":"JOIN","account_id":null}"#, "account_id must be"),
    (#"{"meeting_id":"m","content_type":"INIT"}"#, "host is missing"),
    (
        #"{"meeting_id":"m","content_type":"SUBSCRIBE","num_actions":2,"subscriptions":"#
            + #"[{"account_id":"a","bitrate":1}]}"#, "num_actions is 2, but 1"
    ),
    (
        #"{"meeting_id":"m","content_type":"SUBSCRIBE","num_actions":1,"subscriptions":"#
            + #"[{"account_id":"a"}]}"#, "bitrate is missing"
    ),
    (
        #"{"meeting_id":"m","content_type":"SUBSCRIBE","num_actions":1,"subscriptions":"#
            + #"[{"account_id":"a","bitrate":-1}]}"#, "bitrate must be from 0"
    ),
    (
        #"{"meeting_id":"m","content_type":"SUBSCRIBE","num_actions":2,"subscriptions":"#
            + #"[{"account_id":"a","bitrate":1},{"account_id":"a","bitrate":1}]}"#, "listed twice"
    ),
    (#"{"meeting_id":"m","content_type":"UNSUBSCRIBE","num_actions":1}"#, "array"),
    (
        #"{"meeting_id":"m","content_type":"UNSUB_SUB","num_actions":1,"unsubscribe":[]}"#,
        "subscribe is missing"
    ),
    (
        #"{"meeting_id":"m","content_type":"MUTE","account_id":"a","kind":"smell","muted":true}"#,
        "one of"
    ),
    (
        #"{"meeting_id":"m","content_type":"OFFER","sdp":"v=0","sources":{"1":"tv"}}"#,
        "sources.1"
    ),
]

@Suite struct PacketTests {
    @Test(arguments: samples)
    func whatIsWrittenIsReadBack(body: PacketBody) throws {
        let packet = Packet("meeting", body)
        let back = try Packet.decode(packet.text)
        #expect(back.body.contentType == body.contentType)
        if case .unsubscribe = body { return } // the bitrate of an unsubscription is not kept
        #expect(back == packet)
    }

    @Test func everyKindHasASample() {
        let covered = Set(samples.map(\.contentType)).union(["TRANSPORT"])
        #expect(covered == Set(Packet.contentTypes))
    }

    @Test func unsubscribeIsReadInBothForms() throws {
        let form = #"{"meeting_id":"m","content_type":"UNSUBSCRIBE",%}"#
        let actions = #"[{"account_id":"a","bitrate":100}]"#
        let texts = [
            #""num_actions":"# + actions,
            #""num_actions":1,"subscriptions":"# + actions,
            #""subscriptions":"# + actions,
        ]
        for text in texts {
            let packet = try Packet.decode(form.replacing("%", with: text))
            guard case .unsubscribe(let requests) = packet.body else {
                Issue.record("read as \(packet.body)")
                continue
            }
            #expect(requests.map(\.accountID) == ["a"])
        }
    }

    @Test(arguments: refused.indices)
    func refusalsNameTheMember(index: Int) {
        let row = refused[index]
        do {
            _ = try Packet.decode(row.text)
            Issue.record("accepted: \(row.text)")
        } catch {
            #expect(error.message.contains(row.reason))
            #expect(!error.isFatal)
        }
    }

    @Test(arguments: [
        "", "{", "[]", "7", "nul", #"{"a":1,}"#, #"{"a":"\ud800"}"#, #"{"a":1}x"#, "\u{feff}{}",
        #"{"a":01}"#, #"{"a":"\x"}"#,
    ])
    func whatIsNotJSONEndsTheSocket(text: String) {
        #expect { try Packet.decode(text) } throws: { ($0 as? PacketError)?.isFatal == true }
    }

    @Test func depthAndSizeAreLimited() {
        let deep = String(repeating: "[", count: 100_000)
        let long = #"{"meeting_id":"m","content_type":"END","x":""#
            + String(repeating: "a", count: 1 << 20) + #""}"#
        for text in [deep, long] {
            #expect { try Packet.decode(text) } throws: { ($0 as? PacketError)?.isFatal == true }
        }
    }

    @Test(arguments: samples)
    func everyPrefixIsRefusedCalmly(body: PacketBody) {
        let bytes = Array(Packet("m", body).text.utf8)
        for length in 0..<bytes.count {
            let prefix = Array(bytes[..<length])
            #expect { try Packet.decode(prefix.span) } throws: { $0 is PacketError }
        }
    }

    @Test func unknownMembersAreIgnored() throws {
        let text = #"{"meeting_id":"m","content_type":"END","later":{"x":[1,2,{"y":null}]}}"#
        #expect(try Packet.decode(text) == Packet("m", .end))
    }
}
