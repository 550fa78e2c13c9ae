// The members of account requests and what they must look like; the same rules stand in the
// OpenAPI document.
// SPDX-License-Identifier: Apache-2.0
public import ServiceKit

public enum AccountFields {
    /// Printable ASCII without spaces before one `@`, a domain of letters, digits, dots and
    /// hyphens after it. Returned as it is written.
    public static func email(_ text: String) throws(Problem) -> String {
        let parts = text.utf8.split(separator: 0x40, omittingEmptySubsequences: false)
        guard parts.count == 2, (1...64).contains(parts[0].count),
            parts[0].allSatisfy({ (0x21...0x7E).contains($0) }),
            (1...189).contains(parts[1].count), isDomain(parts[1])
        else {
            throw Problem(.badRequest, detail: "'email' is not an e-mail address")
        }
        return text
    }

    private static func isDomain(_ text: Substring.UTF8View) -> Bool {
        let isPlain = text.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x2E }
        guard isPlain, let first = text.first, let last = text.last else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(last)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    /// No control characters.
    public static func name(_ text: String) throws(Problem) -> String {
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw Problem(.badRequest, detail: "'name' must not contain control characters")
        }
        return text
    }

    static let emailLength = 3...254
    static let passwordLength = 8...256
    static let nameLength = 0...100
}
