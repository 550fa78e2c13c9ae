/* One outgoing RTP stream of a peer. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TRACK_SLOT_H
#define RH_TRACK_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"
#include "select/rewrite.h"
#include "select/select.h"
#include "track/runs.h"

/* A resend that was made: not again within a round trip. Its place is seq % RH_RESENDS_PER_SLOT. */
struct rh_resend_mark {
    uint16_t at_ms; /* of the worker's clock, modulo 2^16, the lowest bit set; 0: none */
    uint16_t seq;
};

/* Owner: struct rh_media. 1 KiB; what each packet touches comes first, in four cache lines. */
struct rh_slot {
    alignas(64) rh_slot_id id; /* 0: destroyed */
    uint32_t peer_index;
    struct rh_select select;
    uint8_t payload_type, rtx_payload_type;
    bool has_header;      /* header was made for the present extensions and binding */
    bool has_rtx;         /* resends are a stream of their own (RFC 4588) */
    uint8_t kind;         /* of config */
    uint8_t listed_class; /* size under which its newest packet of listed_round was listed */
    uint32_t listed_round;
    uint64_t index_base;  /* outgoing number at which the SRTP index of the current keys begins */

    alignas(64) struct rh_header_template header;

    alignas(64) struct rh_rewrite rewrite;
    uint64_t sent_packets, sent_bytes;
    uint64_t last_sent_us;

    alignas(64) uint32_t previous; /* in the peer's list of slots; RH_NO_INDEX: end */
    uint32_t next;
    uint32_t track_index;    /* RH_NO_INDEX: unbound */
    uint32_t position;       /* in the track's subscriptions */
    struct rh_slot_config config;
    struct rh_target target;
    uint8_t mid_bytes;
    uint8_t from_encoding;  /* carried before the switch to come */
    rh_track_id from_track; /* of from_encoding; 0: none */
    bool paused;
    bool announce_switch; /* RH_EVENT_SWITCHED found no room */
    uint64_t rtx_next_seq64;
    uint64_t rtx_index_base;
    uint64_t resent_packets;
    struct rh_runs runs;
    struct rh_resend_mark resends[RH_RESENDS_PER_SLOT];
};

/* Asks for the cache lines that a packet on its way to the slot touches. */
static inline void rh_slot_prefetch(const struct rh_slot *slot)
{
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(&slot->rewrite, 1);
    __builtin_prefetch((const uint8_t *)&slot->rewrite + 64, 1);
}

/* The same for a packet that is written. */
static inline void rh_slot_prefetch_writing(const struct rh_slot *slot)
{
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(&slot->header);
    __builtin_prefetch(&slot->sent_packets, 1);
}

#endif
