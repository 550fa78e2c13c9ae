// Participants come, are watched, and go. SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Everything between a dialect's `prepare` and `finish`. Used once.
package final class LoadCourse: Sendable {
    private static let settlePoll = 0.1
    /// For packets on their way when the window ends.
    private static let stragglers = 0.2

    private let context: LoadContext
    private let dialect: any MeetingDialect
    private let stop: StopFlag
    private let watch: Watch
    private let record = Mutex(RunRecord())

    package init(
        _ context: LoadContext, _ dialect: any MeetingDialect, console: LoadConsole,
        stop: StopFlag
    ) {
        self.context = context
        self.dialect = dialect
        self.stop = stop
        watch = Watch(context, console)
    }

    private var options: LoadOptions { context.options }

    /// Throws when nobody joined.
    package func run() async throws -> RunRecord {
        let crowd = makeCrowd()
        let watching = Task { await watch.run() }
        await joinAll(crowd)
        if watch.joined.isEmpty {
            watching.cancel()
            await leave(crowd)
            throw nobody()
        }
        await settle(crowd)
        await measure(crowd)
        watching.cancel()
        await watching.value
        context.losses.end()
        await leave(crowd)
        return finished()
    }

    private func makeCrowd() -> [Member] {
        (0..<options.meetings * options.participants).map { number in
            let index = number % options.participants
            let place = Place(
                meeting: number / options.participants, index: index, number: number,
                isPublisher: index < options.publisherCount)
            return Member(place: place, participant: dialect.makeParticipant(place))
        }
    }

    private struct Member: Sendable {
        var place: Place
        var participant: any SyntheticParticipant
    }

    private func nobody() -> LoadFailure {
        var failures = record.withLock { $0.failures }
        if failures.count > 1 { failures[MeetingDesk.noHost.description] = nil }
        let most = failures.max { $0.value < $1.value }
        return LoadFailure("nobody joined", most?.key ?? "the run was ended")
    }

    // MARK: - Phases

    private func joinAll(_ crowd: [Member]) async {
        watch.phase("joining")
        let begin = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for member in crowd {
                let due = begin + .seconds(Double(member.place.number) / options.ramp)
                let wait = ContinuousClock.now.duration(to: due).inSeconds
                if wait > 0 { _ = await stop.pause(wait) }
                guard !stop.isStopped else { break }
                group.addTask { await self.join(member) }
            }
            group.addTask { await self.cutShort(crowd) }
            // The last task ends when all others have, or by the stop.
            var left = crowd.count
            for await _ in group {
                left -= 1
                if left <= 0 { group.cancelAll() }
            }
        }
    }

    /// Lets joins fail at once when the run is stopped.
    private func cutShort(_ crowd: [Member]) async {
        while !Task.isCancelled {
            if stop.isStopped { return await leave(crowd) }
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    private func join(_ member: Member) async {
        do {
            let times = try await member.participant.join()
            record.withLock { $0.joins.append(times) }
            watch.join(member.place)
        } catch {
            let failure = error as? LoadFailure
            let reason = failure?.description ?? "\(error)"
            record.withLock { $0.failures[reason, default: 0] += 1 }
        }
    }

    /// Waits until every subscription is carried and has shown its first frame.
    private func settle(_ crowd: [Member]) async {
        watch.phase("settling")
        let end = ContinuousClock.now + .seconds(options.settle)
        var calm = 0
        while calm < 3, ContinuousClock.now < end, await stop.pause(Self.settlePoll) {
            let feeds = await feedState(crowd)
            let isCalm = feeds.bound >= feeds.wanted && context.loops.counts().markedSlots == 0
            calm = isCalm ? calm + 1 : 0
        }
        let feeds = await feedState(crowd)
        record.withLock { $0.feeds = feeds }
    }

    /// What everybody who joined should have and has.
    private func feedState(_ crowd: [Member]) async -> FeedState {
        let joined = watch.joined
        var publishers: [Int: Int] = [:]
        for place in joined where place.isPublisher { publishers[place.meeting, default: 0] += 1 }
        let sources = options.publishedSources.count { $0.kind == .video }
        var all = FeedState()
        for member in crowd where joined.contains(member.place) {
            let own = member.place.isPublisher ? 1 : 0
            let others = max(0, publishers[member.place.meeting, default: 0] - own)
            all.wanted += min(options.feeds, others * sources)
            all.bound += await member.participant.feedState().bound
        }
        return all
    }

    private func measure(_ crowd: [Member]) async {
        let loops = context.loops
        let (packet, frame) = (loops.histogram(.firstPacket), loops.histogram(.firstFrame))
        loops.resetHistograms()
        let begin = watch.beginWindow()
        let churning = Task { await churn(crowd) }
        _ = await stop.pause(options.duration)
        let end = watch.endWindow()
        churning.cancel()
        let remaps = await churning.value
        try? await Task.sleep(for: .seconds(Self.stragglers))
        let settledLost = loops.counts().lost
        record.withLock { record in
            record.begin = begin
            record.end = end
            record.settledLost = settledLost
            record.remaps = remaps
            let isChurned = options.churn != nil
            record.firstPacket = isChurned ? loops.histogram(.firstPacket) : packet
            record.firstFrame = isChurned ? loops.histogram(.firstFrame) : frame
            record.delayAudio = loops.histogram(.delayAudio)
            record.delayVideo = loops.histogram(.delayVideo)
            record.tickLag = loops.histogram(.tickLag)
            record.receiveLag = loops.histogram(.receiveLag)
        }
    }

    /// Everybody remaps all subscriptions, again and again; returns how often.
    private func churn(_ crowd: [Member]) async -> Int {
        guard let seconds = options.churn else { return 0 }
        var count = 0
        while !Task.isCancelled, await stop.pause(seconds), !Task.isCancelled {
            await withTaskGroup(of: Void.self) { group in
                for member in crowd { group.addTask { await member.participant.remap() } }
            }
            count += crowd.count
        }
        return count
    }

    private func leave(_ crowd: [Member]) async {
        context.losses.end()
        await withTaskGroup(of: Void.self) { group in
            for member in crowd.reversed() {
                group.addTask { await member.participant.leave() }
            }
        }
    }

    private func finished() -> RunRecord {
        record.withLock { record in
            record.samples = watch.samples
            record.losses = context.losses.counts
            record.serverPID = watch.serverPID
            record.isInterrupted = stop.isStopped
            return record
        }
    }
}

extension Duration {
    /// The duration in seconds.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
