/* Tracks, mirrors, branches. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "track/media.h"
#include "wire/assert.h"

static bool config_is_valid(const struct rh_track_config *config)
{
    if (config->encoding_count < 1 || config->encoding_count > RH_ENCODINGS_MAX)
        return false;
    for (uint32_t e = 0; e < RH_ENCODINGS_MAX; e++)
        if (config->rid[e][RH_MID_BYTES_MAX] != 0)
            return false;
    return (config->kind == RH_AUDIO || config->kind == RH_VIDEO) && config->clock_rate > 0
        && config->mid[RH_MID_BYTES_MAX] == 0 && config->payload_type < 128
        && config->rtx_payload_type < 128;
}

static void link_to_peer(struct rh_media *media, struct rh_track *track, uint32_t index)
{
    struct rh_peer *peer = &media->peers[track->peer_index];
    track->previous = RH_NO_INDEX;
    track->next = peer->first_track;
    if (peer->first_track != RH_NO_INDEX)
        media->tracks[peer->first_track].previous = index;
    peer->first_track = index;
}

static void unlink_from_peer(struct rh_media *media, struct rh_track *track)
{
    if (track->previous != RH_NO_INDEX)
        media->tracks[track->previous].next = track->next;
    else
        media->peers[track->peer_index].first_track = track->next;
    if (track->next != RH_NO_INDEX)
        media->tracks[track->next].previous = track->previous;
}

enum rh_result rh_media_track_create(
    struct rh_media *media, rh_peer_id peer, const struct rh_track_config *config,
    rh_track_id *out)
{
    *out = 0;
    const struct rh_peer *owner = rh_media_peer(media, peer);
    if (peer != 0 && owner == NULL)
        return RH_STALE;
    if (!config_is_valid(config))
        return RH_MALFORMED;
    rh_track_id id = rh_handles_take(&media->track_handles);
    if (id == 0)
        return RH_FULL;
    uint32_t index = rh_handles_index(&media->track_handles, id);
    struct rh_track *track = &media->tracks[index];
    *track = (struct rh_track){
        .id = id, .config = *config, .previous = RH_NO_INDEX, .next = RH_NO_INDEX,
        .peer_index = owner == NULL ? RH_NO_INDEX : (uint32_t)(owner - media->peers),
        .subscriptions = {.first_chunk = RH_NO_INDEX}};
    for (uint32_t e = 0; e < RH_ENCODINGS_MAX; e++)
        track->encodings[e].history.ring =
            media->history_rings + ((size_t)index * RH_ENCODINGS_MAX + e) * RH_HISTORY_PACKETS;
    if (owner != NULL)
        link_to_peer(media, track, index);
    *out = id;
    return RH_OK;
}

/* Unbinds every slot of the track; their numbers go on with what is bound next. */
static void unbind_all(struct rh_media *media, struct rh_track *track)
{
    while (track->subscriptions.count > 0) {
        uint32_t position = track->subscriptions.first_chunk * 16;
        rh_subscription entry = *rh_subscriptions_at(&media->subscriptions, position);
        enum rh_result result =
            rh_media_slot_unbind(media, media->slots[rh_subscription_slot(entry)].id);
        RH_ASSERT(result == RH_OK);
    }
}

enum rh_result rh_media_track_destroy(struct rh_media *media, rh_track_id id)
{
    struct rh_track *track = rh_media_track(media, id);
    if (track == NULL)
        return RH_STALE;
    unbind_all(media, track);
    for (uint32_t e = 0; e < RH_ENCODINGS_MAX; e++)
        rh_history_clear(&track->encodings[e].history, &media->buffers);
    if (track->peer_index != RH_NO_INDEX) {
        rh_peer_release_sources(
            &media->peers[track->peer_index], (uint32_t)(track - media->tracks));
        unlink_from_peer(media, track);
    }
    rh_handles_release(&media->track_handles, id);
    return RH_OK;
}

enum rh_result rh_media_add_branch(
    struct rh_media *media, rh_track_id id, uint32_t worker_index, rh_track_id mirror)
{
    struct rh_track *track = rh_media_track(media, id);
    if (track == NULL || mirror == 0)
        return RH_STALE;
    if (worker_index >= RH_WORKERS_MAX || media->relays_out[worker_index] == NULL)
        return RH_UNSUPPORTED;
    track->mirrors[worker_index] = mirror;
    track->branch_mask |= 1ull << worker_index;
    return RH_OK;
}

