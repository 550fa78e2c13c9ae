/* The newest packets of one encoding, decrypted, shared by all slots that may ask for a resend.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A ring of buffer places indexed by sequence number: at most RH_HISTORY_PACKETS, at most
 * RH_HISTORY_US old. Holds one reference to each buffer. Owner: struct rh_encoding; the ring's
 * memory is one page of struct rh_media. */
#ifndef RH_TRACK_HISTORY_H
#define RH_TRACK_HISTORY_H

#include <stdint.h>

#include "limits.h"
#include "track/buffers.h"

struct rh_history {
    uint32_t *ring;         /* place + 1 of the buffer with that number; 0: none */
    uint64_t oldest_seq64;  /* nothing older is held */
    uint64_t newest_seq64;
    uint32_t count;
};

/* Keeps the buffer (by its seq64) and lets go of what became too old. */
void rh_history_keep(
    struct rh_history *history, struct rh_buffers *buffers, struct rh_buffer *buffer);

/* Lets go of packets that arrived before before_us. */
void rh_history_expire(
    struct rh_history *history, struct rh_buffers *buffers, uint64_t before_us);

/* Lets go of the oldest half, at least of one packet if there is any. Returns how many. */
uint32_t rh_history_shed(struct rh_history *history, struct rh_buffers *buffers);

/* Lets go of everything. */
void rh_history_clear(struct rh_history *history, struct rh_buffers *buffers);

/* Returns the buffer with that number, NULL when it is not held. */
struct rh_buffer *rh_history_find(
    const struct rh_history *history, const struct rh_buffers *buffers, uint64_t seq64);

#endif
