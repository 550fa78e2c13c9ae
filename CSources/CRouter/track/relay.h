/* Packets on their way to another worker: a bounded ring with one producer and one consumer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An entry is a whole decrypted packet, parsed once, with the mirror it is for. The two indexes are
 * the only atomics. The producer notes which rings it filled; the worker wakes their targets once a
 * wake-up. Owner: the producing worker's struct rh_media. RH_RELAY_PACKETS entries. */
#ifndef RH_TRACK_RELAY_H
#define RH_TRACK_RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"
#include "track/buffers.h"

struct rh_relay_entry {
    rh_track_id mirror; /* on the consuming worker */
    uint8_t encoding;
    bool resumes; /* as in the buffer */
    uint16_t size;
    uint64_t arrival_us;
    uint64_t seq64;
    struct rh_packet packet;
    uint8_t bytes[RH_PACKET_BYTES_MAX];
};

struct rh_relay {
    alignas(64) _Atomic uint32_t written; /* entries ever written; the producer's */
    alignas(64) _Atomic uint32_t taken;   /* entries ever taken; the consumer's */
    struct rh_relay_entry *entries;
};

/* Makes an empty ring. Returns NULL when memory is refused. */
struct rh_relay *rh_relay_init(void);
void rh_relay_deinit(struct rh_relay *relay);

/* Producer: copies the packet into the ring. Returns false when the ring is full. */
bool rh_relay_put(
    struct rh_relay *relay, rh_track_id mirror, uint8_t encoding, const struct rh_buffer *buffer);

/* Consumer: the oldest entry, NULL when there is none. It stays until rh_relay_pop. */
const struct rh_relay_entry *rh_relay_peek(struct rh_relay *relay);
void rh_relay_pop(struct rh_relay *relay);

#endif
