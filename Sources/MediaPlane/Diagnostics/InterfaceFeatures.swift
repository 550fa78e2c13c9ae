// Offloads of a network interface, as ethtool shows them.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Reads driver features by `SIOCETHTOOL`.
package enum InterfaceFeatures {
    private static let request: UInt = 0x8946  // SIOCETHTOOL
    private static let setInfo: UInt32 = 0x37  // ETHTOOL_GSSET_INFO
    private static let strings: UInt32 = 0x1b  // ETHTOOL_GSTRINGS
    private static let features: UInt32 = 0x3a  // ETHTOOL_GFEATURES
    private static let featureSet: UInt32 = 4  // ETH_SS_FEATURES
    private static let nameBytes = 32
    private static let namesMax: UInt32 = 1024

    /// Whether a feature is active; nil when the driver does not tell.
    package static func isActive(_ feature: String, of interface: String) -> Bool? {
        let handle = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard handle >= 0 else { return nil }
        defer { close(handle) }
        // command, reserved, 64 bits of sets, a count for each
        var info = [UInt32](repeating: 0, count: 5)
        info[0] = setInfo
        info[2] = 1 << featureSet
        guard call(handle, interface, &info), info[2] != 0, (1...namesMax).contains(info[4]) else {
            return nil
        }
        let count = Int(info[4])
        guard let place = place(of: feature, count: count, handle, interface) else { return nil }
        // command, count of blocks; a block: available, requested, active, never changed
        let blocks = (count + 31) / 32
        var answer = [UInt32](repeating: 0, count: 2 + 4 * blocks)
        answer[0] = features
        answer[1] = UInt32(blocks)
        guard call(handle, interface, &answer) else { return nil }
        return answer[2 + 4 * (place / 32) + 2] & 1 << UInt32(place % 32) != 0
    }

    private static func place(
        of feature: String, count: Int, _ handle: Int32, _ interface: String
    ) -> Int? {
        // command, set, count, then the names
        var names = [UInt32](repeating: 0, count: 3 + count * nameBytes / 4)
        names[0] = strings
        names[1] = featureSet
        names[2] = UInt32(count)
        guard call(handle, interface, &names) else { return nil }
        let wanted = Array(feature.utf8)
        return names.withUnsafeBytes { bytes in
            (0..<count).first { index in
                let start = 12 + index * nameBytes
                return bytes[start..<(start + nameBytes)].prefix { $0 != 0 }.elementsEqual(wanted)
            }
        }
    }

    /// The answer is written over the question.
    private static func call(
        _ handle: Int32, _ interface: String, _ words: inout [UInt32]
    ) -> Bool {
        let name = Array(interface.utf8)
        guard name.count < Int(IFNAMSIZ) else { return false }
        return words.withUnsafeMutableBytes { data in
            // struct ifreq: the name, then a union that begins with the pointer
            withUnsafeTemporaryAllocation(byteCount: 40, alignment: 8) { question in
                question.initializeMemory(as: UInt8.self, repeating: 0)
                question.copyBytes(from: name)
                let address = UInt(bitPattern: data.baseAddress)
                question.storeBytes(of: address, toByteOffset: Int(IFNAMSIZ), as: UInt.self)
                guard let base = question.baseAddress else { return false }
                return ioctl(handle, request, base) == 0
            }
        }
    }
}
