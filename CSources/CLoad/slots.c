/* Received streams: their table, marks and reports. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "wire/assert.h"

enum { PLACES_MIN = 16 };

static uint32_t first_place(uint32_t ssrc, uint32_t mask)
{
    return (ssrc * 2654435769u >> 16) & mask;
}

const struct rh_load_place *rh_load_find_place(
    const struct rh_load_endpoint *endpoint, uint32_t ssrc)
{
    if (endpoint->places == NULL)
        return NULL;
    uint32_t at = first_place(ssrc, endpoint->place_mask);
    while (endpoint->places[at].is_used && endpoint->places[at].ssrc != ssrc)
        at = (at + 1) & endpoint->place_mask;
    return endpoint->places[at].is_used ? &endpoint->places[at] : NULL;
}

static void put_place(struct rh_load_endpoint *endpoint, struct rh_load_place place)
{
    if (place.ssrc == 0 || rh_load_find_place(endpoint, place.ssrc) != NULL)
        return;
    uint32_t at = first_place(place.ssrc, endpoint->place_mask);
    while (endpoint->places[at].is_used)
        at = (at + 1) & endpoint->place_mask;
    endpoint->places[at] = place;
}

/* Makes the table anew from the slots. Returns false without memory; the old one is then left. */
static bool rebuild_places(struct rh_load_endpoint *endpoint)
{
    uint32_t count = PLACES_MIN;
    while (count < endpoint->slot_count * 4) /* two numbers a slot, half full */
        count *= 2;
    if (endpoint->places == NULL || count - 1 > endpoint->place_mask) {
        struct rh_load_place *places = calloc(count, sizeof *places);
        if (places == NULL)
            return false;
        free(endpoint->places);
        endpoint->places = places;
        endpoint->place_mask = count - 1;
    }
    memset(endpoint->places, 0, ((size_t)endpoint->place_mask + 1) * sizeof *endpoint->places);
    for (uint32_t i = 0; i < endpoint->slot_count; i++) {
        const struct rh_load_slot_config *config = &endpoint->slots[i]->config;
        put_place(endpoint, (struct rh_load_place){config->ssrc, (uint16_t)i, true, false});
        put_place(endpoint, (struct rh_load_place){config->rtx_ssrc, (uint16_t)i, true, true});
    }
    return true;
}

struct rh_load_slot *rh_load_find_slot(struct rh_load_endpoint *endpoint, uint32_t ssrc)
{
    const struct rh_load_place *place = rh_load_find_place(endpoint, ssrc);
    return place != NULL && !place->is_rtx ? endpoint->slots[place->slot] : NULL;
}

static bool grow(struct rh_load_endpoint *endpoint)
{
    if (endpoint->slot_count < endpoint->slot_capacity)
        return true;
    uint32_t capacity = endpoint->slot_capacity == 0 ? 8 : endpoint->slot_capacity * 2;
    struct rh_load_slot **slots = realloc(endpoint->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    endpoint->slots = slots;
    endpoint->slot_capacity = capacity;
    return true;
}

bool rh_load_slot_expect(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_slot_config *config)
{
    struct rh_load_slot *slot = rh_load_find_slot(endpoint, config->ssrc);
    if (slot == NULL) {
        if (endpoint->slot_count == RH_LOAD_SLOTS_PER_ENDPOINT || !grow(endpoint))
            return false;
        slot = aligned_alloc(alignof(struct rh_load_slot), sizeof *slot);
        if (slot == NULL)
            return false;
        memset(slot, 0, sizeof *slot);
        slot->is_resting = true;
        slot->until_open = 1;
        endpoint->slots[endpoint->slot_count++] = slot;
        loop->totals.slots++;
    }
    slot->config = *config;
    slot->units_per_ns = (double)config->clock_rate / 1e9;
    return rebuild_places(endpoint);
}

static void release_slot(struct rh_load_loop *loop, struct rh_load_slot *slot)
{
    loop->totals.slots--;
    loop->totals.marked_slots -= slot->is_marked;
    free(slot);
}

void rh_load_slot_forget_ssrc(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint32_t ssrc)
{
    uint32_t index = 0;
    while (index < endpoint->slot_count && endpoint->slots[index]->config.ssrc != ssrc)
        index++;
    if (index == endpoint->slot_count)
        return;
    release_slot(loop, endpoint->slots[index]);
    endpoint->slot_count--;
    memmove(endpoint->slots + index, endpoint->slots + index + 1,
            (endpoint->slot_count - index) * sizeof *endpoint->slots);
    bool is_rebuilt = rebuild_places(endpoint); /* a smaller table takes no memory */
    RH_ASSERT(is_rebuilt);
}

void rh_load_slots_destroy(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->slot_count; i++)
        release_slot(loop, endpoint->slots[i]);
    free(endpoint->slots);
    free(endpoint->places);
    endpoint->slots = NULL;
    endpoint->places = NULL;
    endpoint->slot_count = 0;
}

