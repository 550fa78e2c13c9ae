// A client's socket as the node uses it.
// SPDX-License-Identifier: Apache-2.0

/// Why the node closes a socket.
public enum SignalClose: String, Sendable {
    /// All is said: the meeting has ended.
    case normal
    /// The node goes down.
    case goingAway
    /// The client broke a rule or a limit, was replaced or removed.
    case policyViolation
}

/// Text messages both ways. Everything is safe from anywhere and never waits.
public protocol SignalSocket: AnyObject, Sendable {
    /// Queues one message. False: the socket is closed, or its queue was full and it is being
    /// closed.
    @discardableResult
    func send(_ text: String) -> Bool
    /// Closes after everything that is queued.
    func close(_ reason: SignalClose, text: String)
    /// Bytes of a message from now on.
    func raiseFrameLimit(to bytes: Int)
}
