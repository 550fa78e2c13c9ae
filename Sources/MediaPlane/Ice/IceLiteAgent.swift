// ICE-lite for one participant (RFC 8445 section 2.5): answers checks.
// SPDX-License-Identifier: Apache-2.0

/// What a binding request leads to.
package struct IceOutcome: Sendable {
    /// Sent back to where the request came from.
    package var reply: [UInt8]?
    /// The request was authentic: its address belongs to the participant (peer-reflexive learning).
    package var isAuthentic = false
    /// Everything goes to this address from now on.
    package var select: Endpoint?
    /// Consent had expired and is back.
    package var isRevived = false
}

/// One participant's ICE state. Always controlled, never sends checks. About 400 bytes.
package struct IceLiteAgent: Sendable {
    /// RFC 7675 section 5.1.
    package static let consentUs: UInt64 = 30_000_000
    /// Former credentials are accepted for so long after a restart.
    static let formerUs: UInt64 = 30_000_000
    /// A selected address that was silent for so long gives way to one that isn't: a NAT rebound
    /// and the client does not nominate again.
    static let silentUs: UInt64 = 6_000_000

    package private(set) var local: IceCredentials
    package private(set) var remote: IceCredentials?
    package private(set) var selected: Endpoint?
    package private(set) var hasConsent = false
    private var former: IceCredentials?
    private var formerRemote: IceCredentials?
    private var formerUntilUs: UInt64 = 0
    private var consentUntilUs: UInt64
    private var hasNomination = false
    private var selectedSeenUs: UInt64 = 0

    package init(local: IceCredentials, nowUs: UInt64) {
        self.local = local
        consentUntilUs = nowUs + Self.consentUs
    }

    /// The client's credentials from signalling; changed ones begin a new session
    /// (RFC 8445 section 9): nominations start over, media goes on over the selected pair.
    package mutating func setRemote(_ remote: IceCredentials, nowUs: UInt64) {
        guard self.remote != remote else { return }
        if self.remote != nil {
            formerRemote = self.remote
            formerUntilUs = nowUs + Self.formerUs
        }
        self.remote = remote
        hasNomination = false
        consentUntilUs = max(consentUntilUs, nowUs + Self.consentUs)
    }

    /// Our side of an ICE restart.
    package mutating func restart(local: IceCredentials, nowUs: UInt64) {
        former = self.local
        formerUntilUs = nowUs + Self.formerUs
        self.local = local
    }

    /// The local ufrags that requests may carry now.
    package func ufrags(nowUs: UInt64) -> [String] {
        guard let former, nowUs < formerUntilUs else { return [local.ufrag] }
        return [local.ufrag, former.ufrag]
    }

    /// Takes in one binding request that names one of our ufrags.
    package mutating func receive(
        _ message: StunMessage, _ bytes: Span<UInt8>, from: Endpoint, nowUs: UInt64
    ) -> IceOutcome {
        guard let key = keyFor(message, bytes, nowUs: nowUs),
            message.isAuthentic(bytes, key: key)
        else { return IceOutcome(reply: IceRefusal.unauthorized(message)) }
        if !message.unknownRequired.isEmpty {
            return IceOutcome(reply: IceRefusal.unknownAttributes(message, key: key))
        }
        if message.controlled != nil {
            return IceOutcome(reply: IceRefusal.roleConflict(message, key: key))
        }
        var outcome = IceOutcome(isAuthentic: true)
        outcome.isRevived = renewConsent(nowUs: nowUs)
        let isSilent = nowUs >= selectedSeenUs + Self.silentUs
        if from == selected { selectedSeenUs = nowUs }
        if message.usesCandidate || !hasNomination || outcome.isRevived || isSilent {
            selectedSeenUs = nowUs
            hasNomination = hasNomination || message.usesCandidate
            if selected != from || outcome.isRevived { outcome.select = from }
            selected = from
        }
        var writer = StunWriter(.success, transaction: message.transaction)
        writer.addMapped(from)
        outcome.reply = writer.finish(key: key)
        return outcome
    }

    /// True once when consent has just expired.
    package mutating func expireConsent(nowUs: UInt64) -> Bool {
        guard nowUs >= consentUntilUs else { return false }
        consentUntilUs = .max
        hasConsent = false
        selected = nil
        hasNomination = false
        return true
    }

    private mutating func renewConsent(nowUs: UInt64) -> Bool {
        let isRevived = consentUntilUs == .max
        consentUntilUs = nowUs + Self.consentUs
        hasConsent = true
        return isRevived
    }

    /// The password of the local ufrag in USERNAME, when the other half names the client.
    private func keyFor(_ message: StunMessage, _ bytes: Span<UInt8>, nowUs: UInt64) -> [UInt8]? {
        guard let range = message.username else { return nil }
        let isFormerValid = nowUs < formerUntilUs
        let locals = [local] + (isFormerValid ? [former].compactMap(\.self) : [])
        let remotes = [remote, isFormerValid ? formerRemote : nil].compactMap(\.self)
        for ours in locals {
            for theirs in remotes
            where isEqual(bytes, range, "\(ours.ufrag):\(theirs.ufrag)") {
                return [UInt8](ours.pwd.utf8)
            }
        }
        return nil
    }

    private func isEqual(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
        guard range.count == text.utf8.count else { return false }
        return zip(range, text.utf8).allSatisfy { bytes[$0] == $1 }
    }
}