/* ---- Marks ----------------------------------------------------------------------------------- */

/* Whether the slot carries what the mark waits for. Media without stamps may be anyone's. */
static bool is_here(const struct rh_load_slot *slot, const struct rh_load_mark *mark)
{
    bool is_wanted = mark->source_id == 0 || slot->source_id == 0
        || mark->source_id == slot->source_id;
    return is_wanted && slot->source_packet_ns >= mark->since_ns;
}

void rh_load_slot_note_mark(struct rh_load_loop *loop, struct rh_load_slot *slot)
{
    if (!slot->is_marked || !is_here(slot, &slot->mark))
        return;
    if (slot->mark_first_packet_ns == 0) {
        slot->mark_first_packet_ns = slot->source_packet_ns;
        rh_load_histogram_add(
            &loop->histograms[RH_LOAD_FIRST_PACKET],
            slot->source_packet_ns - slot->mark.since_ns);
    }
    if (slot->source_frame_ns == 0)
        return;
    slot->mark_first_frame_ns = slot->source_frame_ns;
    rh_load_histogram_add(
        &loop->histograms[RH_LOAD_FIRST_FRAME], slot->source_frame_ns - slot->mark.since_ns);
    slot->is_marked = false;
    loop->totals.marked_slots--;
}

void rh_load_slot_apply_mark(
    struct rh_load_loop *loop, struct rh_load_slot *slot, const struct rh_load_mark *mark)
{
    loop->totals.marked_slots += !slot->is_marked;
    slot->is_marked = true;
    slot->mark = *mark;
    if (slot->mark.since_ns == 0)
        slot->mark.since_ns = loop->now_ns;
    if (mark->codec != 0)
        slot->config.codec = mark->codec;
    slot->mark_first_packet_ns = 0;
    slot->mark_first_frame_ns = 0;
    bool has_come = is_here(slot, &slot->mark);
    if (!has_come && !slot->is_resting) { /* something new is to begin, even of the same source */
        slot->is_resting = true;
        slot->rest_ns = loop->now_ns;
        slot->last_frame_ns = 0;
    } else if (has_come && slot->source_frame_ns == 0) {
        slot->is_searching = true;
    }
    rh_load_slot_note_mark(loop, slot);
}

/* ---- Reports --------------------------------------------------------------------------------- */

void rh_load_slot_fill_report(const struct rh_load_slot *slot, struct rh_load_slot_report *report)
{
    uint32_t clock_rate = slot->config.clock_rate;
    *report = (struct rh_load_slot_report){
        .user = slot->config.user,
        .ssrc = slot->config.ssrc,
        .kind = slot->config.kind,
        .is_marked = slot->is_marked,
        .packets = slot->arrivals.packets,
        .bytes = slot->bytes,
        .lost = rh_load_arrivals_lost(&slot->arrivals),
        .recovered = slot->recovered,
        .reordered = slot->arrivals.reordered,
        .duplicates = slot->arrivals.duplicates,
        .gaps = slot->arrivals.gaps,
        .nacked = slot->nacked,
        .decrypted = slot->decrypted,
        .unauthentic = slot->unauthentic,
        .padding_packets = slot->padding_packets,
        .frames = slot->frames,
        .keyframes = slot->keyframes,
        .jitter_us = clock_rate == 0
            ? 0
            : (uint32_t)((uint64_t)(slot->arrivals.jitter >> 4) * 1000000 / clock_rate),
        .source_id = slot->source_id,
        .source_packet_ns = slot->source_packet_ns,
        .source_frame_ns = slot->source_frame_ns,
        .first_packet_ns = slot->first_packet_ns,
        .last_packet_ns = slot->last_packet_ns,
        .longest_gap_ns = slot->longest_gap_ns,
        .marked_ns = slot->mark.since_ns,
        .mark_first_packet_ns = slot->mark_first_packet_ns,
        .mark_first_frame_ns = slot->mark_first_frame_ns,
    };
}
