// Tries on loopback what the media sockets want of the kernel.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Sockets that are made, used once and closed.
package enum SocketTrials {
    private static let segment: Int32 = 103  // UDP_SEGMENT
    private static let gro: Int32 = 104  // UDP_GRO
    private static let segmentBytes = 100

    /// Asks for buffers as a worker does: beyond the limits where it may, else within them.
    package static func buffers(wanted: Int) -> HostReadings.SocketBuffers {
        var buffers = HostReadings.SocketBuffers()
        buffers.wantedBytes = UInt64(max(0, wanted))
        let handle = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard handle >= 0 else { return buffers }
        defer { close(handle) }
        func granted(_ option: Int32, _ forced: Int32) -> UInt64 {
            let wanted = Int32(clamping: wanted)
            if set(handle, SOL_SOCKET, forced, wanted) != 0 {
                _ = set(handle, SOL_SOCKET, option, wanted)
            }
            var value: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(handle, SOL_SOCKET, option, &value, &length) == 0 else { return 0 }
            // Linux doubles the number for its own bookkeeping.
            return UInt64(max(0, value)) / 2
        }
        buffers.receiveBytes = granted(SO_RCVBUF, SO_RCVBUFFORCE)
        buffers.sendBytes = granted(SO_SNDBUF, SO_SNDBUFFORCE)
        return buffers
    }

    /// Sends four packets as one message.
    package static func segmentation() -> HostReadings.Trial {
        exchange(coalesced: false) { sizes in
            sizes == [100, 100, 100, 100] ? nil : "packets of \(sizes) bytes arrived"
        }
    }

    /// Receives four packets as one message.
    package static func coalescing() -> HostReadings.Trial {
        exchange(coalesced: true) { sizes in
            (sizes.first ?? 0) > segmentBytes ? nil : "packets of \(sizes) bytes arrived"
        }
    }

    private static func exchange(
        coalesced: Bool, _ judge: ([Int]) -> String?
    ) -> HostReadings.Trial {
        let receiver = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        let sender = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { for handle in [receiver, sender] where handle >= 0 { close(handle) } }
        guard receiver >= 0, sender >= 0, let address = bindAnywhere(receiver) else {
            return .refused(errno)
        }
        if coalesced, set(receiver, IPPROTO_UDP, gro, 1) != 0 { return .refused(errno) }
        guard set(sender, IPPROTO_UDP, segment, Int32(segmentBytes)) == 0 else {
            return coalesced ? .wrong("no UDP_SEGMENT to try it with") : .refused(errno)
        }
        let packets = [UInt8](repeating: 7, count: 4 * segmentBytes)
        guard send(packets, from: sender, to: address) == packets.count else {
            return coalesced ? .wrong("no UDP_SEGMENT to try it with") : .refused(errno)
        }
        return judge(receive(receiver, bytes: packets.count)).map { .wrong($0) } ?? .works
    }

    private static func receive(_ handle: Int32, bytes: Int) -> [Int] {
        var sizes: [Int] = []
        var room = [UInt8](repeating: 0, count: 2048)
        while sizes.reduce(0, +) < bytes {
            var waiting = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 200) == 1 else { break }
            let count = recv(handle, &room, room.count, 0)
            guard count > 0 else { break }
            sizes.append(count)
        }
        return sizes
    }

    private static func send(_ bytes: [UInt8], from handle: Int32, to address: sockaddr_in) -> Int {
        var address = address
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(handle, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func bindAnywhere(_ handle: Int32) -> sockaddr_in? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(handle, $0, length) == 0 && getsockname(handle, $0, &length) == 0
            }
        }
        return isBound ? address : nil
    }

    private static func set(
        _ handle: Int32, _ level: some BinaryInteger, _ option: Int32, _ value: Int32
    ) -> Int32 {
        var value = value
        let size = socklen_t(MemoryLayout<Int32>.size)
        return setsockopt(handle, Int32(level), option, &value, size)
    }
}