enum rh_result rh_media_remove_branch(
    struct rh_media *media, rh_track_id id, uint32_t worker_index)
{
    struct rh_track *track = rh_media_track(media, id);
    if (track == NULL)
        return RH_STALE;
    if (worker_index >= RH_WORKERS_MAX)
        return RH_UNSUPPORTED;
    track->mirrors[worker_index] = 0;
    track->branch_mask &= ~(1ull << worker_index);
    return RH_OK;
}

enum rh_result rh_media_encoding_report(
    const struct rh_media *media, rh_track_id id, uint32_t encoding,
    struct rh_encoding_report *report)
{
    *report = (struct rh_encoding_report){0};
    const struct rh_track *track = rh_media_track(media, id);
    if (track == NULL)
        return RH_STALE;
    if (encoding >= track->config.encoding_count)
        return RH_UNSUPPORTED;
    const struct rh_encoding *state = &track->encodings[encoding];
    *report = (struct rh_encoding_report){
        .ssrc = state->ssrc, .rtx_ssrc = state->rtx_ssrc,
        .received_packets = state->received_packets, .received_bytes = state->received_bytes,
        .first_seq64 = state->window.first_seq64, .highest_seq64 = state->window.highest_seq64,
        .duplicate_packets = state->duplicate_packets, .late_packets = state->late_packets,
        .jitter = state->jitter_q4 / 16, .last_arrival_us = state->last_arrival_us,
        .keyframes = state->keyframes, .audio_level_sum = state->audio_level_sum,
        .audio_level_count = state->audio_level_count, .waiting_slots = state->waiting_slots,
        .active_slots = state->active_slots};
    return RH_OK;
}

void rh_media_reselect(struct rh_media *media, struct rh_track *track, uint32_t encoding)
{
    uint32_t chunk = track->subscriptions.first_chunk;
    uint32_t filled = rh_subscriptions_first_count(&track->subscriptions);
    while (filled > 0) {
        for (uint32_t i = 0; i < filled; i++) {
            rh_subscription entry = *rh_subscriptions_at(&media->subscriptions, chunk * 16 + i);
            struct rh_slot *slot = &media->slots[rh_subscription_slot(entry)];
            if (rh_subscription_carried(entry) != encoding)
                continue;
            rh_select_init(&slot->select, track->config.codec, slot->target);
            rh_media_note_layers(media, slot);
        }
        chunk = media->subscriptions.chunks[chunk].next;
        filled = chunk == RH_NO_INDEX ? 0 : RH_SUBSCRIPTIONS_PER_CHUNK;
    }
}

void rh_media_restart_encoding(struct rh_media *media, struct rh_track *track, uint32_t encoding)
{
    struct rh_encoding *state = &track->encodings[encoding];
    rh_history_clear(&state->history, &media->buffers);
    state->window = (struct rh_window){0};
    state->epoch++;
    state->received_packets = 0;
    state->keyframe_seq64 = 0;
    state->received_bytes = 0;
    state->duplicate_packets = 0;
    state->late_packets = 0;
    state->has_transit = false;
    state->was_muted = false;
    state->has_report = false;
    state->picture_ids = (struct rh_picture_ids){0};
    rh_media_reselect(media, track, encoding);
}

void rh_media_want_keyframe(
    struct rh_media *media, struct rh_track *track, uint32_t encoding, uint64_t now_us,
    bool urgent)
{
    struct rh_encoding *state = &track->encodings[encoding];
    if (track->config.kind != RH_VIDEO)
        return;
    bool recently = state->keyframe_wanted_at_us + RH_KEYFRAME_REPEAT_US > now_us;
    if (state->keyframe_wanted_at_us == now_us || (recently && !urgent))
        return;
    state->keyframe_wanted_at_us = now_us;
    struct rh_event event = {
        .kind = RH_EVENT_KEYFRAME_WANTED, .track = track->id, .encoding = encoding,
        .peer = track->peer_index == RH_NO_INDEX ? 0 : media->peers[track->peer_index].id};
    if (!rh_events_push(&media->events, event)) {
        state->announce |= RH_ANNOUNCE_WANTED;
        RH_COUNT(media, events_lost, 1);
    }
}
