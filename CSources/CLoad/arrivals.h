/* Which packets of one received stream have come: loss, order, repetition, jitter.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers in, verdicts out; RFC 3550 appendices A.1, A.3 and A.8 with a window of 1024 numbers that
 * tells repetitions apart exactly. 216 B. Owner: struct rh_load_slot. */
#ifndef RH_LOAD_ARRIVALS_H
#define RH_LOAD_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

enum { RH_LOAD_WINDOW_PACKETS = 1024 };

struct rh_load_arrivals {
    uint64_t base_seq64;    /* lowest number that counts */
    uint64_t highest_seq64; /* 0: nothing came yet */
    uint64_t packets;       /* distinct numbers */
    uint64_t reordered, duplicates, gaps;
    uint64_t prior_expected, prior_packets; /* at the last receiver report */
    uint32_t jitter;        /* clock units * 16 */
    uint32_t last_transit;  /* arrival - timestamp, clock units */
    bool has_transit;
    uint64_t window[RH_LOAD_WINDOW_PACKETS / 64]; /* bit seq64 % 1024: came */
};

/* What one number meant. */
struct rh_load_arrival {
    bool is_new;          /* counts; false for a repetition and for what is older than the window */
    bool is_late;         /* below the highest */
    uint32_t skipped;     /* numbers passed over by this one, from highest before + 1 on */
    int64_t lost_change;  /* of expected - packets */
};

/* Extends a number as it came on the wire. The first packet's number counts from 2^16. */
uint64_t rh_load_arrivals_extend(const struct rh_load_arrivals *arrivals, uint16_t seq);

/* Takes in one packet. is_resend: recovered by RTX, so being late is no reordering. */
struct rh_load_arrival rh_load_arrivals_note(
    struct rh_load_arrivals *arrivals, uint64_t seq64, bool is_resend);

/* True when the number came. Numbers outside the window: false. */
bool rh_load_arrivals_has(const struct rh_load_arrivals *arrivals, uint64_t seq64);

/* Jitter (RFC 3550 appendix A.8). arrival in clock units, any origin. */
void rh_load_arrivals_note_time(
    struct rh_load_arrivals *arrivals, uint32_t arrival, uint32_t timestamp);

/* Expected less distinct packets; never below 0. */
static inline uint64_t rh_load_arrivals_lost(const struct rh_load_arrivals *arrivals)
{
    if (arrivals->highest_seq64 == 0)
        return 0;
    uint64_t expected = arrivals->highest_seq64 - arrivals->base_seq64 + 1;
    return expected > arrivals->packets ? expected - arrivals->packets : 0;
}

#endif
