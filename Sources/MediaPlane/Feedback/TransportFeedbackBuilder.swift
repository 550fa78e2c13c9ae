// Transport-wide feedback to one publisher. SPDX-License-Identifier: Apache-2.0

/// One packet that carried a transport-wide sequence number.
package struct Arrival: Hashable, Sendable {
    package var sequence: UInt16
    package var arrivalUs: UInt64
    package init(sequence: UInt16, arrivalUs: UInt64) {
        self.sequence = sequence
        self.arrivalUs = arrivalUs
    }
}

/// Collects arrivals and makes feedback packets of them
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01). A packet that comes after its number was
/// reported lost is reported again from there on.
package struct TransportFeedbackBuilder: Sendable {
    /// Time between feedbacks.
    package static let intervalUs: UInt64 = 50_000
    /// Statuses in one packet; with two-byte deltas it stays below 1200 bytes.
    static let statusesMax = 400
    /// Older than the newest by more: not reported.
    static let reorderMax: Int64 = 1000

    private var pending: [Int64: UInt64] = [:]
    private var newest: Int64?
    /// The first number that no feedback has covered.
    private var next: Int64?
    private var feedbackCount: UInt8 = 0
    private var lastSentUs: UInt64 = 0

    package init() {}

    package mutating func add(_ arrivals: [Arrival]) {
        for arrival in arrivals { add(arrival) }
    }

    package mutating func add(_ arrival: Arrival) {
        guard let former = newest else {
            newest = Int64(arrival.sequence)
            pending[Int64(arrival.sequence)] = arrival.arrivalUs
            return
        }
        let step = Int16(bitPattern: arrival.sequence &- UInt16(truncatingIfNeeded: former))
        let extended = former + Int64(step)
        guard extended > former - Self.reorderMax, extended >= 0 else { return }
        if extended > former + Self.reorderMax {
            // The numbers jumped: begin anew there.
            pending.removeAll()
            next = extended
        }
        newest = max(former, extended)
        if pending[extended] == nil { pending[extended] = arrival.arrivalUs }
    }

    /// Feedback packets that are due now; empty when it is not yet time or nothing arrived.
    package mutating func make(
        sender: UInt32, media: UInt32, nowUs: UInt64
    ) -> [TransportFeedback] {
        guard !pending.isEmpty, nowUs >= lastSentUs + Self.intervalUs else { return [] }
        lastSentUs = nowUs
        var made: [TransportFeedback] = []
        let received = pending.sorted { $0.key < $1.key }
        pending.removeAll(keepingCapacity: true)
        var index = 0
        while index < received.count {
            var feedback = TransportFeedback()
            feedback.sender = sender
            feedback.media = media
            index = fill(&feedback, received, from: index)
            feedback.feedbackCount = feedbackCount
            feedbackCount &+= 1
            made.append(feedback)
        }
        return made
    }

    /// Returns the index of the first packet that did not fit.
    private mutating func fill(
        _ feedback: inout TransportFeedback, _ received: [(key: Int64, value: UInt64)],
        from start: Int
    ) -> Int {
        let first = received[start]
        var base = first.key
        if let next, next < base, base - next < Int64(Self.statusesMax) { base = next }
        let reference = first.value / 64_000
        feedback.baseSequence = UInt16(truncatingIfNeeded: base)
        feedback.referenceTime = Int32(truncatingIfNeeded: reference << 8 & 0xffff_ffff) >> 8
        var formerTicks = Int64(reference) * 256
        var index = start
        while index < received.count {
            let ticks = Int64(received[index].value / 250)
            let missing = Int(received[index].key - base) - feedback.deltas.count
            guard let delta = Int16(exactly: ticks - formerTicks),
                feedback.deltas.count + missing < Self.statusesMax
            else { break }
            feedback.deltas += [Int16?](repeating: nil, count: missing)
            feedback.deltas.append(delta)
            formerTicks = ticks
            index += 1
        }
        next = max(next ?? 0, base + Int64(feedback.deltas.count))
        return index
    }
}
