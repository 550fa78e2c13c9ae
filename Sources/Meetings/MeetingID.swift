// Ids of meetings, made to be read aloud: `abc-defg-hij`.
// SPDX-License-Identifier: Apache-2.0

public enum MeetingID {
    /// Ten random letters: 47 bits.
    public static func make(using generator: inout some RandomNumberGenerator) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        let groups = [3, 4, 3].map { length in
            String((0..<length).map { _ in letters[Int.random(in: 0..<26, using: &generator)] })
        }
        return groups.joined(separator: "-")
    }

    /// Whether a text can be an id at all.
    public static func isValid(_ text: String) -> Bool {
        let groups = text.utf8.split(separator: 0x2D, omittingEmptySubsequences: false)
        return groups.map(\.count) == [3, 4, 3]
            && groups.allSatisfy { $0.allSatisfy { (0x61...0x7A).contains($0) } }
    }
}
