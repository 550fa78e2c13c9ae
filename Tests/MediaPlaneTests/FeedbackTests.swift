// Feedback to publishers and reports to subscribers, in virtual time.
// SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct TransportFeedbackTests {
    /// Sequence numbers and arrival times (to 250 µs) that a sender reads out of the packets.
    private func reported(_ packets: [TransportFeedback]) -> [UInt16: Int64] {
        var all: [UInt16: Int64] = [:]
        for feedback in packets {
            var ticks = Int64(feedback.referenceTime) * 256
            for (offset, delta) in feedback.deltas.enumerated() {
                guard let delta else { continue }
                ticks += Int64(delta)
                all[feedback.baseSequence &+ UInt16(offset)] = ticks
            }
        }
        return all
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func everyArrivalIsReportedOnceWithItsTime(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var builder = TransportFeedbackBuilder()
        var now = 5 * second
        var sequence: UInt16 = 65_000
        var sent: [UInt16: Int64] = [:]
        var packets: [TransportFeedback] = []
        for _ in 0..<4000 {
            now += UInt64.random(in: 0...3000, using: &random)
            sequence &+= 1
            if Int.random(in: 0..<10, using: &random) > 0 {
                builder.add(Arrival(sequence: sequence, arrivalUs: now))
                sent[sequence] = Int64(now / 250)
            }
            let made = builder.make(sender: 1, media: 2, nowUs: now)
            for feedback in made {
                let bytes = RtcpTests.write(.transportFeedback(feedback))
                #expect(bytes.count <= 1200)
                #expect(parseRtcp(bytes) == [.transportFeedback(feedback)])
            }
            packets += made
        }
        packets += builder.make(sender: 1, media: 2, nowUs: now + second)
        #expect(reported(packets) == sent)
        #expect(packets.map(\.feedbackCount) == packets.indices.map { UInt8($0 & 255) })
    }

    @Test func lossesBetweenFeedbacksAreReported() throws {
        var builder = TransportFeedbackBuilder()
        builder.add(Arrival(sequence: 10, arrivalUs: second))
        _ = builder.make(sender: 1, media: 2, nowUs: second)
        builder.add(Arrival(sequence: 13, arrivalUs: second + 100 * ms))
        let made = builder.make(sender: 1, media: 2, nowUs: second + 100 * ms)
        #expect(made.first?.baseSequence == 11)
        #expect(made.first?.deltas.map { $0 == nil } == [true, true, false])
    }

    @Test func feedbackWaitsForItsTimeAndForPackets() {
        var builder = TransportFeedbackBuilder()
        #expect(builder.make(sender: 1, media: 2, nowUs: second).isEmpty == true)
        builder.add(Arrival(sequence: 1, arrivalUs: second))
        #expect(builder.make(sender: 1, media: 2, nowUs: second).count == 1)
        builder.add(Arrival(sequence: 2, arrivalUs: second))
        #expect(builder.make(sender: 1, media: 2, nowUs: second + 20 * ms).isEmpty == true)
        #expect(builder.make(sender: 1, media: 2, nowUs: second + 50 * ms).count == 1)
    }

    @Test func aLongSilenceIsSplit() {
        var builder = TransportFeedbackBuilder()
        builder.add(Arrival(sequence: 1, arrivalUs: second))
        builder.add(Arrival(sequence: 2, arrivalUs: 60 * second))
        let made = builder.make(sender: 1, media: 2, nowUs: 60 * second)
        #expect(made.count == 2)
        #expect(made.last?.baseSequence == 2)
    }

    @Test func jumpingNumbersDoNotMakeHugePackets() {
        var builder = TransportFeedbackBuilder()
        var now = second
        for sequence in [0, 30_000, 60_000, 100, 40_000] as [UInt16] {
            builder.add(Arrival(sequence: sequence, arrivalUs: now))
            now += 60 * ms
            for feedback in builder.make(sender: 1, media: 2, nowUs: now) {
                #expect(feedback.deltas.count <= 400)
            }
        }
    }
}

