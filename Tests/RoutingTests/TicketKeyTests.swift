// Ticket keys of a node that is not in the meeting service's process.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Routing
import ServiceKit
import Testing

@Suite struct TicketKeyTests {
    /// A meeting service's key: signs tickets, serves its public part.
    struct Signer {
        let issuer: TicketIssuer
        let keySet: [UInt8]

        init(_ folder: ScratchFolder, _ name: String) async throws {
            let key = try KeyFile.loadOrCreate(folder.path + "/" + name)
            issuer = await TicketIssuer(key: key)
            keySet = [UInt8](try JSONEncoder().encode(KeySet([key.publicKey])))
        }

        func ticket(expires: Int = UnixTime.now() + 60) async throws -> String {
            try await issuer.sign(
                Ticket(
                    meetingID: "m", accountID: "bob", host: "anna", role: .participant,
                    name: "Bob", node: "n1", issued: 0, expires: expires, id: "1"))
        }
    }

    let folder: ScratchFolder
    let clock = ManualClock()
    let service = FakeMeetingService()

    init() throws { folder = try ScratchFolder() }

    private func keys() -> RemoteTicketKeys {
        RemoteTicketKeys(
            service: service, cacheFile: folder.path + "/keys.json", clock: clock, logger: quiet)
    }

    @Test func areFetchedOnceAndReadTheTicket() async throws {
        let signer = try await Signer(folder, "a.pem")
        service.serve(signer.keySet)
        let keys = keys()
        let checked = try await keys.check(signer.ticket())
        #expect(checked.node == "n1" && checked.claims.accountID == "bob")
        #expect(checked.claims.host == "anna" && checked.claims.name == "Bob")
        _ = try await keys.check(signer.ticket())
        #expect(service.keyCalls == 1)
    }

    @Test func surviveARestartWhileTheServiceIsAway() async throws {
        let signer = try await Signer(folder, "a.pem")
        service.serve(signer.keySet)
        _ = try await keys().check(signer.ticket())
        service.serve(nil)
        _ = try await keys().check(signer.ticket())
    }

    @Test func changedKeysAreFetchedButNotForEveryBadTicket() async throws {
        let (old, new) = (try await Signer(folder, "a.pem"), try await Signer(folder, "b.pem"))
        service.serve(old.keySet)
        let keys = keys()
        _ = try await keys.check(old.ticket())
        service.serve(new.keySet)
        let ticket = try await new.ticket()
        await #expect(throws: TicketRefusal.invalid) { try await keys.check(ticket) }
        #expect(service.keyCalls == 1)
        clock.advance(by: .seconds(5))
        _ = try await keys.check(ticket)
        #expect(service.keyCalls == 2)
        for _ in 0..<10 {
            await #expect(throws: TicketRefusal.invalid) { try await keys.check("nonsense") }
        }
        #expect(service.keyCalls == 2)
    }

    @Test func withoutAnyKeyNobodyComesIn() async throws {
        let signer = try await Signer(folder, "a.pem")
        let ticket = try await signer.ticket()
        let keys = keys()
        await #expect(throws: TicketRefusal.invalid) { try await keys.check(ticket) }
        try folder.write("keys.json", "damaged".utf8)
        service.serve(signer.keySet)
        clock.advance(by: .seconds(5))
        _ = try await keys.check(ticket)
    }

    @Test func expiredIsToldApart() async throws {
        let signer = try await Signer(folder, "a.pem")
        service.serve(signer.keySet)
        let ticket = try await signer.ticket(expires: UnixTime.now() - 60)
        await #expect(throws: TicketRefusal.expired) { try await keys().check(ticket) }
    }
}
