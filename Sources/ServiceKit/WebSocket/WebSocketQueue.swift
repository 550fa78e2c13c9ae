// The bounded queue between a handler that must never wait and a socket that may be slow.
// SPDX-License-Identifier: Apache-2.0
package import NIOCore
import Synchronization

/// Single consumer, any number of producers. State: the parts that wait; owner: one `WebSocket`.
package final class WebSocketQueue: Sendable {
    private struct State {
        var parts: [ByteBuffer] = []
        var bytes = 0
        var isClosed = false
        var consumer: CheckedContinuation<[ByteBuffer]?, Never>?
    }

    private let state = Mutex(State())
    private let bytesMax: Int
    private let partsMax: Int

    package init(bytesMax: Int, partsMax: Int) {
        self.bytesMax = bytesMax
        self.partsMax = partsMax
    }

    package enum Outcome: Sendable { case queued, full, closed }

    package var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Adds a part; `urgent` parts (close, limit) ignore the bounds.
    package func add(_ part: ByteBuffer, urgent: Bool = false) -> Outcome {
        let (outcome, waiting, batch) = state.withLock { state -> Step in
            if state.isClosed { return (.closed, nil, []) }
            let isFull = state.bytes + part.readableBytes > bytesMax
                || state.parts.count >= partsMax
            if isFull && !urgent { return (.full, nil, []) }
            state.parts.append(part)
            state.bytes += part.readableBytes
            guard let consumer = state.consumer else { return (.queued, nil, []) }
            return (.queued, consumer, Self.take(&state))
        }
        waiting?.resume(returning: batch)
        return outcome
    }

    private typealias Step = (Outcome, Waiting?, [ByteBuffer])
    private typealias Waiting = CheckedContinuation<[ByteBuffer]?, Never>

    private static func take(_ state: inout State) -> [ByteBuffer] {
        let batch = state.parts
        state.parts = []
        state.bytes = 0
        state.consumer = nil
        return batch
    }

    /// No more parts are accepted; what waits is still handed out.
    package func close() {
        let waiting = state.withLock { state -> Waiting? in
            state.isClosed = true
            let waiting = state.consumer
            state.consumer = nil
            return waiting
        }
        waiting?.resume(returning: nil)
    }

    /// Everything that waits, as soon as there is something; nil after `close`.
    package func next() async -> [ByteBuffer]? {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> [ByteBuffer]?? in
                if !state.parts.isEmpty { return .some(Self.take(&state)) }
                if state.isClosed { return .some(nil) }
                state.consumer = continuation
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }
}
