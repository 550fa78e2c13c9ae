/* Which slots a track feeds: dense lists in cache-line chunks.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An entry packs the slot's place with the encoding it carries and the one it waits for, so that a
 * packet of another encoding passes it by without touching the slot. All chunks but a list's
 * first are full; removal moves the newest entry into the hole. Chunks come from one pool, sized
 * so that no bind can fail. Owner: struct rh_media (pool), struct rh_track (list). 4.3 B a slot
 * and 64 B a track. */
#ifndef RH_TRACK_SUBSCRIPTIONS_H
#define RH_TRACK_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"

/* slot place in bits 0..19, carried encoding in 20..23, encoding waited for in 24..27 */
typedef uint32_t rh_subscription;

enum { RH_SUBSCRIPTION_NONE = 15 }; /* no encoding */

struct rh_subscription_chunk {
    uint32_t next; /* chunk with older entries; RH_NO_INDEX: last */
    rh_subscription entries[RH_SUBSCRIPTIONS_PER_CHUNK];
};

struct rh_subscription_pool {
    struct rh_subscription_chunk *chunks;
    uint32_t free_chunk; /* linked by next */
    uint32_t touched;    /* chunks ever taken */
    uint32_t capacity;
};

struct rh_subscription_list {
    uint32_t first_chunk; /* RH_NO_INDEX: empty */
    uint32_t count;
};

/* Makes chunks enough for slots_max entries in tracks_max lists. False when memory is refused. */
bool rh_subscriptions_init(
    struct rh_subscription_pool *pool, uint32_t slots_max, uint32_t tracks_max);
void rh_subscriptions_deinit(struct rh_subscription_pool *pool);

/* Adds an entry. Returns its position, by which it is changed and removed. */
uint32_t rh_subscriptions_add(
    struct rh_subscription_pool *pool, struct rh_subscription_list *list, rh_subscription entry);

/* Removes the entry at position. Returns the entry that was moved there (its slot's position is now
 * position); the removed entry itself when none moved. */
rh_subscription rh_subscriptions_remove(
    struct rh_subscription_pool *pool, struct rh_subscription_list *list, uint32_t position);

static inline rh_subscription *rh_subscriptions_at(
    struct rh_subscription_pool *pool, uint32_t position)
{
    return &pool->chunks[position / 16].entries[position % 16];
}

static inline rh_subscription rh_subscription_make(
    uint32_t slot_index, uint32_t carried, uint32_t awaited)
{
    return slot_index | carried << 20 | awaited << 24;
}

static inline uint32_t rh_subscription_slot(rh_subscription entry)
{
    return entry & 0xfffff;
}

static inline uint32_t rh_subscription_carried(rh_subscription entry)
{
    return entry >> 20 & 15;
}

static inline uint32_t rh_subscription_awaited(rh_subscription entry)
{
    return entry >> 24 & 15;
}

/* Number of entries in a list's first chunk. */
static inline uint32_t rh_subscriptions_first_count(const struct rh_subscription_list *list)
{
    return list->count == 0 ? 0 : (list->count - 1) % RH_SUBSCRIPTIONS_PER_CHUNK + 1;
}

#endif
