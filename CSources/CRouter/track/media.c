/* The whole of a worker's media state. SPDX-License-Identifier: Apache-2.0 */
#include "track/media.h"

#include <stdlib.h>
#include <string.h>

#include "wire/assert.h"

static uint32_t or_default(uint32_t wanted, uint32_t fallback, uint32_t most)
{
    uint32_t chosen = wanted != 0 ? wanted : fallback;
    return chosen < most ? chosen : most;
}

/* Reserves memory that reads as zero and costs nothing until it is touched. */
static void *init_array(size_t count, size_t item_bytes)
{
    return calloc(count, item_bytes);
}

enum rh_result rh_media_init(struct rh_media *media, const struct rh_media_sizes *sizes)
{
    *media = (struct rh_media){.seed = sizes->seed};
    uint32_t peers = or_default(sizes->peers_max, RH_PEERS_DEFAULT, RH_HANDLES_MAX);
    uint32_t tracks = or_default(sizes->tracks_max, RH_TRACKS_DEFAULT, RH_HANDLES_MAX);
    uint32_t slots = or_default(sizes->slots_max, RH_SLOTS_DEFAULT, RH_HANDLES_MAX);
    uint32_t buffers = or_default(sizes->buffers_max, RH_BUFFERS_DEFAULT, 1u << 22);
    if (buffers < RH_BUFFERS_MIN)
        buffers = RH_BUFFERS_MIN;
    media->peers = init_array(peers, sizeof *media->peers);
    media->tracks = init_array(tracks, sizeof *media->tracks);
    media->slots = aligned_alloc(alignof(struct rh_slot), slots * sizeof *media->slots);
    size_t rings = (size_t)tracks * RH_ENCODINGS_MAX;
    media->history_rings = init_array(rings, RH_HISTORY_PACKETS * sizeof(uint32_t));
    bool made = media->peers != NULL && media->tracks != NULL && media->slots != NULL
        && media->history_rings != NULL && rh_handles_init(&media->peer_handles, peers)
        && rh_handles_init(&media->track_handles, tracks)
        && rh_handles_init(&media->slot_handles, slots)
        && rh_addresses_init(&media->addresses, peers * RH_ADDRESSES_PER_PEER, sizes->seed)
        && rh_subscriptions_init(&media->subscriptions, slots, tracks)
        && rh_buffers_init(&media->buffers, buffers) && rh_events_init(&media->events);
    if (made)
        return RH_OK;
    rh_media_deinit(media);
    return RH_SYSTEM;
}

void rh_media_deinit(struct rh_media *media)
{
    for (uint32_t i = 0; i < media->peer_handles.touched; i++)
        if (media->peer_handles.live[i])
            rh_media_peer_destroy(media, media->peer_handles.handle[i]);
    for (uint32_t i = 0; i < RH_WORKERS_MAX; i++)
        rh_relay_deinit(media->relays_out[i]);
    rh_events_deinit(&media->events);
    rh_buffers_deinit(&media->buffers);
    rh_subscriptions_deinit(&media->subscriptions);
    rh_addresses_deinit(&media->addresses);
    rh_handles_deinit(&media->slot_handles);
    rh_handles_deinit(&media->track_handles);
    rh_handles_deinit(&media->peer_handles);
    free(media->history_rings);
    free(media->slots);
    free(media->tracks);
    free(media->peers);
    *media = (struct rh_media){0};
}

/* ---- Buffers and history ------------------------------------------------------------------- */

/* Halves histories until some buffers are free or nothing is left to halve. */
static void shed_histories(struct rh_media *media)
{
    uint32_t freed = 0;
    for (uint32_t i = 0; i < media->track_handles.touched && freed < RH_RECEIVE_BATCH; i++) {
        media->expire_next = (media->expire_next + 1) % media->track_handles.touched;
        if (!media->track_handles.live[media->expire_next])
            continue;
        struct rh_track *track = &media->tracks[media->expire_next];
        for (uint32_t e = 0; e < track->config.encoding_count; e++)
            freed += rh_history_shed(&track->encodings[e].history, &media->buffers);
    }
}

