// A client for the tests of workers: ICE, DTLS and SRTP over a real socket on loopback.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import MediaPlane
import Testing

/// One received RTP packet.
struct RtpPacket: Equatable {
    var payloadType: UInt8
    var marker: Bool
    var sequence: UInt16
    var timestamp: UInt32
    var ssrc: UInt32
    var payload: [UInt8]

    init(
        payloadType: UInt8, sequence: UInt16, timestamp: UInt32, ssrc: UInt32, payload: [UInt8],
        marker: Bool = true
    ) {
        self.payloadType = payloadType
        self.marker = marker
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
    }

    init?(_ bytes: [UInt8]) {
        guard let header = SrtpPeer.headerSize(bytes) else { return nil }
        func number(_ range: Range<Int>) -> UInt32 {
            bytes[range].reduce(0) { $0 << 8 | UInt32($1) }
        }
        let end = bytes[0] & 0x20 != 0 ? bytes.count - Int(bytes[bytes.count - 1]) : bytes.count
        guard end >= header else { return nil }
        self.init(
            payloadType: bytes[1] & 0x7f, sequence: UInt16(number(2..<4)),
            timestamp: number(4..<8), ssrc: number(8..<12), payload: [UInt8](bytes[header..<end]),
            marker: bytes[1] & 0x80 != 0)
    }

    /// With one-byte extensions (RFC 8285 section 4.2), id and value each.
    func bytes(extensions: [(UInt8, [UInt8])] = []) -> [UInt8] {
        var bytes: [UInt8] = [extensions.isEmpty ? 0x80 : 0x90, payloadType | (marker ? 0x80 : 0)]
        bytes += [UInt8(sequence >> 8), UInt8(sequence & 255)]
        for number in [timestamp, ssrc] {
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * UInt32($0))) }
        }
        guard !extensions.isEmpty else { return bytes + payload }
        var block = extensions.flatMap { [$0.0 << 4 | UInt8($0.1.count - 1)] + $0.1 }
        while block.count % 4 != 0 { block.append(0) }
        return bytes + [0xbe, 0xde, 0, UInt8(block.count / 4)] + block + payload
    }
}

/// A participant's far side. Everything happens in `run`, on the caller's thread.
final class LoopbackClient {
    let credentials: IceCredentials
    let certificate: DtlsCertificate
    private(set) var rtp: [RtpPacket] = []
    private(set) var rtcp: [RtcpPacket] = []
    private(set) var stun: [StunMessage] = []
    private(set) var undecrypted = 0
    private let socket: Int32
    private var node: sockaddr_in
    private var dtls: DtlsConnection?
    private var participant: MediaParticipant?
    private var send: SrtpPeer?
    private var receive: SrtpPeer?

    init(port: UInt16) throws {
        let made = try DtlsCertificate(days: 1)
        certificate = made
        credentials = IceCredentials(
            ufrag: "test", pwd: "passwordpasswordpassword")
        socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        node = sockaddr_in()
        node.sin_family = sa_family_t(AF_INET)
        node.sin_port = port.bigEndian
        node.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        #expect(socket >= 0)
    }

    deinit { Glibc.close(socket) }

    var isConnected: Bool { send != nil }

    /// What signalling would tell the node.
    func description(extensions: ExtensionIDs = ExtensionIDs()) -> TransportDescription {
        TransportDescription(
            remote: credentials, fingerprints: [certificate.fingerprint], extensions: extensions)
    }

    // MARK: - Sending

    func sendRaw(_ bytes: [UInt8]) {
        withUnsafePointer(to: &node) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = Glibc.sendto(
                    socket, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    func check(_ local: IceCredentials, username: String? = nil, isNominating: Bool = true) {
        var writer = StunWriter(.request, transaction: StunTransaction(high: 1, low: 1))
        writer.addUsername(username ?? "\(local.ufrag):\(credentials.ufrag)")
        writer.addPriority(1)
        writer.addRole(isControlling: true, tieBreaker: 1)
        if isNominating { writer.addUseCandidate() }
        sendRaw(writer.finish(key: [UInt8](local.pwd.utf8)))
    }

    func send(_ packet: RtpPacket, extensions: [(UInt8, [UInt8])] = []) {
        guard let send else { return }
        sendRaw(send.protect(rtp: packet.bytes(extensions: extensions)))
    }

    func send(_ writer: RtcpWriter) {
        guard let bytes = send?.protect(rtcp: writer.bytes) else { return }
        sendRaw(bytes)
    }

    // MARK: - Connecting and receiving

    /// ICE and DTLS up to the keys.
    func connect(_ participant: MediaParticipant, expecting fingerprint: Fingerprint) throws {
        self.participant = participant
        check(participant.ice)
        try run { !self.stun.isEmpty }
        dtls = try DtlsConnection(certificate, role: .active, fingerprints: [fingerprint])
        dtls?.start()
        flushDtls()
        try run { self.isConnected }
    }

    func sayGoodbye() {
        dtls?.close()
        flushDtls()
    }

    func forget() {
        rtp = []
        rtcp = []
        stun = []
    }

    /// Receives until the condition holds; records an issue after 20 s.
    func run(
        _ location: SourceLocation = #_sourceLocation, until isDone: () -> Bool
    ) throws {
        let start = ContinuousClock.now
        while !isDone() {
            guard ContinuousClock.now < start + .seconds(20) else {
                throw Waited(location: location)
            }
            receiveOnce(milliseconds: 10)
            dtls?.onTick()
            flushDtls()
        }
    }

    struct Waited: Error { var location: SourceLocation }

    /// Takes in what comes within the time.
    func receiveOnce(milliseconds: Int32) {
        var descriptor = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, milliseconds) > 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 2048)
        while true {
            let count = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            take([UInt8](buffer[..<count]))
        }
    }

    private func take(_ bytes: [UInt8]) {
        switch bytes[0] {
        case 0...3: if let message = parseStun(bytes) { stun.append(message) }
        case 20...63:
            dtls?.receive(bytes.span)
            flushDtls()
            if send == nil, let keying = dtls?.keying() {
                send = SrtpPeer(keying.send)
                receive = SrtpPeer(keying.receive)
            }
        case 128...191 where (192...223).contains(bytes[1]):
            guard let plain = receive?.unprotect(rtcp: bytes), let packets = parseRtcp(plain)
            else {
                undecrypted += 1
                return
            }
            rtcp += packets
        case 128...191:
            guard let packet = receive?.unprotect(rtp: bytes).flatMap(RtpPacket.init) else {
                undecrypted += 1
                return
            }
            rtp.append(packet)
        default: break
        }
    }

    private func flushDtls() {
        guard let datagrams = dtls?.takeDatagrams() else { return }
        for datagram in datagrams { sendRaw(datagram) }
    }
}
