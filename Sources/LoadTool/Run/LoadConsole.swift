// Progress on standard error. SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

/// One line that is rewritten on a terminal; elsewhere a line each 5 s.
public final class LoadConsole: Sendable {
    private static let quietSeconds = 5.0

    private struct State {
        var width = 0
        var lastLine: ContinuousClock.Instant?
    }

    private let isTerminal: Bool
    private let isSilent: Bool
    private let state = Mutex(State())

    /// - Parameter isSilent: nothing but phases is told.
    public init(isSilent: Bool = false) {
        self.isSilent = isSilent
        isTerminal = isatty(2) == 1
    }

    /// Shows how it goes.
    public func show(_ text: String) {
        if isSilent { return }
        state.withLock { state in
            if isTerminal {
                let padding = String(repeating: " ", count: max(0, state.width - text.count))
                write("\r\(text)\(padding)")
                state.width = text.count
                return
            }
            let now = ContinuousClock.now
            if let last = state.lastLine, last.duration(to: now) < .seconds(Self.quietSeconds) {
                return
            }
            state.lastLine = now
            write(text + "\n")
        }
    }

    /// A line that stays.
    public func line(_ text: String) {
        state.withLock { state in
            clear(&state)
            write(text + "\n")
        }
    }

    /// Takes the progress line away.
    public func finish() { state.withLock { clear(&$0) } }

    private func clear(_ state: inout State) {
        guard isTerminal, state.width > 0 else { return }
        write("\r" + String(repeating: " ", count: state.width) + "\r")
        state.width = 0
    }

    private func write(_ text: String) {
        // Progress that nobody can read is no reason to stop.
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
