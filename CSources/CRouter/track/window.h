/* Which of the last RH_WINDOW_PACKETS sequence numbers of a source have arrived.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bitmap indexed by the number. Tells a resend from a packet that is already there, whichever
 * SSRC brought it. Owner: struct rh_encoding. 144 B. */
#ifndef RH_TRACK_WINDOW_H
#define RH_TRACK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"

struct rh_window {
    uint64_t first_seq64;   /* 0: nothing arrived yet */
    uint64_t highest_seq64;
    uint64_t bits[RH_WINDOW_PACKETS / 64];
};

enum rh_arrived {
    RH_ARRIVED_NEWEST,    /* higher than all before; maybe with a gap below it */
    RH_ARRIVED_LATE,      /* fills a place below the highest */
    RH_ARRIVED_DUPLICATE, /* is there already, or is too old to know */
};

/* Notes that seq64 arrived. Returns what that means. */
enum rh_arrived rh_window_note(struct rh_window *window, uint64_t seq64);

/* True when seq64 arrived, is too old to know, or lies before the first. */
bool rh_window_has(const struct rh_window *window, uint64_t seq64);

#endif
