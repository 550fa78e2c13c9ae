// Tickets, service credentials, keys.
// SPDX-License-Identifier: Apache-2.0
import Foundation
import JWTKit
import ServiceKit
import Testing

private func ticket(expires: Int = 1_000_300) -> Ticket {
    Ticket(
        meetingID: "abc-defg-hij", accountID: "ann", host: "bo", role: .participant,
        name: "Ann \u{1F600}", node: "n1", issued: 1_000_000, expires: expires, id: "j1")
}

private let now: @Sendable () -> Int = { 1_000_010 }

@Suite struct TicketTests {
    @Test func signThenVerifyIsIdentity() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket())
        #expect(try await TicketVerifier(key: key.publicKey, now: now).verify(token) == ticket())
    }

    @Test func keySetVerifiesToo() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket())
        let set = try JSONEncoder().encode(KeySet([ES256PrivateKey().publicKey, key.publicKey]))
        #expect(try await TicketVerifier(jwks: set, now: now).verify(token) == ticket())
        await #expect(throws: TicketError.malformed) {
            try await TicketVerifier(jwks: Array("{}".utf8), now: now)
        }
    }

    @Test func expiredTicketIsRefused() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket(expires: 1_000_005))
        await #expect(throws: TicketError.expired) {
            try await TicketVerifier(key: key.publicKey, now: now).verify(token)
        }
    }

    @Test func foreignKeyIsRefused() async throws {
        let token = try await TicketIssuer(key: ES256PrivateKey()).sign(ticket())
        await #expect(throws: TicketError.badSignature) {
            try await TicketVerifier(key: ES256PrivateKey().publicKey, now: now).verify(token)
        }
    }

    @Test func everyChangedCharacterIsNoticed() async throws {
        let key = ES256PrivateKey()
        let token = Array(try await TicketIssuer(key: key).sign(ticket()).utf8)
        let verifier = await TicketVerifier(key: key.publicKey, now: now)
        for position in token.indices {
            var changed = token
            changed[position] = changed[position] == 0x41 ? 0x42 : 0x41
            // The last character of a part carries unused bits: it may decode to the same bytes.
            if position == token.count - 1 || token[position] == 0x2E { continue }
            if token[position + 1] == 0x2E { continue }
            await #expect(throws: TicketError.self, "position \(position)") {
                try await verifier.verify(String(decoding: changed, as: UTF8.self))
            }
        }
    }

    @Test func everyPrefixIsRefused() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket())
        let verifier = await TicketVerifier(key: key.publicKey, now: now)
        for length in 0..<token.count {
            await #expect(throws: TicketError.self) {
                try await verifier.verify(String(token.prefix(length)))
            }
        }
    }

    @Test(arguments: ["", ".", "..", "a.b.c", "{}", String(repeating: "a", count: 100_000)])
    func otherTextIsRefused(_ text: String) async throws {
        let verifier = await TicketVerifier(key: ES256PrivateKey().publicKey, now: now)
        await #expect(throws: TicketError.self) { try await verifier.verify(text) }
    }

    @Test func unsignedTokenIsRefused() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket())
        let payload = token.split(separator: ".")[1]
        let header = Data(#"{"alg":"none","typ":"JWT"}"#.utf8).base64EncodedString()
            .replacing("=", with: "")
        let verifier = await TicketVerifier(key: key.publicKey, now: now)
        await #expect(throws: TicketError.self) {
            try await verifier.verify("\(header).\(payload).")
        }
    }

    @Test func serviceCredentialIsNoTicket() async throws {
        let key = ES256PrivateKey()
        let credential = try await ServiceCredentials(key: key, role: .router, now: now)
            .issue(to: .meeting)
        await #expect(throws: TicketError.malformed) {
            try await TicketVerifier(key: key.publicKey, now: now).verify(credential)
        }
    }
}

@Suite struct ServiceCredentialTests {
    @Test func credentialNamesItsIssuerToItsAudienceOnly() async throws {
        let key = ES256PrivateKey()
        let token = try await ServiceCredentials(key: key, role: .router, now: now)
            .issue(to: .meeting)
        let meeting = await ServiceCredentials(key: key, role: .meeting, now: now)
        let account = await ServiceCredentials(key: key, role: .account, now: now)
        #expect(await meeting.verify(token) == .router)
        #expect(await account.verify(token) == nil)
        #expect(await meeting.verify("x.y.z") == nil)
    }

    @Test func oldAndForeignCredentialsAreRefused() async throws {
        let key = ES256PrivateKey()
        let token = try await ServiceCredentials(key: key, role: .router, now: now)
            .issue(to: .meeting)
        let later = await ServiceCredentials(key: key, role: .meeting) { now() + 60 }
        #expect(await later.verify(token) == nil)
        let earlier = await ServiceCredentials(key: key, role: .meeting) { now() - 60 }
        #expect(await earlier.verify(token) == nil)
        let foreign = await ServiceCredentials(key: ES256PrivateKey(), role: .meeting, now: now)
        #expect(await foreign.verify(token) == nil)
    }

    @Test func ticketIsNoCredential() async throws {
        let key = ES256PrivateKey()
        let token = try await TicketIssuer(key: key).sign(ticket())
        #expect(await ServiceCredentials(key: key, role: .meeting, now: now).verify(token) == nil)
    }
}

@Suite struct KeyFileTests {
    private func path() -> String {
        FileManager.default.temporaryDirectory
            .appending(path: "roundhouse-tests-\(UUID().uuidString)/keys/k.pem").path
    }

    @Test func keyIsKeptAndPrivate() throws {
        let path = path()
        let first = try KeyFile.loadOrCreate(path)
        let second = try KeyFile.loadOrCreate(path)
        #expect(first.pemRepresentation == second.pemRepresentation)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    @Test func processesThatStartAtOnceShareOneKey() async throws {
        let path = path()
        let keys = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask { try KeyFile.loadOrCreate(path).pemRepresentation }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(keys.count == 1)
    }

    @Test func damagedKeyIsAnErrorThatNamesTheFile() throws {
        let path = path()
        _ = try KeyFile.loadOrCreate(path)
        try Data("nonsense".utf8).write(to: URL(filePath: path))
        let error = #expect(throws: KeyFileError.self) { try KeyFile.loadOrCreate(path) }
        #expect(error?.description.contains(path) == true)
    }

    @Test func selfSignedCertificateIsKeptForTheSameNames() throws {
        let folder = URL(filePath: path()).deletingLastPathComponent().path
        let files = try SelfSigned.loadOrCreate(folder: folder, names: ["localhost", "127.0.0.1"])
        let first = try String(contentsOfFile: files.certificate, encoding: .utf8)
        #expect(first.hasPrefix("-----BEGIN CERTIFICATE-----"))
        _ = try SelfSigned.loadOrCreate(folder: folder, names: ["localhost", "127.0.0.1"])
        #expect(try String(contentsOfFile: files.certificate, encoding: .utf8) == first)
        _ = try SelfSigned.loadOrCreate(folder: folder, names: ["other", "::1"])
        #expect(try String(contentsOfFile: files.certificate, encoding: .utf8) != first)
    }
}
