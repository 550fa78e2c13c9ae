/* Which packets of a track a slot carries. SPDX-License-Identifier: Apache-2.0
 *
 * Values in, values out: the state of one slot, one parsed packet, a decision. Encodings
 * (simulcast) change at the first packet of a keyframe of the wanted one. Temporal layers (VP8,
 * VP9) go down at the next picture and up where the stream allows it; spatial layers (VP9) go
 * down at the next picture and up at a keyframe. Owner: struct rh_slot. 20 B. */
#ifndef RH_SELECT_SELECT_H
#define RH_SELECT_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "rh_router.h"
#include "wire/packet.h"

enum {
    RH_SELECT_NOTHING = 255, /* no encoding */
    RH_SELECT_ALL = 255,     /* every layer */
};

struct rh_select {
    struct rh_target target;
    uint8_t codec;    /* enum rh_codec */
    uint8_t carried;  /* encoding; RH_SELECT_NOTHING before the first switch */
    uint8_t spatial;  /* highest layer of the current picture that is carried; 255 all */
    uint8_t temporal; /* highest layer carried; 255 all */
    uint8_t raised_spatial;  /* what was carried before the newest raise; 255: everything */
    uint8_t raised_temporal;
    bool in_picture;         /* picture_timestamp is known */
    uint32_t picture_timestamp; /* incoming timestamp of the newest picture */
    uint32_t raised_timestamp;  /* incoming, of the first picture with more layers than before */
};

enum rh_select_action {
    RH_SELECT_IGNORE,  /* not of the carried encoding: no part of the slot's stream */
    RH_SELECT_DROP,    /* of the carried encoding, left out on purpose: rh_rewrite_drop */
    RH_SELECT_FORWARD, /* rh_rewrite_forward */
    RH_SELECT_SWITCH,  /* first packet of a newly carried encoding: rh_rewrite_switch */
};

struct rh_select_decision {
    uint8_t action; /* enum rh_select_action */
    bool marker;    /* of the outgoing packet */
};

/* Begins to carry a track of that codec, from nothing: also after bind and when the carried
 * stream was replaced by another (SSRC restart). */
void rh_select_init(struct rh_select *select, enum rh_codec codec, struct rh_target target);

/* Changes the target. A target of the carried encoding cancels a switch that was waited for. */
void rh_select_set_target(struct rh_select *select, struct rh_target target);

/* Encoding that is waited for; RH_SELECT_NOTHING when the target is carried. */
static inline uint8_t rh_select_awaited(const struct rh_select *select)
{
    return select->carried == select->target.encoding ? RH_SELECT_NOTHING
                                                      : select->target.encoding;
}

/* Decides about a packet and takes note of it.
 *
 * encoding  the packet's
 * packet    with layer info; the newest of its encoding (higher seq64 than all before it)
 * Packets without payload (padding only) are never forwarded. Audio needs no keyframe. */
struct rh_select_decision rh_select_decide(
    struct rh_select *select, uint8_t encoding, const struct rh_packet *packet);

/* Decides about a packet of the carried encoding that came late (its seq64 is below the highest):
 * FORWARD when its layers are carried now and were when its picture was the newest, else IGNORE.
 * Changes nothing; whether the packet has a place in the outgoing stream is for the runs to say
 * (rewrite.h). */
struct rh_select_decision rh_select_decide_late(
    const struct rh_select *select, const struct rh_packet *packet);

#endif
