// Fuzz target: WebSocket frame headers; any cut of the same bytes must be judged the same.
// SPDX-License-Identifier: Apache-2.0
//
// Fuzz-Sources: Sources/ServiceKit/WebSocket/WebSocketFrameScanner.swift

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let whole = judge(bytes, piece: max(1, count))
    for piece in [1, 3] where judge(bytes, piece: piece) != whole {
        fatalError("judged otherwise in pieces of \(piece)")
    }
    return 0
}

/// The close code, or nil when everything passes.
private func judge(_ bytes: [UInt8], piece: Int) -> UInt16? {
    var scanner = WebSocketFrameScanner(limitBytes: 300, fragmentsMax: 4)
    for first in stride(from: 0, to: bytes.count, by: piece) {
        let part = bytes[first..<min(bytes.count, first + piece)]
        if case .fail(let valid, let code) = scanner.scan(part) {
            precondition((0...part.count).contains(valid))
            return code
        }
    }
    return nil
}
