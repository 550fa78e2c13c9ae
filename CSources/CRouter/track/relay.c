/* The relay ring. SPDX-License-Identifier: Apache-2.0 */
#include "track/relay.h"

#include <stdlib.h>
#include <string.h>

#include "wire/assert.h"

static_assert((RH_RELAY_PACKETS & (RH_RELAY_PACKETS - 1)) == 0);

struct rh_relay *rh_relay_init(void)
{
    struct rh_relay *relay = aligned_alloc(64, sizeof *relay);
    if (relay == NULL)
        return NULL;
    atomic_init(&relay->written, 0);
    atomic_init(&relay->taken, 0);
    relay->entries = malloc(RH_RELAY_PACKETS * sizeof *relay->entries);
    if (relay->entries == NULL) {
        free(relay);
        return NULL;
    }
    return relay;
}

void rh_relay_deinit(struct rh_relay *relay)
{
    if (relay == NULL)
        return;
    free(relay->entries);
    free(relay);
}

bool rh_relay_put(
    struct rh_relay *relay, rh_track_id mirror, uint8_t encoding, const struct rh_buffer *buffer)
{
    RH_ASSERT(mirror != 0 && encoding < RH_ENCODINGS_MAX);
    RH_ASSERT(buffer->size <= RH_PACKET_BYTES_MAX);
    uint32_t written = atomic_load_explicit(&relay->written, memory_order_relaxed);
    uint32_t taken = atomic_load_explicit(&relay->taken, memory_order_acquire);
    if (written - taken == RH_RELAY_PACKETS)
        return false;
    struct rh_relay_entry *entry = &relay->entries[written % RH_RELAY_PACKETS];
    entry->mirror = mirror;
    entry->encoding = encoding;
    entry->resumes = buffer->resumes;
    entry->size = buffer->size;
    entry->arrival_us = buffer->arrival_us;
    entry->seq64 = buffer->seq64;
    entry->packet = buffer->packet;
    memcpy(entry->bytes, buffer->bytes, buffer->size);
    atomic_store_explicit(&relay->written, written + 1, memory_order_release);
    return true;
}

const struct rh_relay_entry *rh_relay_peek(struct rh_relay *relay)
{
    uint32_t taken = atomic_load_explicit(&relay->taken, memory_order_relaxed);
    if (atomic_load_explicit(&relay->written, memory_order_acquire) == taken)
        return NULL;
    const struct rh_relay_entry *entry = &relay->entries[taken % RH_RELAY_PACKETS];
    RH_ASSERT(entry->size <= RH_PACKET_BYTES_MAX && entry->encoding < RH_ENCODINGS_MAX);
    return entry;
}

void rh_relay_pop(struct rh_relay *relay)
{
    uint32_t taken = atomic_load_explicit(&relay->taken, memory_order_relaxed);
    atomic_store_explicit(&relay->taken, taken + 1, memory_order_release);
}