@Suite struct NackGeneratorTests {
    @Test func lostPacketsAreAskedForAtRoundTripsUntilTheyCome() {
        var nack = NackGenerator()
        nack.note(first: 65_536 + 10, count: 2, nowUs: 0)
        var arrived: Set<UInt64> = []
        var asked: [(UInt64, [UInt16])] = []
        for now in stride(from: 0, to: 400 * ms, by: 10_000) {
            if now == 130 * ms { arrived = [65_546] }
            let decision = nack.collect(nowUs: now, rttUs: 80 * ms) { arrived.contains($0) }
            #expect(!decision.wantsKeyframe)
            if !decision.sequences.isEmpty { asked.append((now, decision.sequences)) }
        }
        #expect(asked.map(\.0) == [0, 100 * ms, 200 * ms, 300 * ms])
        #expect(asked.map(\.1) == [[10, 11], [10, 11], [11], [11]])
    }

    @Test func afterTenTriesAKeyframeIsWanted() {
        var nack = NackGenerator()
        nack.note(first: 70_000, count: 1, nowUs: 0)
        var tries = 0
        var keyframes = 0
        for now in stride(from: 0, to: 2 * second, by: 10_000) {
            let decision = nack.collect(nowUs: now, rttUs: 20 * ms) { _ in false }
            tries += decision.sequences.count
            keyframes += decision.wantsKeyframe ? 1 : 0
        }
        #expect(tries == 10)
        #expect(keyframes == 1)
        #expect(nack.missingCount == 0)
    }

    @Test func aHugeGapIsNotAskedForButRepairedByAKeyframe() {
        var nack = NackGenerator()
        nack.note(first: 70_000, count: 5000, nowUs: 0)
        let decision = nack.collect(nowUs: 0, rttUs: 20 * ms) { _ in false }
        #expect(decision.sequences.isEmpty)
        #expect(decision.wantsKeyframe)
    }

    @Test func aFloodOfGapsStaysBounded() {
        var nack = NackGenerator()
        for gap in 0..<2000 as Range<UInt64> {
            nack.note(first: 70_000 + gap * 3, count: 2, nowUs: 0)
        }
        #expect(nack.missingCount == 512)
        let decision = nack.collect(nowUs: 0, rttUs: 0) { _ in false }
        #expect(decision.wantsKeyframe)
    }
}

@Suite struct ReportTests {
    @Test func fractionLostCountsFromReportToReport() {
        var reporter = ReceptionReporter()
        var counts = ReceptionCounts(
            ssrc: 1, receivedPackets: 100, firstSeq64: 65_536, highestSeq64: 65_635, jitter: 3)
        #expect(reporter.block(counts, nowUs: 0).fractionLost == 0)
        counts.receivedPackets = 175
        counts.highestSeq64 = 65_735
        let block = reporter.block(counts, nowUs: 0)
        #expect(block.fractionLost == 64)
        #expect(block.cumulativeLost == 25)
        #expect(block.highestSequence == 199)
        counts.receivedPackets = 300
        counts.highestSeq64 = 65_800
        #expect(reporter.block(counts, nowUs: 0).fractionLost == 0)
    }

    @Test func delaySinceTheSenderReportIsToldIn65536ths() {
        var reporter = ReceptionReporter()
        reporter.noteSenderReport(ntp: 0x1111_2222_3333_4444, nowUs: second)
        let counts = ReceptionCounts(
            ssrc: 1, receivedPackets: 1, firstSeq64: 65_536, highestSeq64: 65_536, jitter: 0)
        let block = reporter.block(counts, nowUs: second + second / 2)
        #expect(block.lastSenderReport == 0x2222_3333)
        #expect(block.delaySinceLastSenderReport == 32_768)
    }

