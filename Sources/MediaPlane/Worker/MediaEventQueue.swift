// The way events leave the workers. SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A queue for one reader. State changes always fit (there are few for each participant and slot);
/// of the others at most `droppableMax` wait, later ones are dropped and counted.
package final class MediaEventQueue: Sendable {
    package static let droppableMax = 4096

    private struct State {
        var waiting: [MediaEvent] = []
        var droppableCount = 0
        var droppedCount: UInt64 = 0
        var reader: CheckedContinuation<[MediaEvent], Never>?
        var isFinished = false
    }

    private let state = Mutex(State())

    package init() {}

    package func push(_ event: MediaEvent) {
        let reader: CheckedContinuation<[MediaEvent], Never>? = state.withLock { state in
            guard !state.isFinished else { return nil }
            if event.isDroppable {
                guard state.droppableCount < Self.droppableMax else {
                    state.droppedCount += 1
                    return nil
                }
                state.droppableCount += 1
            }
            if let reader = state.reader {
                state.reader = nil
                state.droppableCount = 0
                return reader
            }
            state.waiting.append(event)
            return nil
        }
        reader?.resume(returning: [event])
    }

    /// Ends the stream after what waits.
    package func finish() {
        let reader = state.withLock { state in
            state.isFinished = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: [])
    }

    package var droppedCount: UInt64 { state.withLock { $0.droppedCount } }

    /// All that waits; suspends while nothing does; empty at the end or when the task is cancelled.
    private func take() async -> [MediaEvent] {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready: [MediaEvent]? = state.withLock { state in
                    if state.waiting.isEmpty, !state.isFinished, !Task.isCancelled,
                        state.reader == nil
                    {
                        state.reader = continuation
                        return nil
                    }
                    state.droppableCount = 0
                    defer { state.waiting = [] }
                    return state.waiting
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume(returning: [])
        }
    }

    package func stream() -> AsyncStream<MediaEvent> {
        let buffer = Mutex<ArraySlice<MediaEvent>>([])
        let box = EventBuffer(buffer: buffer)
        return AsyncStream { await box.next(from: self) }
    }

    /// The reader's part of the queue.
    private final class EventBuffer: Sendable {
        private let buffer: Mutex<ArraySlice<MediaEvent>>
        init(buffer: consuming Mutex<ArraySlice<MediaEvent>>) { self.buffer = buffer }

        func next(from queue: MediaEventQueue) async -> MediaEvent? {
            if let event = buffer.withLock({ $0.popFirst() }) { return event }
            let events = await queue.take()
            return buffer.withLock { buffer in
                buffer += events
                return buffer.popFirst()
            }
        }
    }
}
