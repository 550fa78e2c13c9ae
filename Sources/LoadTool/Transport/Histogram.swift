// Log-linear histograms of times, as the packet loops count them.
// SPDX-License-Identifier: Apache-2.0

import CLoad

package enum HistogramKind: Sendable, CaseIterable {
    case delayAudio, delayVideo, firstPacket, firstFrame, tickLag, receiveLag

    var c: rh_load_histogram_kind {
        switch self {
        case .delayAudio: RH_LOAD_DELAY_AUDIO
        case .delayVideo: RH_LOAD_DELAY_VIDEO
        case .firstPacket: RH_LOAD_FIRST_PACKET
        case .firstFrame: RH_LOAD_FIRST_FRAME
        case .tickLag: RH_LOAD_TICK_LAG
        case .receiveLag: RH_LOAD_RECEIVE_LAG
        }
    }
}

/// Counts by bucket; relative error below 1/128.
package struct Histogram: Sendable, Equatable {
    private var buckets: [UInt64]

    package init() { buckets = [UInt64](repeating: 0, count: Int(RH_LOAD_BUCKETS)) }

    init(_ buckets: [UInt64]) { self.buckets = buckets }

    package var count: UInt64 { rh_load_histogram_count(buckets) }

    /// Nanoseconds below which the fraction (0 to 1) of the values lies; nil without values.
    package func quantile(_ fraction: Double) -> Double? {
        count == 0 ? nil : Double(rh_load_histogram_quantile_ns(buckets, fraction))
    }

    package static func + (a: Histogram, b: Histogram) -> Histogram {
        Histogram(zip(a.buckets, b.buckets).map { $0 &+ $1 })
    }

    /// What was counted between two states of the same histogram.
    package static func - (later: Histogram, earlier: Histogram) -> Histogram {
        Histogram(zip(later.buckets, earlier.buckets).map { $0 &- min($0, $1) })
    }
}

/// Sums over the streams of one kind.
package struct MediaTotals: Sendable, Equatable {
    package var sentPackets: UInt64 = 0, sentBytes: UInt64 = 0
    /// Received, each once.
    package var packets: UInt64 = 0, bytes: UInt64 = 0, frames: UInt64 = 0
    /// Passed over and not here up to now.
    package var lost: UInt64 = 0
    package var recovered: UInt64 = 0, reordered: UInt64 = 0, duplicates: UInt64 = 0

    package init() {}

    mutating func add(_ totals: rh_load_media_totals) {
        sentPackets += totals.sent_packets
        sentBytes += totals.sent_bytes
        packets += totals.packets
        bytes += totals.bytes
        frames += totals.frames
        lost += totals.lost
        recovered += totals.recovered
        reordered += totals.reordered
        duplicates += totals.duplicates
    }
}

/// Sums of what the loops counted since they started.
package struct PacketCounts: Sendable, Equatable {
    package var nowNs: UInt64 = 0
    package var tickLagMaxNs: UInt64 = 0, receiveLagMaxNs: UInt64 = 0
    package var refusedCommands: UInt64 = 0, kernelDrops: UInt64 = 0
    package var sendErrors: UInt64 = 0, sendWouldBlock: UInt64 = 0
    package var receivedDatagrams: UInt64 = 0, receivedMessages: UInt64 = 0
    package var receivedPackets: UInt64 = 0, receivedBytes: UInt64 = 0
    package var sentPackets: UInt64 = 0, sentBytes: UInt64 = 0
    package var unknown: UInt64 = 0, unauthentic: UInt64 = 0, malformed: UInt64 = 0
    package var impairedIn: UInt64 = 0, impairedOut: UInt64 = 0
    package var keyframeRequests: UInt64 = 0, skippedFrames: UInt64 = 0
    package var nacksReceived: UInt64 = 0, nacksSent: UInt64 = 0, plisSent: UInt64 = 0
    package var resentPackets: UInt64 = 0
    package var audio = MediaTotals(), video = MediaTotals()
    package var decrypted: UInt64 = 0
    package var endpoints = 0, streams = 0, slots = 0, markedSlots = 0
    package var isSegmenting = true
    /// CPU time of each thread, in order.
    package var threadCpuNs: [UInt64] = []

    package init() {}

    mutating func add(_ report: rh_load_loop_report) {
        nowNs = max(nowNs, report.now_ns)
        threadCpuNs.append(report.cpu_ns)
        tickLagMaxNs = max(tickLagMaxNs, report.tick_lag_max_ns)
        receiveLagMaxNs = max(receiveLagMaxNs, report.receive_lag_max_ns)
        refusedCommands += report.commands_refused
        kernelDrops += report.kernel_drops
        sendErrors += report.send_errors
        sendWouldBlock += report.send_would_block
        receivedDatagrams += report.received_datagrams
        receivedMessages += report.received_messages
        receivedPackets += report.received_packets
        receivedBytes += report.received_bytes
        sentPackets += report.sent_packets
        sentBytes += report.sent_bytes
        audio.add(report.audio)
        video.add(report.video)
        addFaults(report)
        endpoints += Int(report.endpoints)
        streams += Int(report.streams)
        slots += Int(report.slots)
        markedSlots += Int(report.marked_slots)
        isSegmenting = isSegmenting && report.segmentation_on
    }

    private mutating func addFaults(_ report: rh_load_loop_report) {
        unknown += report.unknown_ssrc
        unauthentic += report.unauthentic
        malformed += report.malformed
        impairedIn += report.impaired_in
        impairedOut += report.impaired_out
        keyframeRequests += report.keyframe_requests
        skippedFrames += report.skipped_frames
        nacksReceived += report.nacks_received
        nacksSent += report.nacks_sent
        plisSent += report.plis_sent
        resentPackets += report.resent_packets
        decrypted += report.decrypted
    }

    package var slotPackets: UInt64 { audio.packets + video.packets }
    package var lost: UInt64 { audio.lost + video.lost }
    package var recovered: UInt64 { audio.recovered + video.recovered }
    package var reordered: UInt64 { audio.reordered + video.reordered }
    package var duplicates: UInt64 { audio.duplicates + video.duplicates }
}
