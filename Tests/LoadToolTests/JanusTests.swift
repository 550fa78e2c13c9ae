// The dialect of Janus' videoroom: its messages, its offers. SPDX-License-Identifier: Apache-2.0

import LoadTool
import NIOCore
import Signaling
import Testing

@Suite struct JanusTests {
    /// What Janus 1.1.2 offers a subscriber of one participant, shortened by nothing but lines.
    static let offer = [
        "v=0", "o=- 1795440663618585 1 IN IP4 127.0.0.1", "s=VideoRoom 1", "t=0 0",
        "a=group:BUNDLE 0 1", "a=ice-options:trickle",
        "a=fingerprint:sha-256 40:A0:72:B6:F9:53:02:1D:2D:40:F8:43:80:56:C1:D7:6E:9D:94:92:71:6F:"
            + "DC:0B:20:94:35:CB:8C:6B:9A:64",
        "a=extmap-allow-mixed", "a=msid-semantic: WMS *", "a=ice-lite",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 127.0.0.1", "a=sendonly", "a=mid:0",
        "a=rtcp-mux", "a=ice-ufrag:ts0p", "a=ice-pwd:talBpgesqloWWlzW36KXZm",
        "a=ice-options:trickle", "a=setup:actpass", "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=msid:janus janus0",
        "a=ssrc:3892103923 cname:janus",
        "a=candidate:1 1 udp 2015363327 10.77.0.1 51397 typ host", "a=end-of-candidates",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 127.0.0.1", "a=sendonly", "a=mid:1",
        "a=rtcp-mux", "a=ice-ufrag:ts0p", "a=ice-pwd:talBpgesqloWWlzW36KXZm",
        "a=ice-options:trickle", "a=setup:actpass", "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 ccm fir", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 goog-remb", "a=rtcp-fb:96 transport-cc",
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96", "a=ssrc-group:FID 2804447559 1407698891", "a=msid:janus janus1",
        "a=ssrc:2804447559 cname:janus", "a=ssrc:1407698891 cname:janus",
        "a=candidate:1 1 udp 2015363327 10.77.0.1 51397 typ host", "a=end-of-candidates",
    ].joined(separator: "\r\n") + "\r\n"

    static let transport = [
        "a=ice-ufrag:abcdefgh", "a=ice-pwd:abcdefghabcdefghabcdefgh",
        "a=fingerprint:sha-256 40:A0:72:B6:F9:53:02:1D:2D:40:F8:43:80:56:C1:D7:6E:9D:94:92:71:6F:"
            + "DC:0B:20:94:35:CB:8C:6B:9A:64",
        "a=setup:active",
    ]

    @Test func offersTellStreamsAndTransport() throws {
        let plan = try AnswerReader.read(Self.offer)
        #expect(plan.secret.ufrag == "ts0p")
        #expect(plan.candidates.map(\.description) == ["10.77.0.1:51397"])
        #expect(plan.role == .active)
        #expect(plan.slots.map(\.mid) == ["0", "1"])
        #expect(plan.slots.map(\.plan.ssrc) == [3_892_103_923, 2_804_447_559])
        #expect(plan.slots.map(\.plan.rtxSSRC) == [0, 1_407_698_891])
        #expect(plan.extensions.mid == 4)
    }

    @Test func answersReceiveEverySectionOfTheOffer() throws {
        let text = JanusAnswer.write(Self.offer, transport: Self.transport)
        let answer = try SessionDescription.parse(text)
        #expect(answer.media.map(\.mid) == ["0", "1"])
        #expect(answer.media.map(\.direction) == [.recvonly, .recvonly])
        #expect(answer.media.allSatisfy { $0.transport.ufrag == "abcdefgh" })
        #expect(answer.media.allSatisfy { $0.transport.setup == .active })
        // The parser writes names in capitals.
        #expect(answer.media[1].formats.map(\.name) == ["VP8", "RTX"])
        #expect(!text.contains("transport-cc"))
        #expect(!text.contains("transport-wide-cc"))
        #expect(!text.contains("a=ssrc"))
        #expect(!text.contains("a=candidate"))
    }

    @Test func repliesAreReadByKind() throws {
        let joined = try reply(
            """
            {"janus":"event","session_id":1,"transaction":"4","sender":2,"plugindata":{"plugin":\
            "janus.plugin.videoroom","data":{"videoroom":"joined","room":1,"id":8014443191602419,\
            "publishers":[{"id":6524391741771895,"streams":[]}]}}}
            """)
        #expect(joined.plugindata?.data.publishers?.map(\.id) == [6_524_391_741_771_895])
        #expect(joined.refusal == nil)
        let made = try reply(#"{"janus":"success","transaction":"1","data":{"id":77}}"#)
        #expect(made.data?.id == 77)
        let hangup = try reply(#"{"janus":"hangup","sender":2,"reason":"DTLS alert"}"#)
        #expect(hangup.reason == "DTLS alert")
        #expect(throws: (any Error).self) { try reply("[]") }
    }

    @Test func refusalsHaveTheirReason() throws {
        let core = try reply(
            #"{"janus":"error","transaction":"1","error":{"code":458,"reason":"No such session"}}"#)
        #expect(core.refusal?.detail == "458 No such session")
        let room = try reply(
            """
            {"janus":"event","transaction":"1","plugindata":{"plugin":"p","data":{"videoroom":\
            "event","error_code":426,"error":"No such room (9)"}}}
            """)
        #expect(room.refusal?.detail == "426 No such room (9)")
    }

    @Test func answersFindWhoAsked() async throws {
        let made = try await withCheckedThrowingContinuation { continuation in
            var calls = JanusCalls()
            let transaction = calls.next()
            calls.wait(transaction, continuation)
            do {
                #expect(!calls.take(try reply(#"{"janus":"ack","transaction":"\#(transaction)"}"#)))
                #expect(!calls.take(try reply(#"{"janus":"success","transaction":"other"}"#)))
                let answer = try reply(
                    #"{"janus":"success","transaction":"\#(transaction)","data":{"id":5}}"#)
                let (first, second) = (calls.take(answer), calls.take(answer))
                #expect(first && !second)
            } catch {
                calls.failAll(LoadFailure("the test's own reply was not readable"))
            }
        }
        #expect(made.data?.id == 5)
    }

    @Test func refusedAndUnansweredCallsFail() async throws {
        await #expect(throws: LoadFailure.self) {
            _ = try await withCheckedThrowingContinuation { continuation in
                var calls = JanusCalls()
                let transaction = calls.next()
                calls.wait(transaction, continuation)
                let refusal = try? reply(
                    #"{"janus":"error","transaction":"1","error":{"code":1,"reason":"no"}}"#)
                if let refusal { _ = calls.take(refusal) }
                calls.failAll(LoadFailure("closed"))
            }
        }
        await #expect(throws: LoadFailure.self) {
            _ = try await withCheckedThrowingContinuation { continuation in
                var calls = JanusCalls()
                calls.wait(calls.next(), continuation)
                calls.failAll(LoadFailure("closed"))
            }
        }
    }

    private func reply(_ text: String) throws -> JanusReply {
        try JanusReply(ByteBuffer(string: text))
    }
}
