// WebSocket frame headers: every rule of RFC 6455 section 5 that the decoder does not check.
// SPDX-License-Identifier: Apache-2.0
import NIOCore
import ServiceKit
import Testing

/// Builds client frames.
struct FrameBytes {
    var opcode: UInt8
    var payload: [UInt8] = []
    var isFinal = true
    var isMasked = true
    var reserved: UInt8 = 0

    var bytes: [UInt8] {
        var out = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let mask: UInt8 = isMasked ? 0x80 : 0
        let count = payload.count
        if count < 126 {
            out.append(mask | UInt8(count))
        } else if count < 65_536 {
            out += [mask | 126, UInt8(count >> 8), UInt8(count & 255)]
        } else {
            out.append(mask | 127)
            out += (0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) }
        }
        if !isMasked { return out + payload }
        let key: [UInt8] = [1, 2, 3, 4]
        out += key
        return out + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }
}

struct FrameCase: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    let code: UInt16
    var testDescription: String { name }

    init(_ name: String, _ frames: [FrameBytes], _ code: UInt16) {
        self.name = name
        bytes = frames.flatMap(\.bytes)
        self.code = code
    }
}

let badFrames: [FrameCase] = [
    FrameCase("unmasked", [FrameBytes(opcode: 1, payload: [120], isMasked: false)], 1002),
    FrameCase("RSV1 set", [FrameBytes(opcode: 1, payload: [120], reserved: 4)], 1002),
    FrameCase("RSV3 set", [FrameBytes(opcode: 1, payload: [120], reserved: 1)], 1002),
    FrameCase("reserved opcode", [FrameBytes(opcode: 3, payload: [120])], 1002),
    FrameCase("reserved control opcode", [FrameBytes(opcode: 11)], 1002),
    FrameCase("continuation first", [FrameBytes(opcode: 0, payload: [120])], 1002),
    FrameCase(
        "text inside a fragmented message",
        [
            FrameBytes(opcode: 1, payload: [120], isFinal: false),
            FrameBytes(opcode: 1, payload: [121]),
        ], 1002),
    FrameCase("fragmented ping", [FrameBytes(opcode: 9, payload: [120], isFinal: false)], 1002),
    FrameCase(
        "ping of 126 bytes", [FrameBytes(opcode: 9, payload: .init(repeating: 1, count: 126))],
        1002),
    FrameCase(
        "frame above the limit",
        [FrameBytes(opcode: 1, payload: .init(repeating: 120, count: 1001))], 1009),
    FrameCase(
        "fragments above the limit",
        (0..<3).map {
            FrameBytes(
                opcode: $0 == 0 ? 1 : 0, payload: .init(repeating: 120, count: 400),
                isFinal: $0 == 2)
        }, 1009),
    FrameCase(
        "too many fragments",
        (0..<6).map { FrameBytes(opcode: $0 == 0 ? 1 : 0, payload: [120], isFinal: $0 == 5) },
        1009),
]

@Suite struct FrameScannerTests {
    private func scanner() -> WebSocketFrameScanner {
        WebSocketFrameScanner(limitBytes: 1000, fragmentsMax: 4)
    }

    @Test(arguments: badFrames)
    func badFrameIsFoundAtOnceAndByteByByte(_ item: FrameCase) {
        var whole = scanner()
        guard case .fail(_, let code) = whole.scan(ByteBuffer(bytes: item.bytes).readableBytesView)
        else {
            Issue.record("accepted")
            return
        }
        #expect(code == item.code)
        var stepwise = scanner()
        let verdicts = item.bytes.map {
            stepwise.scan(ByteBuffer(bytes: [$0]).readableBytesView)
        }
        let first = verdicts.first { $0 != .pass }
        guard case .fail(_, item.code) = first else {
            Issue.record("stepwise: \(String(describing: first))")
            return
        }
    }

    @Test func goodFramesPassInAnyPieces() {
        let frames = [
            FrameBytes(opcode: 1, payload: Array("hello".utf8)), FrameBytes(opcode: 9),
            FrameBytes(opcode: 1, payload: .init(repeating: 120, count: 300), isFinal: false),
            FrameBytes(opcode: 10, payload: [1]),
            FrameBytes(opcode: 0, payload: .init(repeating: 120, count: 300)),
            FrameBytes(opcode: 1), FrameBytes(opcode: 2, payload: .init(repeating: 7, count: 1000)),
            FrameBytes(opcode: 8, payload: [3, 232]),
        ]
        let bytes = frames.flatMap(\.bytes)
        for piece in [1, 2, 3, 7, 100, bytes.count] {
            var scanner = scanner()
            for start in stride(from: 0, to: bytes.count, by: piece) {
                let part = ByteBuffer(bytes: bytes[start..<min(bytes.count, start + piece)])
                #expect(scanner.scan(part.readableBytesView) == .pass)
            }
        }
    }

    @Test func goodFramesBeforeABadOneAreKept() {
        let good = FrameBytes(opcode: 1, payload: Array("hello".utf8)).bytes
        let bad = FrameBytes(opcode: 3).bytes
        var scanner = scanner()
        let verdict = scanner.scan(ByteBuffer(bytes: good + bad).readableBytesView)
        #expect(verdict == .fail(validBytes: good.count, code: 1002))
    }

    @Test func limitCanBeRaised() {
        var scanner = scanner()
        scanner.limitBytes = 70_000
        let frame = FrameBytes(opcode: 1, payload: .init(repeating: 120, count: 66_000)).bytes
        #expect(scanner.scan(ByteBuffer(bytes: frame).readableBytesView) == .pass)
    }

    @Test func hugeLengthIsRefusedBeforeItsPayload() {
        var scanner = scanner()
        let header: [UInt8] = [0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        let verdict = scanner.scan(ByteBuffer(bytes: header).readableBytesView)
        guard case .fail(_, 1009) = verdict else {
            Issue.record("\(verdict)")
            return
        }
    }
}

@Suite struct WebSocketQueueTests {
    private func part(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

    @Test func boundsHoldExceptForUrgentParts() {
        let queue = WebSocketQueue(bytesMax: 10, partsMax: 3)
        #expect(queue.add(part(6)) == .queued)
        #expect(queue.add(part(6)) == .full)
        #expect(queue.add(part(6), urgent: true) == .queued)
        let short = WebSocketQueue(bytesMax: 10, partsMax: 2)
        #expect(short.add(part(1)) == .queued)
        #expect(short.add(part(1)) == .queued)
        #expect(short.add(part(1)) == .full)
    }

    @Test func closeHandsOutTheRest() async {
        let queue = WebSocketQueue(bytesMax: 10, partsMax: 3)
        _ = queue.add(part(2))
        queue.close()
        #expect(queue.add(part(1)) == .closed)
        #expect(await queue.next()?.count == 1)
        #expect(await queue.next() == nil)
    }

    @Test func waitingConsumerGetsThePart() async {
        let queue = WebSocketQueue(bytesMax: 10, partsMax: 3)
        async let batch = queue.next()
        while queue.add(part(1)) != .queued {}
        #expect(await batch?.isEmpty == false)
        async let last = queue.next()
        queue.close()
        _ = await last
    }
}
