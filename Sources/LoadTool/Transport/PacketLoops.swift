// The packet loops: threads that send, receive and count. SPDX-License-Identifier: Apache-2.0

import CLoad
import Glibc
package import MediaPlane
import Synchronization

/// A STUN or DTLS datagram that came up from a loop.
package struct ControlDatagram: Sendable {
    package var isDtls: Bool
    package var bytes: [UInt8]
}

/// What a loop was refused.
package struct PacketLoopError: Error, CustomStringConvertible {
    package let description: String

    init(_ doing: String, _ result: rh_result) {
        description = "\(doing): " + (result == RH_SYSTEM
            ? String(cString: strerror(errno)) : "result \(result.rawValue)")
    }
}

/// How endpoints treat what they receive.
package struct EndpointOptions: Sendable {
    package var decrypt = DecryptShare.none
    package var extensions = HeaderIDs()

    package init() {}
}

/// Header-extension ids that were agreed on; 0: not.
package struct HeaderIDs: Sendable, Equatable {
    package var mid: UInt8 = 0, rid: UInt8 = 0, repairedRid: UInt8 = 0
    package var absSendTime: UInt8 = 0, transportSequence: UInt8 = 0, audioLevel: UInt8 = 0

    package init() {}

    fileprivate var c: rh_extension_ids {
        var ids = rh_extension_ids()
        ids.mid = mid
        ids.rid = rid
        ids.repaired_rid = repairedRid
        ids.abs_send_time = absSendTime
        ids.transport_seq = transportSequence
        ids.audio_level = audioLevel
        return ids
    }
}

/// All packet threads of a run. Any thread may call.
package final class PacketLoops: @unchecked Sendable {
    // Unchecked: the C loops may be called from any thread until `stop`, which the owner calls
    // when nobody else holds an endpoint any more.
    package typealias Handler = @Sendable (ControlDatagram) -> Void

    private struct Table {
        var handlers: [UInt64: Handler] = [:]
        var last: UInt64 = 0
    }
    private let table = Mutex(Table())
    private var loops: [OpaquePointer] = []
    package let count: Int

    /// - Parameters:
    ///   - loss: share of datagrams lost on purpose in each direction.
    package init(threads: Int, loss: Double, seed: UInt64) throws {
        count = threads
        for index in 0..<threads {
            var config = rh_load_loop_config()
            config.calls.context = Unmanaged.passUnretained(self).toOpaque()
            config.calls.on_datagram = { context, datagram in
                guard let context, let datagram = datagram?.pointee else { return }
                Unmanaged<PacketLoops>.fromOpaque(context).takeUnretainedValue().hand(datagram)
            }
            config.impairment.loss_in = loss
            config.impairment.loss_out = loss
            config.impairment.seed = seed &+ UInt64(index)
            var made: OpaquePointer?
            let result = rh_load_loop_create(&config, &made)
            guard result == RH_OK, let made else {
                stop()
                throw PacketLoopError("a packet thread could not be made", result)
            }
            loops.append(made)
        }
    }

    /// Ends the threads. Once, as the last call.
    package func stop() {
        for loop in loops { rh_load_loop_destroy(loop) }
        loops = []
    }

    private func hand(_ datagram: rh_load_datagram) {
        guard let handler = table.withLock({ $0.handlers[datagram.user] }) else { return }
        let bytes = [UInt8](UnsafeBufferPointer(start: datagram.bytes, count: Int(datagram.size)))
        handler(ControlDatagram(isDtls: datagram.kind == RH_LOAD_DTLS.rawValue, bytes: bytes))
    }

    /// A socket of its own on the loop whose turn it is.
    package func makeEndpoint(
        _ options: EndpointOptions, handler: @escaping Handler
    ) throws -> MediaEndpoint {
        let user = table.withLock { table in
            table.last += 1
            table.handlers[table.last] = handler
            return table.last
        }
        var config = rh_load_endpoint_config()
        config.user = user
        config.ids = options.extensions.c
        switch options.decrypt {
        case .none: config.decrypt = UInt8(RH_LOAD_DECRYPT_NONE.rawValue)
        case .oneOf(1): config.decrypt = UInt8(RH_LOAD_DECRYPT_ALL.rawValue)
        case .oneOf(let interval):
            config.decrypt = UInt8(RH_LOAD_DECRYPT_SAMPLE.rawValue)
            config.decrypt_interval = UInt32(interval)
        }
        config.nack_on = true
        config.picture_loss_on = true
        let loop = loops[Int(user % UInt64(loops.count))]
        var id: rh_load_endpoint_id = 0
        var local = rh_address()
        let result = rh_load_endpoint_create(loop, &config, &id, &local)
        guard result == RH_OK else {
            forget(user)
            throw PacketLoopError("a participant's socket could not be made", result)
        }
        return MediaEndpoint(owner: self, loop: loop, id: id, user: user)
    }

    fileprivate func forget(_ user: UInt64) {
        _ = table.withLock { $0.handlers.removeValue(forKey: user) }
    }

    // MARK: - Reports

    /// Sums over all loops.
    package func counts() -> PacketCounts {
        var all = PacketCounts()
        for loop in loops {
            var report = rh_load_loop_report()
            rh_load_loop_get_report(loop, &report)
            all.add(report)
        }
        return all
    }

    package func histogram(_ kind: HistogramKind) -> Histogram {
        var buckets = [UInt64](repeating: 0, count: Int(RH_LOAD_BUCKETS))
        for loop in loops { rh_load_loop_add_histogram(loop, kind.c, &buckets) }
        return Histogram(buckets)
    }

    /// Histograms and maxima begin anew.
    package func resetHistograms() {
        for loop in loops { rh_load_loop_reset_histograms(loop) }
    }
}

