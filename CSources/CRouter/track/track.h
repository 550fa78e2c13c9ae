/* What a peer publishes: a track and its encodings. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TRACK_TRACK_H
#define RH_TRACK_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "rh_router.h"
#include "track/history.h"
#include "track/subscriptions.h"
#include "track/window.h"
#include "wire/payload.h"

/* State changes that found the event array full and are to be told again. */
enum { RH_ANNOUNCE_BOUND = 1, RH_ANNOUNCE_RTX_BOUND = 2, RH_ANNOUNCE_KEYFRAME = 4,
       RH_ANNOUNCE_WANTED = 8, RH_ANNOUNCE_SWITCHED = 16 };

/* One stream of a track as received; audio and plain video have one. Owner: struct rh_track. */
struct rh_encoding {
    struct rh_window window;
    struct rh_history history;
    struct rh_picture_ids picture_ids;
    uint32_t ssrc, rtx_ssrc; /* feeding now; 0: none yet */
    uint64_t received_packets, received_bytes;
    uint64_t duplicate_packets, late_packets;
    uint64_t last_arrival_us;
    uint64_t keyframes;
    uint64_t keyframe_seq64; /* first packet of the newest; 0: none since the stream began */
    uint64_t keyframe_at_us; /* its arrival */
    uint64_t audio_level_sum, audio_level_count;
    uint64_t keyframe_wanted_at_us; /* last told; 0: never */
    uint64_t transit;               /* RFC 3550 appendix A.8, in clock units * 16 */
    uint32_t jitter_q4;             /* jitter * 16 */
    uint32_t keyframe_timestamp;    /* of the last keyframe counted */
    bool has_transit;
    bool was_muted;         /* packets were left out since the last one forwarded */
    uint8_t announce;    /* RH_ANNOUNCE_ bits */
    uint8_t epoch;       /* counts replacements of the stream, modulo 2^8 */
    bool has_report;     /* the next two are known */
    uint32_t report_rtp; /* sender report: RTP time of report_ntp */
    uint64_t report_ntp;
    uint32_t waiting_slots, active_slots;
};

/* True when the newest keyframe came so lately that a slot may begin with it, from the history. */
static inline bool rh_encoding_has_fresh_keyframe(
    const struct rh_encoding *encoding, uint64_t now_us)
{
    return encoding->keyframe_seq64 != 0 && encoding->keyframe_at_us + RH_REPLAY_US > now_us
        && encoding->window.highest_seq64 - encoding->keyframe_seq64 < RH_REPLAY_PACKETS;
}

/* One published source, or a mirror of one on another worker. Owner: struct rh_media. 1.7 KiB. */
struct rh_track {
    rh_track_id id;
    uint32_t peer_index; /* RH_NO_INDEX: a mirror */
    uint32_t previous, next; /* in the peer's list of tracks; RH_NO_INDEX: end */
    struct rh_track_config config;
    bool muted;
    struct rh_subscription_list subscriptions;
    uint64_t branch_mask;                 /* bit i: relayed to worker i */
    rh_track_id mirrors[RH_WORKERS_MAX];  /* on that worker */
    struct rh_encoding encodings[RH_ENCODINGS_MAX];
};

#endif
