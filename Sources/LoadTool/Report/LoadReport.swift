// The result of a run. SPDX-License-Identifier: Apache-2.0

/// Percentiles of one thing.
package struct Percentiles: Sendable, Equatable, Codable {
    package var count = 0
    package var p50 = 0.0, p90 = 0.0, p99 = 0.0, p999 = 0.0, max = 0.0

    package init() {}

    /// Of values; nearest rank.
    package init(_ values: [Double]) {
        let sorted = values.sorted()
        count = sorted.count
        guard !sorted.isEmpty else { return }
        func rank(_ fraction: Double) -> Double {
            let index = Int((fraction * Double(sorted.count)).rounded(.up)) - 1
            return sorted[Swift.min(sorted.count - 1, Swift.max(0, index))]
        }
        (p50, p90, p99, p999) = (rank(0.5), rank(0.9), rank(0.99), rank(0.999))
        max = sorted[sorted.count - 1]
    }

    /// Of a histogram of nanoseconds, in units of so many nanoseconds.
    package init(_ histogram: Histogram, unit: Double) {
        count = Int(histogram.count)
        guard count > 0 else { return }
        func value(_ fraction: Double) -> Double { (histogram.quantile(fraction) ?? 0) / unit }
        (p50, p90, p99, p999) = (value(0.5), value(0.9), value(0.99), value(0.999))
        max = value(1)
    }
}

/// Everything that a run found. Its JSON form is the file of `--json`.
package struct LoadReport: Sendable, Codable {
    package struct Scenario: Sendable, Codable, Equatable {
        package var url = "", media = "", decrypt = ""
        package var meetings = 0, participants = 0, publishers = 0, feeds = 0, layers = 0
        package var threads = 0
        package var loss = 0.0
        package var churn_s: Double?
        package var seed: UInt64 = 0

        package init() {}
    }

    package struct Packets: Sendable, Codable, Equatable {
        package var sent: UInt64 = 0, expected: UInt64 = 0, received: UInt64 = 0
        package var lost: UInt64 = 0, recovered: UInt64 = 0, reordered: UInt64 = 0
        package var duplicate: UInt64 = 0, decrypted: UInt64 = 0, unauthentic: UInt64 = 0
        package var unknown: UInt64 = 0, malformed: UInt64 = 0
        /// Datagrams dropped by --loss, both directions.
        package var impaired: UInt64 = 0
        package var nacks_sent: UInt64 = 0, nacks_received: UInt64 = 0, resent: UInt64 = 0
        package var keyframe_requests: UInt64 = 0

        package init() {}
    }

    /// The same for one kind of media.
    package struct Media: Sendable, Codable, Equatable {
        package var sent: UInt64 = 0, expected: UInt64 = 0, received: UInt64 = 0
        package var lost: UInt64 = 0, recovered: UInt64 = 0, frames: UInt64 = 0

        package init() {}
    }

    package struct Joins: Sendable, Codable, Equatable {
        package var count = 0, failed = 0
        /// Milliseconds.
        package var p50 = 0.0, p90 = 0.0, p99 = 0.0, max = 0.0
        package var grant_p50 = 0.0, enter_p50 = 0.0, negotiate_p50 = 0.0, connect_p50 = 0.0
        package var failures: [String: Int] = [:]

        package init() {}
    }

    package struct Feeds: Sendable, Codable, Equatable {
        /// Subscriptions that should be carried, and that were at the end of the ramp.
        package var wanted = 0, bound = 0
        /// Slots that still waited for their first frame at the end.
        package var without_frame = 0
        package var remaps = 0

        package init() {}
    }

    package struct Server: Sendable, Codable, Equatable {
        package var pid: Int32 = 0
        package var cpu_user_s = 0.0, cpu_system_s = 0.0, cores = 0.0
        package var cpu_ns_per_packet = 0.0
        package var rss_begin_bytes: UInt64 = 0, rss_max_bytes: UInt64 = 0
        package var rss_end_bytes: UInt64 = 0

        package init() {}
    }

    package struct Tool: Sendable, Codable, Equatable {
        package var cpu_s = 0.0, cores = 0.0, busiest_thread = 0.0
        package var lag_p50_us = 0.0, lag_p99_us = 0.0, lag_max_us = 0.0
        package var receive_lag_p99_us = 0.0
        package var kernel_drops: UInt64 = 0, send_errors: UInt64 = 0, send_would_block: UInt64 = 0
        package var skipped_frames: UInt64 = 0, refused_commands: UInt64 = 0
        package var datagrams_per_receive = 0.0
        package var segmentation = true

        package init() {}
    }

    package struct Point: Sendable, Codable, Equatable {
        package var t = 0.0, sent_pps = 0.0, received_pps = 0.0, sent_bps = 0.0
        package var received_bps = 0.0, loss = 0.0, tool_cores = 0.0
        package var delay_p50_ms: Double?, delay_p99_ms: Double?, server_cores: Double?
        package var server_rss_bytes: UInt64?
        package var joined = 0
        package var measured = false

        package init() {}
    }

    package var scenario = Scenario()
    package var valid = true
    package var invalid_reasons: [String] = []
    package var thresholds_passed = true
    package var threshold_failures: [String] = []
    package var interrupted = false
    package var window_s = 0.0
    package var packets = Packets()
    package var audio = Media(), video = Media()
    package var loss = 0.0
    /// RTP bytes without UDP and IP headers.
    package var bytes_sent: UInt64 = 0, bytes_received: UInt64 = 0
    package var packets_per_second_in = 0.0, packets_per_second_out = 0.0
    package var bits_per_second_in = 0.0, bits_per_second_out = 0.0
    /// Stamp to the kernel's receive time, microseconds.
    package var one_way_us = Percentiles(), one_way_audio_us = Percentiles()
    package var one_way_video_us = Percentiles()
    package var join_ms = Joins()
    /// From the subscription, milliseconds: of the remaps inside the window, or without remaps of
    /// the ramp, where a feed may be announced before its publisher's media is connected.
    package var first_packet_ms = Percentiles(), first_frame_ms = Percentiles()
    package var feeds = Feeds()
    package var server: Server?
    package var tool = Tool()
    /// What went wrong after the joins, by reason.
    package var losses: [String: Int] = [:]
    package var series: [Point] = []

    package init() {}

    /// The process' exit status.
    package var status: Int32 { !valid ? 3 : thresholds_passed ? 0 : 1 }
}
