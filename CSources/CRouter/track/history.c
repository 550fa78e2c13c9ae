/* The packet history. SPDX-License-Identifier: Apache-2.0 */
#include "track/history.h"

#include "wire/assert.h"

static_assert((RH_HISTORY_PACKETS & (RH_HISTORY_PACKETS - 1)) == 0);

static uint32_t *place_of(const struct rh_history *history, uint64_t seq64)
{
    return &history->ring[seq64 % RH_HISTORY_PACKETS];
}

/* Lets go of the packet with the lowest number possible and moves on. */
static void drop_oldest(struct rh_history *history, struct rh_buffers *buffers)
{
    uint32_t *place = place_of(history, history->oldest_seq64++);
    if (*place == 0)
        return;
    rh_buffers_release(buffers, rh_buffers_at(buffers, *place - 1));
    *place = 0;
    history->count--;
}

void rh_history_expire(
    struct rh_history *history, struct rh_buffers *buffers, uint64_t before_us)
{
    while (history->count > 0) {
        uint32_t place = *place_of(history, history->oldest_seq64);
        if (place != 0 && rh_buffers_at(buffers, place - 1)->arrival_us >= before_us)
            return;
        drop_oldest(history, buffers);
    }
}

void rh_history_keep(
    struct rh_history *history, struct rh_buffers *buffers, struct rh_buffer *buffer)
{
    uint64_t seq64 = buffer->seq64;
    if (history->count == 0) {
        history->oldest_seq64 = seq64;
        history->newest_seq64 = seq64;
    }
    while (history->count > 0 && seq64 >= history->oldest_seq64 + RH_HISTORY_PACKETS)
        drop_oldest(history, buffers);
    if (history->count == 0)
        history->oldest_seq64 = seq64;
    if (seq64 < history->oldest_seq64) {
        if (history->newest_seq64 - seq64 >= RH_HISTORY_PACKETS)
            return;
        history->oldest_seq64 = seq64;
    }
    if (seq64 > history->newest_seq64)
        history->newest_seq64 = seq64;
    uint32_t *place = place_of(history, seq64);
    RH_ASSERT(*place == 0);
    rh_buffer_retain(buffer);
    *place = rh_buffers_place(buffers, buffer) + 1;
    history->count++;
    if (buffer->arrival_us > RH_HISTORY_US)
        rh_history_expire(history, buffers, buffer->arrival_us - RH_HISTORY_US);
}

uint32_t rh_history_shed(struct rh_history *history, struct rh_buffers *buffers)
{
    uint32_t keep = history->count / 2, before = history->count;
    while (history->count > keep)
        drop_oldest(history, buffers);
    return before - history->count;
}

void rh_history_clear(struct rh_history *history, struct rh_buffers *buffers)
{
    while (history->count > 0)
        drop_oldest(history, buffers);
}

struct rh_buffer *rh_history_find(
    const struct rh_history *history, const struct rh_buffers *buffers, uint64_t seq64)
{
    if (history->count == 0 || seq64 < history->oldest_seq64 || seq64 > history->newest_seq64)
        return NULL;
    uint32_t place = *place_of(history, seq64);
    return place == 0 ? NULL : rh_buffers_at(buffers, place - 1);
}