    @Test func roundTripsAreMeasuredAndNonsenseIgnored() {
        var trip = RoundTripTime()
        var block = ReportBlock(ssrc: 1)
        trip.note(block, ntpNow: 1 << 40)
        #expect(trip.us == nil)
        block.lastSenderReport = 0x0001_0000
        block.delaySinceLastSenderReport = 0x8000
        trip.note(block, ntpNow: (0x0001_0000 + 0x8000 + 6554) << 16)
        #expect(trip.us.map { (99_000...101_000).contains($0) } ?? false)
        trip.note(block, ntpNow: 0)
        #expect(trip.us.map { (99_000...101_000).contains($0) } ?? false)
    }

    @Test func audioAndVideoOfAPublisherStayInSync() throws {
        let clock = NtpClock(unixUs: 1_800_000_000 * second, monotonicUs: 10 * second)
        var publisher = PublisherClock()
        // The publisher's clock runs 5 s behind ours; its reports took 40 and 60 ms.
        let theirs = { (us: UInt64) in clock.ntp(atUs: us - 5 * second) }
        publisher.note(ntp: theirs(20 * second - 40 * ms), ntpNow: clock.ntp(atUs: 20 * second))
        let offset = try #require(publisher.offset)
        let audio = SourceTime(ntp: theirs(20 * second - 40 * ms), rtp: 48_000, offset: offset)
        publisher.note(ntp: theirs(21 * second - 60 * ms), ntpNow: clock.ntp(atUs: 21 * second))
        let later = try #require(publisher.offset)
        let video = SourceTime(ntp: theirs(21 * second - 60 * ms), rtp: 90_000, offset: later)
        let now = 22 * second
        func mediaSecond(
            _ source: SourceTime, _ rate: UInt32, _ reference: UInt32
        ) throws -> Double {
            let slot = SlotTime(
                ssrc: 1, packets: 5, octets: 500, lastTimestamp: 0, timestampOffset: 1000,
                lastSentUs: now - 10 * ms, clockRate: rate)
            let info = try #require(
                SenderReports.info(slot, source: source, nowUs: now, clock: clock))
            #expect(info.ntp == clock.ntp(atUs: now))
            return Double(info.rtp &- 1000 &- reference) / Double(rate)
        }
        // The publisher captured audio 48000 at 19.96 s and video 90000 at 20.94 s of our time.
        let audioSeconds = try mediaSecond(audio, 48_000, 48_000) + 19.96
        let videoSeconds = try mediaSecond(video, 90_000, 90_000) + 20.94
        #expect(abs(audioSeconds - videoSeconds) < 0.002)
    }

    @Test func withoutTheirReportTheLastPacketStandsIn() throws {
        let clock = NtpClock(unixUs: 0, monotonicUs: 0)
        let slot = SlotTime(
            ssrc: 1, packets: 1, octets: 1, lastTimestamp: 500, timestampOffset: 0,
            lastSentUs: second, clockRate: 90_000)
        let info = SenderReports.info(slot, source: nil, nowUs: second + 100 * ms, clock: clock)
        #expect(info?.rtp == 9500)
        var silent = slot
        silent.lastSentUs = 0
        #expect(SenderReports.info(silent, source: nil, nowUs: second, clock: clock) == nil)
    }

    @Test func aHostileSenderReportDoesNotTrap() {
        let clock = NtpClock(unixUs: 0, monotonicUs: 0)
        let slot = SlotTime(
            ssrc: 1, packets: 1, octets: 1, lastTimestamp: 500, timestampOffset: 0,
            lastSentUs: second, clockRate: 90_000)
        for ntp in [0, 1, UInt64.max, 1 << 63] {
            var publisher = PublisherClock()
            publisher.note(ntp: ntp, ntpNow: clock.ntp(atUs: second))
            publisher.note(ntp: ~ntp, ntpNow: clock.ntp(atUs: second))
            let source = SourceTime(ntp: ntp, rtp: 0, offset: publisher.offset ?? 0)
            _ = SenderReports.info(slot, source: source, nowUs: second, clock: clock)
        }
    }
}
