// Requests over Janus' WebSocket and their answers. SPDX-License-Identifier: Apache-2.0

import Foundation
package import NIOCore

/// Requests by transaction. Lives on its participant's event loop.
package struct JanusCalls {
    private var waiting: [String: CheckedContinuation<JanusReply, any Error>] = [:]
    private var last: UInt64 = 0

    package init() {}

    /// A transaction for the next request.
    package mutating func next() -> String {
        last += 1
        return String(last)
    }

    package mutating func wait(
        _ transaction: String, _ continuation: CheckedContinuation<JanusReply, any Error>
    ) {
        waiting[transaction] = continuation
    }

    /// Hands an answer to whoever asked. False when nobody did, or when it only says that the
    /// answer follows.
    package mutating func take(_ reply: JanusReply) -> Bool {
        guard reply.janus != "ack", let transaction = reply.transaction,
            let continuation = waiting.removeValue(forKey: transaction)
        else { return false }
        if let refusal = reply.refusal {
            continuation.resume(throwing: refusal)
        } else {
            continuation.resume(returning: reply)
        }
        return true
    }

    package mutating func fail(_ transaction: String, _ failure: LoadFailure) {
        waiting.removeValue(forKey: transaction)?.resume(throwing: failure)
    }

    package mutating func failAll(_ failure: LoadFailure) {
        for continuation in waiting.values { continuation.resume(throwing: failure) }
        waiting = [:]
    }
}

extension JanusRequest {
    /// As it goes over the wire.
    var text: String {
        get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
    }
}

extension JanusReply {
    package init(_ text: ByteBuffer) throws {
        self = try JSONDecoder().decode(JanusReply.self, from: Data(text.readableBytesView))
    }
}
