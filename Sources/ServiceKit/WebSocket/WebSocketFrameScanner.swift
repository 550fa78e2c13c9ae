// Checks WebSocket frame headers as they come in (RFC 6455 section 5.2).
// SPDX-License-Identifier: Apache-2.0

/// Walks over a byte stream of client frames and finds the first one that breaks the protocol or
/// a limit. State: 14 header bytes and a few counters; owner: one connection.
package struct WebSocketFrameScanner {
    /// Largest payload of one frame and of one reassembled message, in bytes.
    package var limitBytes: Int
    private var header: [UInt8] = []
    private var payloadLeft: UInt64 = 0
    private var messageBytes: UInt64 = 0
    private var fragments = 0
    private let fragmentsMax: Int

    package init(limitBytes: Int, fragmentsMax: Int) {
        self.limitBytes = limitBytes
        self.fragmentsMax = fragmentsMax
        header.reserveCapacity(14)
    }

    package enum Verdict: Equatable, Sendable {
        case pass
        /// The first `validBytes` bytes belong to acceptable frames; the rest must be dropped.
        case fail(validBytes: Int, code: UInt16)
    }

    /// Looks at the next bytes of the stream.
    package mutating func scan<Bytes: RandomAccessCollection>(_ bytes: Bytes) -> Verdict
    where Bytes.Element == UInt8, Bytes.Index == Int {
        var position = bytes.startIndex
        var frameStart = position
        while position < bytes.endIndex {
            if payloadLeft > 0 {
                let step = min(payloadLeft, UInt64(bytes.endIndex - position))
                payloadLeft -= step
                position += Int(step)
                frameStart = position
                continue
            }
            if header.isEmpty { frameStart = position }
            header.append(bytes[position])
            position += 1
            if let code = violation() {
                return .fail(validBytes: frameStart - bytes.startIndex, code: code)
            }
            if header.count == headerLength { finishHeader() }
        }
        return .pass
    }

    /// Bytes that the header has in all, as far as is known.
    private var headerLength: Int {
        guard header.count >= 2 else { return 2 }
        switch header[1] & 0x7F {
        case 126: return 8
        case 127: return 14
        default: return 6
        }
    }

    private var payloadLength: UInt64? {
        guard header.count >= 2 else { return nil }
        let short = header[1] & 0x7F
        let width = short == 126 ? 2 : short == 127 ? 8 : 0
        guard header.count >= 2 + width else { return nil }
        if width == 0 { return UInt64(short) }
        return header[2..<2 + width].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private var isControl: Bool { header[0] & 0x08 != 0 }

    private func violation() -> UInt16? {
        let first = header[0]
        if first & 0x70 != 0 { return 1002 }
        guard [0, 1, 2, 8, 9, 10].contains(first & 0x0F) else { return 1002 }
        if header.count == 1 { return fragmentViolation(first) }
        if header[1] & 0x80 == 0 { return 1002 }
        if isControl { return header[1] & 0x7F > 125 ? 1002 : nil }
        guard let length = payloadLength else { return nil }
        if length > UInt64(limitBytes) || messageBytes + length > UInt64(limitBytes) {
            return 1009
        }
        return nil
    }

    private func fragmentViolation(_ first: UInt8) -> UInt16? {
        if isControl { return first & 0x80 == 0 ? 1002 : nil }
        let isContinuation = first & 0x0F == 0
        if isContinuation != (fragments > 0) { return 1002 }
        return fragments >= fragmentsMax ? 1009 : nil
    }

    private mutating func finishHeader() {
        let length = payloadLength ?? 0
        payloadLeft = length
        if !isControl {
            let isFinal = header[0] & 0x80 != 0
            messageBytes = isFinal ? 0 : messageBytes + length
            fragments = isFinal ? 0 : fragments + 1
        }
        header.removeAll(keepingCapacity: true)
    }
}
