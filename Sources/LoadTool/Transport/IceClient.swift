// The controlling full agent of one participant (RFC 8445) against an ICE-lite node.
// SPDX-License-Identifier: Apache-2.0

package import MediaPlane

extension IceCredentials {
    /// Random ones: 48 and 144 bits.
    static func random() -> IceCredentials {
        var generator = SystemRandomNumberGenerator()
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        func text(_ count: Int) -> String {
            String((0..<count).map { _ in letters[Int.random(in: 0..<64, using: &generator)] })
        }
        return IceCredentials(ufrag: text(8), pwd: text(24))
    }
}

/// Sends binding requests with USE-CANDIDATE until one is answered, then keeps consent alive
/// (RFC 7675). Sans I/O: microseconds come in, datagrams go out.
package struct IceClient: Sendable {
    /// RFC 8445 section 14.3 allows less than 500 ms where a response was seen; loopback and
    /// datacentre paths are what this tool is for.
    static let firstTimeoutUs: UInt64 = 100_000
    static let timeoutMaxUs: UInt64 = 1_600_000
    static let consentUs: UInt64 = 5_000_000
    /// RFC 7675 section 5.1: consent ends after so long without an answer.
    static let expiryUs: UInt64 = 30_000_000

    private let username: String
    private let key: [UInt8]
    private let localKey: [UInt8]
    private let tieBreaker: UInt64
    private var transaction = StunTransaction()
    private var generator = SystemRandomNumberGenerator()
    private var timeoutUs = IceClient.firstTimeoutUs
    private var nextUs: UInt64 = 0
    private var answeredUs: UInt64 = 0
    package private(set) var isConnected = false
    package private(set) var refusals = 0

    package init(local: IceCredentials, remote: IceCredentials) {
        username = "\(remote.ufrag):\(local.ufrag)"
        key = [UInt8](remote.pwd.utf8)
        localKey = [UInt8](local.pwd.utf8)
        tieBreaker = generator.next()
    }

    /// The request that is due now, if any.
    package mutating func poll(nowUs: UInt64) -> [UInt8]? {
        guard nowUs >= nextUs else { return nil }
        if isConnected {
            // RFC 7675 section 5.1: 0.8 to 1.2 of the interval, so that checks don't march in step.
            nextUs = nowUs + Self.consentUs * UInt64.random(in: 80...120, using: &generator) / 100
        } else {
            nextUs = nowUs + timeoutUs
            timeoutUs = min(Self.timeoutMaxUs, timeoutUs * 2)
        }
        transaction = StunTransaction(
            high: UInt32(truncatingIfNeeded: generator.next()), low: generator.next())
        var writer = StunWriter(.request, transaction: transaction)
        writer.addUsername(username)
        // Host candidate: type preference 126 (RFC 8445 section 5.1.2.1).
        writer.addPriority(126 << 24 | 65535 << 8 | 255)
        writer.addRole(isControlling: true, tieBreaker: tieBreaker)
        writer.addUseCandidate()
        return writer.finish(key: key)
    }

    /// Takes in a STUN datagram. True when it connected the pair.
    package mutating func receive(_ datagram: [UInt8], nowUs: UInt64) -> Bool {
        guard let message = StunMessage.parse(datagram.span),
            message.transaction == transaction
        else { return false }
        if message.messageClass == .error { refusals += 1 }
        guard message.messageClass == .success, message.isAuthentic(datagram.span, key: key)
        else { return false }
        answeredUs = nowUs
        guard !isConnected else { return false }
        isConnected = true
        nextUs = nowUs + Self.consentUs
        return true
    }

    /// Answers a check of the far side (RFC 8445 section 7.3): some agents that call themselves
    /// lite send checks all the same and wait for their answer. nil for anything else.
    ///
    /// - Parameter source: where the datagram came from.
    package func answer(_ datagram: [UInt8], from source: Endpoint) -> [UInt8]? {
        guard let message = StunMessage.parse(datagram.span), message.messageClass == .request,
            message.isAuthentic(datagram.span, key: localKey)
        else { return nil }
        var writer = StunWriter(.success, transaction: message.transaction)
        writer.addMapped(source)
        return writer.finish(key: localKey)
    }

    package func hasExpired(nowUs: UInt64) -> Bool {
        isConnected && nowUs > answeredUs + Self.expiryUs
    }
}