/// Error answers to binding requests.
package enum IceRefusal {
    /// 400 without USERNAME or MESSAGE-INTEGRITY, else 401 (RFC 8489 section 9.1.3); not signed.
    package static func unauthorized(_ message: StunMessage) -> [UInt8] {
        var writer = StunWriter(.error, transaction: message.transaction)
        if message.username == nil || !message.hasIntegrity {
            writer.addError(400, "Bad Request")
        } else {
            writer.addError(401, "Unauthenticated")
        }
        return writer.finish(key: nil)
    }

    /// RFC 8489 section 6.3.1.
    static func unknownAttributes(_ message: StunMessage, key: [UInt8]) -> [UInt8] {
        var writer = StunWriter(.error, transaction: message.transaction)
        writer.addError(420, "Unknown Attribute")
        writer.addUnknown(message.unknownRequired)
        return writer.finish(key: key)
    }

    /// RFC 8445 section 7.3.1.1: we cannot become controlling, so the other side must.
    static func roleConflict(_ message: StunMessage, key: [UInt8]) -> [UInt8] {
        var writer = StunWriter(.error, transaction: message.transaction)
        writer.addError(487, "Role Conflict")
        return writer.finish(key: key)
    }
}

/// Makes local credentials. A ufrag is 8 characters (48 bits), the first one the worker's index.
package enum IceCredentialMaker {
    package static let ufragSize = 8
    private static let alphabet = [UInt8](
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// nil when the system has no randomness.
    package static func make(worker: Int) -> IceCredentials? {
        precondition(alphabet.indices.contains(worker))
        guard let text = randomText(ufragSize - 1 + 24) else { return nil }
        let ufrag = [alphabet[worker]] + text[..<(ufragSize - 1)]
        return IceCredentials(
            ufrag: String(decoding: ufrag, as: UTF8.self),
            pwd: String(decoding: text[(ufragSize - 1)...], as: UTF8.self))
    }

    /// `count` characters of 6 random bits each; nil without randomness.
    static func randomText(_ count: Int) -> [UInt8]? {
        Secrets.randomBytes(count)?.map { alphabet[Int($0 & 63)] }
    }

    /// The local ufrag of a USERNAME as a number; nil when it isn't one of ours by its form.
    package static func key(_ bytes: Span<UInt8>, _ username: Range<Int>) -> UInt64? {
        guard username.count > ufragSize, bytes[username.lowerBound + ufragSize] == 0x3a else {
            return nil
        }
        return bytes.number64(at: username.lowerBound)
    }

    package static func key(_ ufrag: String) -> UInt64 {
        ufrag.utf8.prefix(ufragSize).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
