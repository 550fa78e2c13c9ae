// Tells a packet's type without reading all of it. SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Most packets to a participant are of no use to it: they are passed over unread.
package enum PacketSniffer {
    private static let member = Array(#""content_type":""#.utf8)
    /// A meeting id stands before it.
    private static let prefixBytes = 400

    /// The value of `content_type` where it stands near the begin; nil: read the packet.
    package static func contentType(_ text: ByteBuffer) -> String? {
        let bytes = text.readableBytesView.prefix(prefixBytes)
        guard let start = bytes.firstRange(of: member)?.upperBound,
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\""))
        else { return nil }
        return String(decoding: bytes[start..<end], as: UTF8.self)
    }
}
