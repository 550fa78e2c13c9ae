// Password hashes.
// SPDX-License-Identifier: Apache-2.0
import Accounts
import ServiceKit
import Testing

private let cheap: PasswordCost = {
    var cost = PasswordCost()
    cost.memoryKiB = 64
    cost.passes = 1
    return cost
}()

@Suite struct PasswordTests {
    @Test func hashIsAPHCStringWithItsParameters() throws {
        let hash = try PasswordHash.make("correct horse", cost: PasswordCost())
        #expect(hash.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"))
        #expect(hash.split(separator: "$").count == 5)
        #expect(PasswordHash.verify("correct horse", hash))
        #expect(!PasswordHash.verify("correct hors", hash))
        #expect(!PasswordHash.isOutdated(hash, cost: PasswordCost()))
        #expect(PasswordHash.isOutdated(hash, cost: cheap))
    }

    @Test func saltsDiffer() throws {
        #expect(try PasswordHash.make("x", cost: cheap) != PasswordHash.make("x", cost: cheap))
    }

    @Test func everyCharacterCounts() throws {
        let hash = try PasswordHash.make("p\u{e4}ss\u{0}word", cost: cheap)
        #expect(PasswordHash.verify("p\u{e4}ss\u{0}word", hash))
        #expect(!PasswordHash.verify("p\u{e4}ss", hash))
    }

    @Test(arguments: ["", "$argon2id$", "plain", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA"])
    func brokenHashMatchesNothing(_ hash: String) {
        #expect(!PasswordHash.verify("", hash))
        #expect(!PasswordHash.verify("plain", hash))
    }

    /// From the tests of the reference implementation (test.c): "password", t=2, m=2^16, p=1.
    @Test func otherProgramsHashIsUnderstood() {
        let hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
            + "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        #expect(PasswordHash.verify("password", hash))
    }

    @Test(arguments: ["a@b", "first.last+tag@example.org", "x'y@sub.example-host.org"])
    func emailsAreAccepted(_ text: String) throws {
        #expect(try AccountFields.email(text) == text)
    }

    @Test(arguments: [
        "", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@-b", "a@b.", "a@b_c", "\u{e4}@b.org",
        "a\u{0}@b.org", "a@b.org\n",
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(throws: Problem.self) { try AccountFields.email(text) }
    }
}
