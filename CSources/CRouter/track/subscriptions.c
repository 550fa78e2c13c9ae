/* Subscription lists. SPDX-License-Identifier: Apache-2.0 */
#include "track/subscriptions.h"

#include <stdlib.h>

#include "track/handles.h"
#include "wire/assert.h"

static_assert(sizeof(struct rh_subscription_chunk) == 64);
static_assert(RH_HANDLES_MAX <= 1 << 20);

/* Every list may hold one chunk that is not full; the others are. */
bool rh_subscriptions_init(
    struct rh_subscription_pool *pool, uint32_t slots_max, uint32_t tracks_max)
{
    uint32_t capacity = slots_max / RH_SUBSCRIPTIONS_PER_CHUNK + tracks_max + 1;
    *pool = (struct rh_subscription_pool){
        .chunks = aligned_alloc(64, (size_t)capacity * sizeof *pool->chunks),
        .free_chunk = RH_NO_INDEX,
        .capacity = capacity};
    return pool->chunks != NULL;
}

void rh_subscriptions_deinit(struct rh_subscription_pool *pool)
{
    free(pool->chunks);
    *pool = (struct rh_subscription_pool){0};
}

static uint32_t take_chunk(struct rh_subscription_pool *pool)
{
    uint32_t chunk = pool->free_chunk;
    if (chunk != RH_NO_INDEX) {
        pool->free_chunk = pool->chunks[chunk].next;
        return chunk;
    }
    RH_ASSERT(pool->touched < pool->capacity);
    return pool->touched++;
}

uint32_t rh_subscriptions_add(
    struct rh_subscription_pool *pool, struct rh_subscription_list *list, rh_subscription entry)
{
    uint32_t filled = rh_subscriptions_first_count(list);
    if (filled == 0 || filled == RH_SUBSCRIPTIONS_PER_CHUNK) {
        uint32_t chunk = take_chunk(pool);
        pool->chunks[chunk].next = list->count == 0 ? RH_NO_INDEX : list->first_chunk;
        list->first_chunk = chunk;
        filled = 0;
    }
    list->count++;
    uint32_t position = list->first_chunk * 16 + filled;
    *rh_subscriptions_at(pool, position) = entry;
    return position;
}

rh_subscription rh_subscriptions_remove(
    struct rh_subscription_pool *pool, struct rh_subscription_list *list, uint32_t position)
{
    RH_ASSERT(list->count > 0);
    uint32_t first = list->first_chunk;
    uint32_t last = first * 16 + rh_subscriptions_first_count(list) - 1;
    rh_subscription moved = *rh_subscriptions_at(pool, last);
    *rh_subscriptions_at(pool, position) = moved;
    list->count--;
    if (last % 16 == 0) {
        list->first_chunk = pool->chunks[first].next;
        pool->chunks[first].next = pool->free_chunk;
        pool->free_chunk = first;
    }
    return moved;
}
