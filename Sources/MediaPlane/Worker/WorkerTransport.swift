// ICE and DTLS of a worker's participants. SPDX-License-Identifier: Apache-2.0

import CRouter

extension Worker {
    // MARK: - STUN

    func onStun(_ bytes: Span<UInt8>, from: Endpoint, nowUs: UInt64) {
        guard let message = StunMessage.parse(bytes) else {
            control.stunMalformed += 1
            return
        }
        // Indications keep bindings alive; responses answer nothing, a lite agent sends no checks.
        guard message.messageClass == .request, message.method == StunMessage.bindingMethod else {
            return
        }
        control.stunRequests += 1
        guard let peer = peerNamed(by: message, bytes) else {
            refuse(IceRefusal.unauthorized(message), to: from, nowUs: nowUs)
            return
        }
        let outcome = peer.ice.receive(message, bytes, from: from, nowUs: nowUs)
        guard outcome.isAuthentic else {
            if let reply = outcome.reply { refuse(reply, to: from, nowUs: nowUs) }
            return
        }
        var address = rh_address(from)
        rh_peer_add_address(core, peer.id.handle, &address)
        if outcome.select != nil { rh_peer_select_address(core, peer.id.handle, &address) }
        if let reply = outcome.reply { send(reply, to: from) }
        if outcome.isRevived, peer.isEstablished { emit(.connected(peer.id)) }
        startDtls(peer)
    }

    private func peerNamed(by message: StunMessage, _ bytes: Span<UInt8>) -> Peer? {
        guard let username = message.username,
            let key = IceCredentialMaker.key(bytes, username), let handle = peersByUfrag[key]
        else { return nil }
        return peers[handle]
    }

    private func refuse(_ reply: [UInt8], to endpoint: Endpoint, nowUs: UInt64) {
        control.stunRefused += 1
        guard stunLimit.allow(endpoint.address, nowUs: nowUs) else {
            control.stunRateLimited += 1
            return
        }
        send(reply, to: endpoint)
    }

    func send(_ bytes: [UInt8], to endpoint: Endpoint) {
        var address = rh_address(endpoint)
        _ = rh_worker_send(core, &address, bytes, bytes.count)
    }

    func restartIce(of id: ParticipantID) -> IceCredentials {
        guard let peer = peer(id), let fresh = IceCredentialMaker.make(worker: index) else {
            return IceCredentials(ufrag: "", pwd: "")
        }
        for ufrag in peer.ice.ufrags(nowUs: 0).dropFirst() {
            peersByUfrag[IceCredentialMaker.key(ufrag)] = nil
        }
        peer.ice.restart(local: fresh, nowUs: nowUs)
        peersByUfrag[IceCredentialMaker.key(fresh.ufrag)] = id.handle
        return fresh
    }

    func checkConsent(_ peer: Peer, nowUs: UInt64) {
        guard peer.ice.expireConsent(nowUs: nowUs) else { return }
        rh_peer_clear_selection(core, peer.id.handle)
        shared.logger.debug("consent expired", metadata: ["peer": "\(peer.id) \(peer.label)"])
        emit(.disconnected(peer.id, reason: .consentExpired))
    }

    // MARK: - Negotiation

    func apply(_ negotiated: TransportDescription, to id: ParticipantID) throws(MediaError) {
        guard let peer = peer(id) else { throw .stale }
        let remote = negotiated.remote
        guard (4...256).contains(remote.ufrag.utf8.count),
            (22...256).contains(remote.pwd.utf8.count)
        else { throw .invalid("ICE credentials (RFC 8839 section 5.4)") }
        guard !negotiated.fingerprints.isEmpty else { throw .invalid("no usable fingerprint") }
        var ids = rh_extension_ids(negotiated.extensions)
        guard rh_peer_set_extensions(core, id.handle, &ids) == RH_OK else {
            throw .invalid("header-extension ids")
        }
        peer.ice.setRemote(remote, nowUs: nowUs)
        let former = peer.transport
        peer.transport = negotiated
        let isSame = former.map { Set($0.fingerprints) == Set(negotiated.fingerprints) } ?? false
        guard !isSame || peer.dtls == nil else { return }
        peer.dtls = try DtlsConnection(
            shared.certificate, role: negotiated.role, fingerprints: negotiated.fingerprints)
        peer.isEstablished = false
        peer.hasStartedDtls = false
        peer.hasFailed = false
        startDtls(peer)
    }

    // MARK: - DTLS

    /// The active side's first flight, as soon as there is somewhere to send it.
    private func startDtls(_ peer: Peer) {
        guard peer.transport?.role == .active, let selected = peer.ice.selected,
            peer.dtls?.state == .handshaking, !peer.hasStartedDtls
        else { return }
        peer.hasStartedDtls = true
        peer.dtls?.start()
        sendDtls(peer, to: selected)
    }

    func onDtls(_ bytes: Span<UInt8>, peer handle: UInt32, from: Endpoint, nowUs: UInt64) {
        guard let peer = peers[handle], peer.dtls != nil, !peer.hasFailed else {
            control.dtlsWithoutPeer += 1
            return
        }
        peer.dtlsAddress = from
        peer.dtls?.receive(bytes)
        sendDtls(peer, to: from)
        noteDtls(peer, nowUs: nowUs)
    }

    func sendDtls(_ peer: Peer, to endpoint: Endpoint?) {
        guard let datagrams = peer.dtls?.takeDatagrams(), let endpoint else { return }
        for datagram in datagrams { send(datagram, to: endpoint) }
    }

    func tickDtls(_ peer: Peer, nowUs: UInt64) {
        guard peer.dtls?.state == .handshaking else { return }
        peer.dtls?.onTick()
        sendDtls(peer, to: peer.ice.selected ?? peer.dtlsAddress)
        noteDtls(peer, nowUs: nowUs)
    }

    /// Acts on what the connection's state became.
    private func noteDtls(_ peer: Peer, nowUs: UInt64) {
        switch peer.dtls?.state {
        case .established where !peer.isEstablished: establish(peer, nowUs: nowUs)
        case .failed(let reason): fail(peer, reason)
        case .closed where !peer.hasFailed:
            peer.hasFailed = true
            peer.isEstablished = false
            emit(.disconnected(peer.id, reason: .closedByPeer))
        default: break
        }
    }

    private func establish(_ peer: Peer, nowUs: UInt64) {
        guard let keying = peer.dtls?.keying() else {
            fail(peer, "no SRTP keys")
            return
        }
        var receive = rh_srtp_keys(keying.receive)
        var send = rh_srtp_keys(keying.send)
        let profile = rh_srtp_profile(UInt32(keying.profile.rawValue))
        guard rh_peer_set_srtp(core, peer.id.handle, profile, &receive, &send) == RH_OK else {
            fail(peer, "the SRTP profile is refused")
            return
        }
        peer.isEstablished = true
        shared.logger.debug("connected", metadata: ["peer": "\(peer.id) \(peer.label)"])
        emit(.connected(peer.id))
    }

    private func fail(_ peer: Peer, _ reason: String) {
        guard !peer.hasFailed else { return }
        peer.hasFailed = true
        peer.isEstablished = false
        control.dtlsFailures += 1
        shared.logger.info(
            "DTLS failed", metadata: ["peer": "\(peer.id) \(peer.label)", "reason": "\(reason)"])
        emit(.disconnected(peer.id, reason: .dtlsFailed(reason)))
    }
}
