/* Which packets of one received stream have come. SPDX-License-Identifier: Apache-2.0 */
#include "arrivals.h"

#include <string.h>

#include "wire/assert.h"
#include "wire/seq.h"

uint64_t rh_load_arrivals_extend(const struct rh_load_arrivals *arrivals, uint16_t seq)
{
    if (arrivals->highest_seq64 == 0)
        return RH_SEQ64_FIRST + (uint64_t)seq;
    uint64_t seq64 = rh_seq_extend(arrivals->highest_seq64, seq);
    return seq64 < RH_SEQ64_FIRST ? seq64 + (1 << 16) : seq64;
}

static uint64_t bit_of(uint64_t seq64)
{
    return UINT64_C(1) << (seq64 & 63);
}

static uint64_t *word_of(struct rh_load_arrivals *arrivals, uint64_t seq64)
{
    return &arrivals->window[seq64 % RH_LOAD_WINDOW_PACKETS / 64];
}

bool rh_load_arrivals_has(const struct rh_load_arrivals *arrivals, uint64_t seq64)
{
    uint64_t highest = arrivals->highest_seq64;
    if (highest == 0 || seq64 > highest || highest - seq64 >= RH_LOAD_WINDOW_PACKETS)
        return false;
    return (arrivals->window[seq64 % RH_LOAD_WINDOW_PACKETS / 64] & bit_of(seq64)) != 0;
}

/* Forgets what stood in the places of numbers that were passed over. */
static void clear_skipped(struct rh_load_arrivals *arrivals, uint64_t first, uint64_t count)
{
    if (count >= RH_LOAD_WINDOW_PACKETS) {
        memset(arrivals->window, 0, sizeof arrivals->window);
        return;
    }
    for (uint64_t seq64 = first; seq64 < first + count; seq64++)
        *word_of(arrivals, seq64) &= ~bit_of(seq64);
}

static struct rh_load_arrival note_ahead(struct rh_load_arrivals *arrivals, uint64_t seq64)
{
    uint64_t skipped = seq64 - arrivals->highest_seq64 - 1;
    if (skipped != 0) {
        clear_skipped(arrivals, arrivals->highest_seq64 + 1, skipped);
        arrivals->gaps++;
    }
    *word_of(arrivals, seq64) |= bit_of(seq64);
    arrivals->highest_seq64 = seq64;
    arrivals->packets++;
    return (struct rh_load_arrival){
        .is_new = true, .skipped = (uint32_t)skipped, .lost_change = (int64_t)skipped};
}

static struct rh_load_arrival note_late(
    struct rh_load_arrivals *arrivals, uint64_t seq64, bool is_resend)
{
    struct rh_load_arrival arrival = {.is_late = true};
    bool is_old = arrivals->highest_seq64 - seq64 >= RH_LOAD_WINDOW_PACKETS;
    if (is_old || (*word_of(arrivals, seq64) & bit_of(seq64)) != 0) {
        arrivals->duplicates++;
        return arrival;
    }
    *word_of(arrivals, seq64) |= bit_of(seq64);
    arrivals->packets++;
    arrivals->reordered += !is_resend;
    arrival.is_new = true;
    arrival.lost_change = -1;
    if (seq64 < arrivals->base_seq64) {
        arrival.lost_change = (int64_t)(arrivals->base_seq64 - seq64) - 1;
        arrivals->base_seq64 = seq64;
    }
    return arrival;
}

struct rh_load_arrival rh_load_arrivals_note(
    struct rh_load_arrivals *arrivals, uint64_t seq64, bool is_resend)
{
    RH_ASSERT(seq64 >= RH_SEQ64_FIRST);
    if (arrivals->highest_seq64 == 0) {
        arrivals->base_seq64 = seq64;
        arrivals->highest_seq64 = seq64;
        arrivals->packets = 1;
        *word_of(arrivals, seq64) |= bit_of(seq64);
        return (struct rh_load_arrival){.is_new = true};
    }
    return seq64 > arrivals->highest_seq64 ? note_ahead(arrivals, seq64)
                                           : note_late(arrivals, seq64, is_resend);
}

void rh_load_arrivals_note_time(
    struct rh_load_arrivals *arrivals, uint32_t arrival, uint32_t timestamp)
{
    uint32_t transit = arrival - timestamp;
    if (arrivals->has_transit) {
        int32_t change = (int32_t)(transit - arrivals->last_transit);
        uint32_t size = change < 0 ? 0u - (uint32_t)change : (uint32_t)change;
        arrivals->jitter += size - ((arrivals->jitter + 8) >> 4);
    }
    arrivals->last_transit = transit;
    arrivals->has_transit = true;
}