/// SRTP keys as DTLS gave them.
extension rh_srtp_keys {
    fileprivate init(_ direction: SrtpKeying.Direction) {
        self.init()
        withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: direction.key.prefix(16)) }
        withUnsafeMutableBytes(of: &salt) { $0.copyBytes(from: direction.salt.prefix(14)) }
    }
}

/// One participant's socket, streams and slots on a loop. A value that names it; `close` ends it.
package struct MediaEndpoint: @unchecked Sendable {
    // Unchecked: the loop's functions take any thread, and `owner` keeps the loop alive.
    private let owner: PacketLoops
    private let loop: OpaquePointer
    private let id: rh_load_endpoint_id
    private let user: UInt64

    fileprivate init(
        owner: PacketLoops, loop: OpaquePointer, id: rh_load_endpoint_id, user: UInt64
    ) {
        self.owner = owner
        self.loop = loop
        self.id = id
        self.user = user
    }

    private func check(_ doing: String, _ result: rh_result) throws {
        guard result == RH_OK else { throw PacketLoopError(doing, result) }
    }

    package func setRemote(_ remote: Endpoint) throws {
        var address = rh_address()
        address.family = remote.address.family.rawValue
        address.port = remote.port
        let bytes = remote.address.networkBytes
        withUnsafeMutableBytes(of: &address.ip) { $0.copyBytes(from: bytes) }
        try check("set the remote address", rh_load_endpoint_set_remote(loop, id, &address))
    }

    package func setExtensions(_ ids: HeaderIDs) throws {
        var c = ids.c
        try check("set header extensions", rh_load_endpoint_set_extensions(loop, id, &c))
    }

    /// STUN or DTLS; what the kernel refuses is resent by timers.
    package func send(_ datagram: [UInt8]) {
        _ = rh_load_endpoint_send(loop, id, nil, datagram, datagram.count)
    }

    package func setKeys(_ keying: SrtpKeying) throws {
        var send = rh_srtp_keys(keying.send)
        var receive = rh_srtp_keys(keying.receive)
        let profile = rh_srtp_profile(rawValue: UInt32(keying.profile.rawValue))
        try check("set SRTP keys", rh_load_endpoint_set_srtp(loop, id, profile, &send, &receive))
    }

    package func publish(_ stream: StreamPlan) throws {
        var config = stream.c
        try check("start a stream", rh_load_stream_start(loop, id, &config))
    }

    package func stop(ssrc: UInt32) { _ = rh_load_stream_stop(loop, id, ssrc) }

    package func expect(_ slots: [SlotPlan]) throws {
        let configs = slots.map(\.c)
        try check(
            "expect streams", rh_load_slots_expect(loop, id, configs, UInt32(configs.count)))
    }

    /// Measures the time to the first packet and frame of a subscription, also when they have
    /// come already while the endpoint watched.
    ///
    /// - Parameters:
    ///   - source: as in the publisher's `StreamPlan`; 0: any.
    ///   - since: nanoseconds of the monotonic clock.
    package func mark(ssrc: UInt32, source: UInt32, since: UInt64) {
        var mark = rh_load_mark()
        mark.ssrc = ssrc
        mark.source_id = source
        mark.since_ns = since
        _ = rh_load_slot_mark(loop, id, &mark)
    }

    /// Opens every packet for a while: a subscription goes out whose slot is not known yet.
    package func watch(_ nanoseconds: UInt64) {
        _ = rh_load_endpoint_watch(loop, id, nanoseconds)
    }

    package func rest(ssrc: UInt32) { _ = rh_load_slot_rest(loop, id, ssrc) }

    package func close() {
        _ = rh_load_endpoint_destroy(loop, id)
        owner.forget(user)
    }
}
