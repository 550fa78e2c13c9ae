// Between Swift values and the packet path's C structs. SPDX-License-Identifier: Apache-2.0

import CRouter

extension rh_address {
    init(_ endpoint: Endpoint) {
        self.init()
        family = endpoint.address.family.rawValue
        port = endpoint.port
        let bytes = endpoint.address.networkBytes
        withUnsafeMutableBytes(of: &ip) { $0.copyBytes(from: bytes) }
    }
}

extension Endpoint {
    /// IPv4-mapped addresses become IPv4 ones.
    init?(_ address: rh_address) {
        let count = address.family == 4 ? 4 : 16
        let bytes = withUnsafeBytes(of: address.ip) { [UInt8]($0.prefix(count)) }
        guard let ip = IPAddress(networkBytes: bytes) else { return nil }
        self.init(address: ip, port: address.port)
    }
}

extension MediaKind {
    var core: UInt8 {
        UInt8(truncatingIfNeeded: self == .audio ? RH_AUDIO.rawValue : RH_VIDEO.rawValue)
    }
}

extension MediaCodec {
    var core: UInt8 {
        let codec = switch self {
        case .opus: RH_CODEC_OPUS
        case .vp8: RH_CODEC_VP8
        case .vp9: RH_CODEC_VP9
        case .h264: RH_CODEC_H264
        case .av1: RH_CODEC_AV1
        }
        return UInt8(truncatingIfNeeded: codec.rawValue)
    }

    var isAudio: Bool { self == .opus }
}

extension rh_extension_ids {
    init(_ ids: ExtensionIDs) {
        self.init()
        mid = ids.mid ?? 0
        rid = ids.rid ?? 0
        repaired_rid = ids.repairedRid ?? 0
        abs_send_time = ids.absSendTime ?? 0
        transport_seq = ids.transportSequence ?? 0
        audio_level = ids.audioLevel ?? 0
        dependency_descriptor = ids.dependencyDescriptor ?? 0
        video_orientation = ids.videoOrientation ?? 0
    }
}

extension rh_srtp_keys {
    init(_ direction: SrtpKeying.Direction) {
        self.init()
        withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: direction.key) }
        withUnsafeMutableBytes(of: &salt) { $0.copyBytes(from: direction.salt) }
    }
}

/// Longest text in a `char[RH_MID_BYTES_MAX + 1]`.
let midBytesMax = Int(RH_MID_BYTES_MAX)

extension rh_track_config {
    /// nil when a number of encodings or a text does not fit.
    init?(_ publication: PublicationDescription) {
        let encodings = publication.encodings
        let texts = encodings.map(\.rid) + [publication.mid]
        guard (1...Int(RH_ENCODINGS_MAX)).contains(encodings.count),
            texts.allSatisfy({ $0.utf8.count <= midBytesMax })
        else { return nil }
        self.init()
        kind = publication.kind.core
        codec = publication.codec.core
        payload_type = publication.payloadType
        rtx_payload_type = publication.rtxPayloadType ?? 0
        encoding_count = UInt8(encodings.count)
        clock_rate = publication.clockRate
        withUnsafeMutableBytes(of: &mid) { $0.copyBytes(from: publication.mid.utf8) }
        withUnsafeMutableBytes(of: &rid) { bytes in
            for (index, encoding) in encodings.enumerated() {
                let place = UnsafeMutableRawBufferPointer(
                    rebasing: bytes[(index * (midBytesMax + 1))...])
                place.copyBytes(from: encoding.rid.utf8)
            }
        }
        withUnsafeMutableBytes(of: &ssrc) { bytes in
            for (index, encoding) in encodings.enumerated() {
                bytes.storeBytes(of: encoding.ssrc ?? 0, toByteOffset: 4 * index, as: UInt32.self)
            }
        }
        withUnsafeMutableBytes(of: &rtx_ssrc) { bytes in
            for (index, encoding) in encodings.enumerated() {
                bytes.storeBytes(
                    of: encoding.rtxSSRC ?? 0, toByteOffset: 4 * index, as: UInt32.self)
            }
        }
    }
}

extension rh_slot_config {
    init?(_ slot: SlotDescription, clockRate: UInt32) {
        guard slot.ssrc != 0, slot.mid.utf8.count <= midBytesMax else { return nil }
        self.init()
        kind = slot.kind.core
        ssrc = slot.ssrc
        rtx_ssrc = slot.rtxSSRC ?? 0
        clock_rate = clockRate
        withUnsafeMutableBytes(of: &mid) { $0.copyBytes(from: slot.mid.utf8) }
    }
}

extension WorkerCounters {
    init(_ c: rh_counters, worker: Int, port: UInt16) {
        self.init()
        self.worker = worker
        self.port = port
        (receivedPackets, receivedBytes) = (c.received_packets, c.received_bytes)
        (sentPackets, sentBytes) = (c.sent_packets, c.sent_bytes)
        (forwardedPackets, resentPackets) = (c.forwarded_packets, c.resent_packets)
        (relayedPackets, relayFull) = (c.relayed_packets, c.relay_full)
        (sendCalls, receiveCalls) = (c.send_calls, c.receive_calls)
        (sendDropped, sendErrors) = (c.send_dropped, c.send_errors)
        kernelDropped = c.kernel_dropped
        drops = [
            ("unknown_address", c.drop_unknown_address), ("unknown_source", c.drop_unknown_source),
            ("malformed", c.drop_malformed), ("unauthentic", c.drop_unauthentic),
            ("replayed", c.drop_replayed), ("no_keys", c.drop_no_keys),
            ("no_buffer", c.drop_no_buffer), ("unhandled", c.drop_unhandled),
            ("muted", c.drop_muted),
        ]
        (eventsLost, jobsRun) = (c.events_lost, c.jobs_run)
        (loopLagMaxMicroseconds, relayLagMaxMicroseconds) = (c.loop_lag_max_us, c.relay_lag_max_us)
        (busyMicroseconds, sendWindowMicroseconds) = (c.busy_us, c.send_window_us)
        noteSending(c)
        (peers, tracks, slots, buffers) = (c.peers, c.tracks, c.slots, c.buffers_used)
        (receiveBufferBytes, sendBufferBytes) = (c.receive_buffer_bytes, c.send_buffer_bytes)
    }
    private mutating func noteSending(_ c: rh_counters) {
        sentMessages = c.sent_messages
        (segmentedMessages, segmentedPackets) = (c.segmented_messages, c.segmented_packets)
        isSegmentationRefused = c.segmentation_refused != 0
        (coalescedMessages, coalescedPackets) = (c.coalesced_messages, c.coalesced_packets)
        (paddedPackets, paddingBytes) = (c.padded_packets, c.padding_bytes)
        queueFull = c.queue_full
        forwardLatency = withUnsafeBytes(of: c.forward_latency) { bytes in
            [UInt64](bytes.bindMemory(to: UInt64.self))
        }
    }
}
