// ICE-lite: who is answered, and which address is used. SPDX-License-Identifier: Apache-2.0

import MediaPlane
import Testing

@Suite struct IceLiteAgentTests {
    static let local = IceCredentials(ufrag: "Aabcdefg", pwd: "abcdefghijklmnopqrstuvwx")
    static let remote = IceCredentials(ufrag: "clnt", pwd: "zyxwvutsrqponmlkjihgfedc")
    static let a = Endpoint(address: IPAddress(192, 0, 2, 1), port: 1000)
    static let b = Endpoint(address: IPAddress(192, 0, 2, 2), port: 2000)

    struct Check {
        var username = "Aabcdefg:clnt"
        var key = IceLiteAgentTests.local.pwd
        var isNominating = false
        var isControlling = true
        var unknown: UInt16?
        var isSigned = true

        var bytes: [UInt8] {
            var writer = StunWriter(.request, transaction: StunTransaction(high: 1, low: 2))
            writer.addUsername(username)
            writer.addPriority(1)
            writer.addRole(isControlling: isControlling, tieBreaker: 9)
            if isNominating { writer.addUseCandidate() }
            if let unknown { writer.addRaw(unknown, []) }
            return writer.finish(key: isSigned ? [UInt8](key.utf8) : nil)
        }
    }

    static func agent() -> IceLiteAgent {
        var agent = IceLiteAgent(local: local, nowUs: 0)
        agent.setRemote(remote, nowUs: 0)
        return agent
    }

    private func send(
        _ check: Check, to agent: inout IceLiteAgent, from: Endpoint, at nowUs: UInt64 = 0
    ) throws -> (outcome: IceOutcome, reply: StunMessage) {
        let bytes = check.bytes
        let message = try #require(parseStun(bytes))
        let outcome = agent.receive(message, bytes.span, from: from, nowUs: nowUs)
        let reply = try #require(outcome.reply.flatMap(parseStun))
        return (outcome, reply)
    }

    @Test func aValidCheckIsAnsweredWithItsAddress() throws {
        var agent = Self.agent()
        let (outcome, reply) = try send(Check(), to: &agent, from: Self.a)
        #expect(outcome.isAuthentic)
        #expect(outcome.select == Self.a)
        #expect(reply.messageClass == .success)
        #expect(reply.mappedAddress == Self.a)
        let bytes = try #require(outcome.reply)
        #expect(isAuthentic(reply, bytes, key: [UInt8](Self.local.pwd.utf8)))
    }

    @Test(arguments: [
        (Check(username: "Aabcdefg:evil"), 401), (Check(username: "Xabcdefg:clnt"), 401),
        (Check(key: "wrongwrongwrongwrongwrong"), 401), (Check(isSigned: false), 400),
        (Check(isControlling: false), 487), (Check(unknown: 0x7abc), 420),
    ])
    func badChecksAreRefusedAndChangeNothing(_ check: Check, _ code: Int) throws {
        var agent = Self.agent()
        let (outcome, reply) = try send(check, to: &agent, from: Self.a)
        #expect(!outcome.isAuthentic)
        #expect(reply.messageClass == .error)
        #expect(reply.errorCode == code)
        #expect(agent.selected == nil)
        #expect(!agent.hasConsent)
    }

    @Test func nothingIsAcceptedBeforeTheRemoteCredentials() throws {
        var agent = IceLiteAgent(local: Self.local, nowUs: 0)
        let (outcome, reply) = try send(Check(), to: &agent, from: Self.a)
        #expect(!outcome.isAuthentic)
        #expect(reply.errorCode == 401)
    }

    @Test func theNewestNominationWins() throws {
        var agent = Self.agent()
        _ = try send(Check(isNominating: true), to: &agent, from: Self.a)
        let plain = try send(Check(), to: &agent, from: Self.b)
        #expect(plain.outcome.select == nil)
        #expect(agent.selected == Self.a)
        let nominating = try send(Check(isNominating: true), to: &agent, from: Self.b)
        #expect(nominating.outcome.select == Self.b)
        #expect(agent.selected == Self.b)
    }

    @Test func aSilentAddressGivesWayToOneThatIsNot() throws {
        var agent = Self.agent()
        _ = try send(Check(isNominating: true), to: &agent, from: Self.a)
        _ = try send(Check(), to: &agent, from: Self.b, at: 5 * second)
        #expect(agent.selected == Self.a)
        _ = try send(Check(), to: &agent, from: Self.b, at: 7 * second)
        #expect(agent.selected == Self.b)
    }

    @Test func consentExpiresOnceAndComesBack() throws {
        var agent = Self.agent()
        _ = try send(Check(isNominating: true), to: &agent, from: Self.a, at: second)
        #expect(agent.expireConsent(nowUs: 30 * second) == false)
        #expect(agent.expireConsent(nowUs: 31 * second) == true)
        #expect(agent.expireConsent(nowUs: 90 * second) == false)
        #expect(agent.selected == nil)
        let (outcome, _) = try send(Check(), to: &agent, from: Self.b, at: 91 * second)
        #expect(outcome.isRevived)
        #expect(outcome.select == Self.b)
        #expect(agent.expireConsent(nowUs: 92 * second) == false)
    }

    @Test func afterARestartBothCredentialsCountForAWhile() throws {
        var agent = Self.agent()
        let fresh = IceCredentials(ufrag: "Azzzzzzz", pwd: "000000000000000000000000")
        agent.restart(local: fresh, nowUs: 0)
        let new = Check(username: "Azzzzzzz:clnt", key: fresh.pwd)
        #expect(try send(new, to: &agent, from: Self.a).outcome.isAuthentic)
        #expect(try send(Check(), to: &agent, from: Self.a, at: second).outcome.isAuthentic)
        #expect(try !send(Check(), to: &agent, from: Self.a, at: 31 * second).outcome.isAuthentic)
        #expect(agent.ufrags(nowUs: second) == ["Azzzzzzz", "Aabcdefg"])
        #expect(agent.ufrags(nowUs: 31 * second) == ["Azzzzzzz"])
    }

    @Test func aClientsRestartKeepsTheSelectedAddress() throws {
        var agent = Self.agent()
        _ = try send(Check(isNominating: true), to: &agent, from: Self.a)
        agent.setRemote(IceCredentials(ufrag: "new1", pwd: Self.remote.pwd), nowUs: second)
        #expect(agent.selected == Self.a)
        let check = Check(username: "Aabcdefg:new1", isNominating: true)
        #expect(try send(check, to: &agent, from: Self.b, at: second).outcome.select == Self.b)
    }

    @Test func credentialsCarryTheWorkerAndDiffer() throws {
        let one = try #require(IceCredentialMaker.make(worker: 0))
        let two = try #require(IceCredentialMaker.make(worker: 63))
        #expect(one.ufrag.first == "A")
        #expect(two.ufrag.first == "/")
        #expect(one.ufrag.utf8.count == 8 && one.pwd.utf8.count >= 22)
        #expect(one.pwd != two.pwd)
        let username = [UInt8]("\(one.ufrag):x".utf8)
        #expect(
            ufragKey(username, 0..<username.count)
                == IceCredentialMaker.key(one.ufrag))
        #expect(ufragKey(username, 0..<4) == nil)
    }
}
