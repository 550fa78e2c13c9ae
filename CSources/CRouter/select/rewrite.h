/* Outgoing numbers of a slot: sequence numbers, timestamps, VP8 and VP9 picture ids, TL0PICIDX,
 * frame numbers of dependency descriptors. SPDX-License-Identifier: Apache-2.0
 *
 * Between two events (a switch to another source, packets left out on purpose) outgoing numbers
 * differ from incoming ones by constants: a run. What is left out on purpose leaves no hole; what
 * has not arrived leaves one, so that the subscriber asks for it and a late packet or a resend fits
 * in. A run begins right after the last packet left out.
 *
 * Newest packets go through rh_rewrite_switch, _forward and _drop in the order of arrival. For late
 * packets and resends the caller remembers rewrite->run after each switch and each drop: out = in +
 * constants of the run that holds the number, and only numbers below the next run's first are in
 * it; of runs with the same first_out_seq64 the newer counts. Decided once: a late packet that
 * would have been left out leaves its hole.
 *
 * RFC 7741 section 4.2 (picture ids, TL0PICIDX), RFC 3550 section 6.4.1 (sender reports).
 * Owner: struct rh_slot. */
#ifndef RH_SELECT_REWRITE_H
#define RH_SELECT_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/packet.h"

/* Constants of a run: outgoing = incoming + offset. */
struct rh_rewrite_run {
    uint64_t first_in_seq64;    /* smallest incoming number of the run */
    uint64_t first_out_seq64;   /* what it becomes */
    uint32_t timestamp_offset;  /* modulo 2^32 */
    uint16_t picture_id_offset; /* modulo 2^15 for VP8 and VP9, 2^16 for frame numbers */
    uint8_t tl0_offset;         /* modulo 2^8 */
};

struct rh_rewrite {
    struct rh_rewrite_run run;   /* the current one */
    uint64_t highest_in_seq64;   /* of the carried source, sent or left out; 0: no source */
    uint64_t highest_out_seq64;  /* written or left as a hole; before the first packet the number
                                    below it */
    uint64_t last_arrival_us;    /* of the newest forwarded packet */
    uint32_t last_timestamp;     /* outgoing, newest forwarded */
    uint32_t aligned_offset;     /* timestamp_offset as sender reports have it, without the step
                                    that kept timestamps going forward */
    uint32_t dropped_timestamp;  /* incoming, of the newest packet left out */
    uint32_t hole_timestamp;     /* outgoing, above those of holes behind the newest forwarded */
    uint16_t last_picture_id;    /* outgoing, highest sent or kept for a hole; so is last_tl0 */
    uint16_t dropped_picture_id; /* incoming, of the newest picture left out */
    uint8_t last_tl0;
    bool has_sent;               /* something was forwarded ever */
    bool has_picture_id;         /* last_picture_id is known; so for the next two */
    bool has_tl0;
    bool has_dropped_picture;    /* in the current source */
    bool is_dropping;            /* the newest packet was left out */
    bool has_hole;               /* hole_timestamp is known */
};

/* What becomes of one packet. */
struct rh_rewritten {
    uint64_t seq64;     /* the packet's seq is its lower 16 bits */
    uint32_t timestamp;
};

/* A sender report of a source (RFC 3550 section 6.4.1), ntp in 2^-32 s. */
struct rh_clock_point {
    uint64_t ntp;
    uint32_t rtp;
    bool known;
};

/* What is known at a switch. */
struct rh_rewrite_source {
    uint64_t seq64;       /* of the packet */
    uint64_t arrival_us;  /* of the packet */
    uint32_t clock_rate;  /* Hz */
    uint32_t step;        /* least advance of the timestamp, clock units: one frame */
    struct rh_clock_point from, to; /* of the source carried until now and of the new one. Not known
                                       when they have no common clock (another publisher) */
};

/* Begins with no source. first_seq64: RH_SEQ64_FIRST or above, its lower 16 bits well below 2^15
 * (RFC 3711 section 3.3.1: early loss must not confuse the receiver's rollover counter). */
void rh_rewrite_init(struct rh_rewrite *rewrite, uint64_t first_seq64, uint32_t first_timestamp);

/* Continues with another source, of which packet is the first to be forwarded: the next sequence
 * number, the next picture id and TL0PICIDX; a timestamp aligned by both sender reports, and by
 * time of arrival when they are not known or place the packet more than a second off; at least
 * step after the last one. Begins a run. */
struct rh_rewritten rh_rewrite_switch(
    struct rh_rewrite *rewrite, const struct rh_packet *packet,
    const struct rh_rewrite_source *source);

/* Maps the newest packet of the carried source; seq64 is above highest_in_seq64. Numbers between
 * that have not arrived stay holes. */
struct rh_rewritten rh_rewrite_forward(
    struct rh_rewrite *rewrite, const struct rh_packet *packet, uint64_t seq64,
    uint64_t arrival_us);

/* Leaves out the newest packet of the carried source: sequence numbers close up behind it, and so
 * do VP8 picture ids when nothing of its picture was forwarded (layer.is_dense). What is missing
 * between two such packets of one picture gets no hole either. Begins a run. */
void rh_rewrite_drop(struct rh_rewrite *rewrite, const struct rh_packet *packet, uint64_t seq64);

/* Bytes to put in place of the first skip bytes of a payload. */
struct rh_patch {
    uint8_t skip;  /* 0: the payload goes out as it is */
    uint8_t count;
    uint8_t bytes[10]; /* count of them count */
};

/* The patch that applies a run's constants to a VP8 or VP9 descriptor. Picture ids become 15 bits
 * wide whatever the source has (RFC 7741 section 4.2: the width is free a packet), so count may
 * be skip + 1.
 *
 * payload  of the source packet; 8 bytes can be read whatever its size (a buffer's slack)
 * layer    with extended picture id (rh_picture_ids_extend) */
struct rh_patch rh_rewrite_patch(
    const struct rh_rewrite_run *run, const struct rh_layer_info *layer, const uint8_t *payload);

/* Copies a payload with its patch. out: payload_bytes + 1 bytes, apart from payload.
 * Returns the bytes written. */
size_t rh_patch_apply(
    const struct rh_patch *patch, const uint8_t *payload, size_t payload_bytes, uint8_t *out);

#endif