struct rh_buffer *rh_media_take_buffer(struct rh_media *media)
{
    struct rh_buffer *buffer = rh_buffers_take(&media->buffers);
    if (buffer == NULL) {
        shed_histories(media);
        buffer = rh_buffers_take(&media->buffers);
    }
    return buffer;
}

void rh_media_expire(struct rh_media *media, uint64_t now_us)
{
    uint32_t touched = media->track_handles.touched;
    uint32_t count = touched < 64 ? touched : touched / 16 + 1;
    if (now_us <= RH_HISTORY_US)
        return;
    for (uint32_t i = 0; i < count; i++) {
        media->expire_next = (media->expire_next + 1) % touched;
        if (!media->track_handles.live[media->expire_next])
            continue;
        struct rh_track *track = &media->tracks[media->expire_next];
        for (uint32_t e = 0; e < track->config.encoding_count; e++)
            rh_history_expire(
                &track->encodings[e].history, &media->buffers, now_us - RH_HISTORY_US);
    }
}

/* ---- Events that found no room ------------------------------------------------------------- */

static void announce_track(struct rh_media *media, struct rh_track *track, uint32_t encoding)
{
    struct rh_encoding *state = &track->encodings[encoding];
    struct rh_event event = {
        .encoding = encoding, .track = track->id,
        .peer = track->peer_index == RH_NO_INDEX ? 0 : media->peers[track->peer_index].id};
    static const struct {
        uint8_t bit;
        uint8_t kind;
    } kinds[] = {
        {RH_ANNOUNCE_BOUND, RH_EVENT_SOURCE_BOUND},
        {RH_ANNOUNCE_RTX_BOUND, RH_EVENT_SOURCE_BOUND},
        {RH_ANNOUNCE_KEYFRAME, RH_EVENT_KEYFRAME},
        {RH_ANNOUNCE_WANTED, RH_EVENT_KEYFRAME_WANTED},
    };
    for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!(state->announce & kinds[i].bit))
            continue;
        event.kind = kinds[i].kind;
        event.count = kinds[i].bit == RH_ANNOUNCE_RTX_BOUND;
        event.ssrc = event.kind != RH_EVENT_SOURCE_BOUND ? 0
            : event.count != 0 ? state->rtx_ssrc : state->ssrc;
        if (rh_events_push(&media->events, event))
            state->announce &= (uint8_t)~kinds[i].bit;
    }
}

void rh_media_announce_again(struct rh_media *media)
{
    if (!media->events.overflowed || media->events.count > 0)
        return;
    media->events.overflowed = false;
    for (uint32_t i = 0; i < media->track_handles.touched; i++)
        for (uint32_t e = 0; media->track_handles.live[i] && e < RH_ENCODINGS_MAX; e++)
            if (media->tracks[i].encodings[e].announce != 0)
                announce_track(media, &media->tracks[i], e);
    for (uint32_t i = 0; i < media->slot_handles.touched; i++) {
        struct rh_slot *slot = &media->slots[i];
        if (media->slot_handles.live[i] && slot->announce_switch)
            rh_media_tell_switched(media, slot);
    }
}

void rh_media_counters(const struct rh_media *media, struct rh_counters *counters)
{
    static_assert(sizeof *counters % sizeof(uint64_t) == 0);
    const uint64_t *from = (const uint64_t *)&media->counters;
    uint64_t *to = (uint64_t *)counters;
    for (size_t i = 0; i < sizeof *counters / sizeof(uint64_t); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* ---- Handles ------------------------------------------------------------------------------- */

struct rh_peer *rh_media_peer(const struct rh_media *media, rh_peer_id peer)
{
    uint32_t index = rh_handles_index(&media->peer_handles, peer);
    return index == RH_NO_INDEX ? NULL : &media->peers[index];
}

struct rh_track *rh_media_track(const struct rh_media *media, rh_track_id track)
{
    uint32_t index = rh_handles_index(&media->track_handles, track);
    return index == RH_NO_INDEX ? NULL : &media->tracks[index];
}

struct rh_slot *rh_media_slot(const struct rh_media *media, rh_slot_id slot)
{
    uint32_t index = rh_handles_index(&media->slot_handles, slot);
    return index == RH_NO_INDEX ? NULL : &media->slots[index];
}
