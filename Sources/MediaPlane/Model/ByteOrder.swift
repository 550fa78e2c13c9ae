// Reading and writing numbers in network byte order. SPDX-License-Identifier: Apache-2.0

extension Span where Element == UInt8 {
    /// Each traps when the bytes aren't there: callers check sizes first.
    func number16(at offset: Int) -> UInt16 {
        UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
    }

    func number24(at offset: Int) -> UInt32 {
        UInt32(self[offset]) << 16 | UInt32(number16(at: offset + 1))
    }

    func number32(at offset: Int) -> UInt32 {
        UInt32(number16(at: offset)) << 16 | UInt32(number16(at: offset + 2))
    }

    func number64(at offset: Int) -> UInt64 {
        UInt64(number32(at: offset)) << 32 | UInt64(number32(at: offset + 4))
    }
}

extension [UInt8] {
    mutating func append(number16 number: UInt16) {
        append(UInt8(truncatingIfNeeded: number >> 8))
        append(UInt8(truncatingIfNeeded: number))
    }

    mutating func append(number24 number: UInt32) {
        append(UInt8(truncatingIfNeeded: number >> 16))
        append(number16: UInt16(truncatingIfNeeded: number))
    }

    mutating func append(number32 number: UInt32) {
        append(number16: UInt16(truncatingIfNeeded: number >> 16))
        append(number16: UInt16(truncatingIfNeeded: number))
    }

    mutating func append(number64 number: UInt64) {
        append(number32: UInt32(truncatingIfNeeded: number >> 32))
        append(number32: UInt32(truncatingIfNeeded: number))
    }

    /// Overwrites two bytes that are there.
    mutating func set(number16 number: UInt16, at offset: Int) {
        self[offset] = UInt8(truncatingIfNeeded: number >> 8)
        self[offset + 1] = UInt8(truncatingIfNeeded: number)
    }
}
