/* Which source packet an outgoing number stands for: the newest runs of equal distance of a slot.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Outgoing numbers have no holes of ours, so a run is known by where it begins: it ends where
 * the next begins. Within a run an outgoing packet differs from its source by constants. Looked
 * up both ways: by outgoing number for a resend, by source number for a packet that comes late.
 * Owner: struct rh_slot. 32 B a run. */
#ifndef RH_TRACK_RUNS_H
#define RH_TRACK_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"

struct rh_run {
    uint64_t first_out_seq64;
    uint64_t first_in_seq64;
    rh_track_id track;
    uint32_t timestamp_offset;  /* outgoing minus incoming, modulo 2^32 */
    uint16_t picture_id_offset; /* modulo 2^15 */
    uint8_t tl0_offset;         /* modulo 2^8 */
    uint8_t encoding;
    uint8_t payload_type;       /* outgoing */
    uint8_t epoch;              /* of the encoding: how often its stream was replaced, modulo 2^8 */
};

struct rh_runs {
    struct rh_run items[RH_RUNS_PER_SLOT]; /* a ring */
    uint32_t newest; /* place of the newest */
    uint32_t count;
};

/* Where a source packet belongs in a slot's outgoing stream. */
struct rh_run_place {
    const struct rh_run *run; /* NULL: in none that is remembered */
    uint64_t seq64;           /* outgoing, or source for rh_runs_find_out */
};

/* Begins a run; the oldest is forgotten when there is no room. */
void rh_runs_begin(struct rh_runs *runs, const struct rh_run *run);

/* The newest run, NULL when there is none. */
static inline const struct rh_run *rh_runs_newest(const struct rh_runs *runs)
{
    return runs->count == 0 ? NULL : &runs->items[runs->newest];
}

/* Finds the source of an outgoing number; seq64 of the answer is the source's. */
struct rh_run_place rh_runs_find_out(const struct rh_runs *runs, uint64_t out_seq64);

/* Finds the outgoing number of a source packet that lies inside a run, below next_out_seq64. */
struct rh_run_place rh_runs_find_in(
    const struct rh_runs *runs, const struct rh_run *like, uint64_t in_seq64,
    uint64_t next_out_seq64);

#endif
