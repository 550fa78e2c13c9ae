// Helpers of the media plane's tests. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

/// Bytes of a text of hexadecimal digits; blanks and line ends do not count.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}

func parseStun(_ bytes: [UInt8]) -> StunMessage? { StunMessage.parse(bytes.span) }

func parseRtcp(_ bytes: [UInt8]) -> [RtcpPacket]? { RtcpReader.parse(bytes.span) }

/// A small generator with a seed: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}

let ms: UInt64 = 1_000
let second: UInt64 = 1_000_000

func isAuthentic(_ message: StunMessage, _ bytes: [UInt8], key: [UInt8]) -> Bool {
    message.isAuthentic(bytes.span, key: key)
}

func ufragKey(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64? {
    IceCredentialMaker.key(bytes.span, range)
}
