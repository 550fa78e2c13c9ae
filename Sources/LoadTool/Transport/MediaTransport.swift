// One transport of a participant: socket, ICE, DTLS, keys. SPDX-License-Identifier: Apache-2.0

import Glibc
package import MediaPlane
package import NIOCore

/// The far side as signalling described it.
package struct RemoteSide: Sendable {
    package var secret: IceCredentials
    package var address: Endpoint
    /// One must match its certificate.
    package var fingerprints: [Fingerprint]
    /// Our part in the handshake.
    package var role: DtlsRole

    package init(
        secret: IceCredentials, address: Endpoint, fingerprints: [Fingerprint],
        role: DtlsRole = .active
    ) {
        self.secret = secret
        self.address = address
        self.fingerprints = fingerprints
        self.role = role
    }
}

/// Why a participant could not go on.
package struct LoadFailure: Error, Sendable, CustomStringConvertible {
    /// Short and without numbers or names: failures are counted by it.
    package let reason: String
    package let detail: String
    package var description: String { detail.isEmpty ? reason : "\(reason): \(detail)" }

    package init(_ reason: String, _ detail: String = "") {
        self.reason = reason
        self.detail = detail
    }
}

/// Microseconds of the monotonic clock.
func monotonicUs() -> UInt64 { monotonicNs() / 1000 }

/// Nanoseconds of the monotonic clock, the same that packets are stamped with.
package func monotonicNs() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// ICE (controlling), DTLS and keys of one socket. Lives on an event loop; a participant may have
/// several.
package actor MediaTransport {
    private static let handshakeTick = TimeAmount.milliseconds(25)
    private static let consentTick = TimeAmount.seconds(1)

    private let eventLoop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        eventLoop.executor.asUnownedSerialExecutor()
    }
    package nonisolated let secret = IceCredentials.random()
    private let certificate: DtlsCertificate
    private var socket: MediaEndpoint?
    private var ice: IceClient?
    private var remote: Endpoint?
    private var dtls: DtlsConnection?
    private var hasKeys = false
    private var isClosed = false
    private var deadlineUs: UInt64 = 0
    private var waiter: CheckedContinuation<Void, any Error>?
    private var lost: (@Sendable (LoadFailure) -> Void)?

    package init(on eventLoop: any EventLoop, certificate: DtlsCertificate) {
        self.eventLoop = eventLoop
        self.certificate = certificate
    }

    /// Opens the socket and connects: returns when keys are set and media may flow.
    ///
    /// - Parameters:
    ///   - timeout: for ICE and DTLS together.
    ///   - onLost: called once if the transport ends later without `close`.
    package func connect(
        _ loops: PacketLoops, to remote: RemoteSide, options: EndpointOptions,
        timeout: Duration, onLost: @escaping @Sendable (LoadFailure) -> Void
    ) async throws -> MediaEndpoint {
        let eventLoop = eventLoop
        let made = try loops.makeEndpoint(options) { [weak self] datagram in
            guard let self else { return }
            eventLoop.execute { self.assumeIsolated { $0.receive(datagram) } }
        }
        socket = made
        try made.setRemote(remote.address)
        self.remote = remote.address
        ice = IceClient(local: secret, remote: remote.secret)
        dtls = try DtlsConnection(
            certificate, role: remote.role, fingerprints: remote.fingerprints)
        lost = onLost
        deadlineUs = monotonicUs() + UInt64(timeout / .microseconds(1))
        try await withCheckedThrowingContinuation { continuation in
            waiter = continuation
            tick()
        }
        return made
    }

    /// Ends the association and frees the socket.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        dtls?.close()
        flush()
        socket?.close()
        socket = nil
        waiter?.resume(throwing: LoadFailure("closed while connecting"))
        waiter = nil
    }

    private func tick() {
        guard !isClosed else { return }
        let now = monotonicUs()
        if let request = ice?.poll(nowUs: now) { socket?.send(request) }
        if !hasKeys {
            dtls?.onTick()
            progress()
            if now > deadlineUs {
                let stage = ice?.isConnected == true ? "DTLS timed out" : "ICE timed out"
                return fail(LoadFailure(stage))
            }
        } else if ice?.hasExpired(nowUs: now) == true {
            return fail(LoadFailure("ICE consent expired"))
        }
        eventLoop.scheduleTask(in: hasKeys ? Self.consentTick : Self.handshakeTick) { [weak self] in
            self?.assumeIsolated { $0.tick() }
        }
    }

    private func receive(_ datagram: ControlDatagram) {
        guard !isClosed else { return }
        if datagram.isDtls {
            dtls?.receive(datagram.bytes.span)
        } else if let remote, let answer = ice?.answer(datagram.bytes, from: remote) {
            socket?.send(answer)
        } else if ice?.receive(datagram.bytes, nowUs: monotonicUs()) == true {
            dtls?.start()
        }
        progress()
    }

    private func progress() {
        flush()
        switch dtls?.state ?? .handshaking {
        case .handshaking: break
        case .established: takeKeys()
        case .closed: fail(LoadFailure("DTLS was closed by the server"))
        case .failed(let reason): fail(LoadFailure("DTLS failed", reason))
        }
    }

    private func takeKeys() {
        guard !hasKeys else { return }
        guard let keying = dtls?.keying() else {
            return fail(LoadFailure("DTLS gave no SRTP keys"))
        }
        do { try socket?.setKeys(keying) } catch {
            return fail(LoadFailure("SRTP keys were refused", "\(error)"))
        }
        hasKeys = true
        waiter?.resume()
        waiter = nil
    }

    private func flush() {
        guard let datagrams = dtls?.takeDatagrams() else { return }
        for datagram in datagrams { socket?.send(datagram) }
    }

    private func fail(_ failure: LoadFailure) {
        guard !isClosed else { return }
        isClosed = true
        socket?.close()
        socket = nil
        if let waiter {
            waiter.resume(throwing: failure)
        } else {
            lost?(failure)
        }
        waiter = nil
        lost = nil
    }
}
