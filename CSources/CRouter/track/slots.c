/* Slots: binding, layers, reports. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "track/media.h"
#include "wire/assert.h"

static void link_to_peer(struct rh_media *media, struct rh_slot *slot, uint32_t index)
{
    struct rh_peer *peer = &media->peers[slot->peer_index];
    slot->previous = RH_NO_INDEX;
    slot->next = peer->first_slot;
    if (peer->first_slot != RH_NO_INDEX)
        media->slots[peer->first_slot].previous = index;
    peer->first_slot = index;
}

static void unlink_from_peer(struct rh_media *media, struct rh_slot *slot)
{
    if (slot->previous != RH_NO_INDEX)
        media->slots[slot->previous].next = slot->next;
    else
        media->peers[slot->peer_index].first_slot = slot->next;
    if (slot->next != RH_NO_INDEX)
        media->slots[slot->next].previous = slot->previous;
}

/* A start below 2^14 keeps early loss away from the first wrap (RFC 3711 section 3.3.1); 2^16 more
 * leaves room below for numbers that are extended backwards. */
static uint64_t first_seq64(const struct rh_media *media, uint32_t ssrc)
{
    uint64_t mixed = (media->seed ^ ssrc) * 0x9e3779b97f4a7c15u;
    return (1u << 16) + (mixed >> 50) + 1;
}

enum rh_result rh_media_slot_create(
    struct rh_media *media, rh_peer_id peer, const struct rh_slot_config *config, rh_slot_id *out)
{
    *out = 0;
    struct rh_peer *owner = rh_media_peer(media, peer);
    if (owner == NULL)
        return RH_STALE;
    if ((config->kind != RH_AUDIO && config->kind != RH_VIDEO) || config->clock_rate == 0
        || config->mid[RH_MID_BYTES_MAX] != 0)
        return RH_MALFORMED;
    rh_slot_id id = rh_handles_take(&media->slot_handles);
    if (id == 0)
        return RH_FULL;
    uint32_t index = rh_handles_index(&media->slot_handles, id);
    struct rh_slot *slot = &media->slots[index];
    *slot = (struct rh_slot){
        .id = id, .kind = config->kind, .config = *config,
        .peer_index = (uint32_t)(owner - media->peers), .track_index = RH_NO_INDEX,
        .mid_bytes = (uint8_t)strlen(config->mid),
        .rtx_next_seq64 = first_seq64(media, ~config->rtx_ssrc)};
    rh_rewrite_init(
        &slot->rewrite, first_seq64(media, config->ssrc),
        (uint32_t)first_seq64(media, config->ssrc * 31 + 7));
    slot->index_base = 1u << 16;
    slot->rtx_index_base = 1u << 16;
    link_to_peer(media, slot, index);
    *out = id;
    return RH_OK;
}

enum rh_result rh_media_slot_destroy(struct rh_media *media, rh_slot_id id)
{
    struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL)
        return RH_STALE;
    enum rh_result result = rh_media_slot_unbind(media, id);
    RH_ASSERT(result == RH_OK);
    unlink_from_peer(media, slot);
    slot->id = 0;
    rh_handles_release(&media->slot_handles, id);
    return RH_OK;
}

static void count_layers(
    struct rh_track *track, uint32_t carried, uint32_t awaited, int32_t difference)
{
    if (carried != RH_SUBSCRIPTION_NONE)
        track->encodings[carried].active_slots += (uint32_t)difference;
    if (awaited != RH_SUBSCRIPTION_NONE)
        track->encodings[awaited].waiting_slots += (uint32_t)difference;
}

static void set_layers(
    struct rh_media *media, struct rh_slot *slot, uint32_t carried, uint32_t awaited)
{
    RH_ASSERT(slot->track_index != RH_NO_INDEX);
    struct rh_track *track = &media->tracks[slot->track_index];
    rh_subscription *entry = rh_subscriptions_at(&media->subscriptions, slot->position);
    count_layers(track, rh_subscription_carried(*entry), rh_subscription_awaited(*entry), -1);
    count_layers(track, carried, awaited, 1);
    *entry = rh_subscription_make(rh_subscription_slot(*entry), carried, awaited);
}

static uint32_t listed(uint8_t encoding)
{
    return encoding == RH_SELECT_NOTHING ? RH_SUBSCRIPTION_NONE : encoding;
}

void rh_media_note_layers(struct rh_media *media, struct rh_slot *slot)
{
    if (slot->paused)
        set_layers(media, slot, RH_SUBSCRIPTION_NONE, RH_SUBSCRIPTION_NONE);
    else
        set_layers(
            media, slot, listed(slot->select.carried), listed(rh_select_awaited(&slot->select)));
}

enum rh_result rh_media_slot_unbind(struct rh_media *media, rh_slot_id id)
{
    struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL)
        return RH_STALE;
    if (slot->track_index == RH_NO_INDEX)
        return RH_OK;
    struct rh_track *track = &media->tracks[slot->track_index];
    set_layers(media, slot, RH_SUBSCRIPTION_NONE, RH_SUBSCRIPTION_NONE);
    uint32_t position = slot->position;
    rh_subscription moved =
        rh_subscriptions_remove(&media->subscriptions, &track->subscriptions, position);
    media->slots[rh_subscription_slot(moved)].position = position;
    slot->track_index = RH_NO_INDEX;
    slot->announce_switch = false;
    return RH_OK;
}

/* Notes what the selector carries and awaits, and asks for the keyframe it waits for, unless the
 * slot begins and may begin with the last one. */
static void apply_target(struct rh_media *media, struct rh_slot *slot, uint64_t now_us)
{
    rh_media_note_layers(media, slot);
    if (!rh_media_slot_can_replay(media, slot, now_us))
        rh_media_slot_ask(media, slot, now_us);
}

void rh_media_slot_ask(struct rh_media *media, struct rh_slot *slot, uint64_t now_us)
{
    uint8_t awaited = rh_select_awaited(&slot->select);
    if (slot->track_index != RH_NO_INDEX && !slot->paused && awaited != RH_SELECT_NOTHING)
        rh_media_want_keyframe(
            media, &media->tracks[slot->track_index], awaited, now_us, true);
}

bool rh_media_slot_can_replay(
    const struct rh_media *media, const struct rh_slot *slot, uint64_t now_us)
{
    if (slot->track_index == RH_NO_INDEX || slot->paused
        || slot->select.carried != RH_SELECT_NOTHING)
        return false;
    const struct rh_track *track = &media->tracks[slot->track_index];
    return !track->muted
        && rh_encoding_has_fresh_keyframe(&track->encodings[slot->select.target.encoding], now_us);
}

static struct rh_target clamp_target(const struct rh_track *track, struct rh_target target)
{
    if (target.encoding >= track->config.encoding_count)
        target.encoding = track->config.encoding_count - 1;
    return target;
}

enum rh_result rh_media_slot_bind(
    struct rh_media *media, rh_slot_id id, const struct rh_slot_binding *binding, uint64_t now_us)
{
    struct rh_slot *slot = rh_media_slot(media, id);
    struct rh_track *track = rh_media_track(media, binding->track);
    if (slot == NULL || track == NULL)
        return RH_STALE;
    if (slot->config.kind != track->config.kind || binding->payload_type > 127
        || binding->rtx_payload_type > 127)
        return RH_UNSUPPORTED;
    uint32_t track_index = (uint32_t)(track - media->tracks);
    /* Without RTX a resend repeats the first bytes: not those written while there was RTX. */
    bool changes_rtx = slot->rtx_payload_type != binding->rtx_payload_type;
    if (changes_rtx)
        slot->runs.count = 0;
    bool begins = slot->track_index != track_index || changes_rtx
        || slot->payload_type != binding->payload_type;
    slot->payload_type = binding->payload_type;
    slot->rtx_payload_type = binding->rtx_payload_type;
    slot->has_rtx = slot->config.rtx_ssrc != 0 && slot->rtx_payload_type != 0;
    slot->has_header = false;
    slot->target = clamp_target(track, binding->target);
    if (slot->track_index != track_index) {
        enum rh_result result = rh_media_slot_unbind(media, id);
        RH_ASSERT(result == RH_OK);
        slot->track_index = track_index;
        rh_subscription entry = rh_subscription_make(
            (uint32_t)(slot - media->slots), RH_SUBSCRIPTION_NONE, RH_SUBSCRIPTION_NONE);
        slot->position =
            rh_subscriptions_add(&media->subscriptions, &track->subscriptions, entry);
    }
    if (begins)
        rh_select_init(&slot->select, track->config.codec, slot->target);
    rh_select_set_target(&slot->select, slot->target);
    apply_target(media, slot, now_us);
    return RH_OK;
}

enum rh_result rh_media_slot_set_target(
    struct rh_media *media, rh_slot_id id, struct rh_target target, uint64_t now_us)
{
    struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL || slot->track_index == RH_NO_INDEX)
        return RH_STALE;
    slot->target = clamp_target(&media->tracks[slot->track_index], target);
    rh_select_set_target(&slot->select, slot->target);
    apply_target(media, slot, now_us);
    return RH_OK;
}

enum rh_result rh_media_slot_set_paused(
    struct rh_media *media, rh_slot_id id, bool paused, uint64_t now_us)
{
    struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL)
        return RH_STALE;
    if (slot->paused == paused)
        return RH_OK;
    slot->paused = paused;
    if (slot->track_index == RH_NO_INDEX)
        return RH_OK;
    rh_select_init(&slot->select, media->tracks[slot->track_index].config.codec, slot->target);
    apply_target(media, slot, now_us);
    return RH_OK;
}

void rh_media_tell_switched(struct rh_media *media, struct rh_slot *slot)
{
    slot->announce_switch = false;
    if (slot->track_index == RH_NO_INDEX)
        return;
    rh_subscription entry = *rh_subscriptions_at(&media->subscriptions, slot->position);
    struct rh_event event = {
        .kind = RH_EVENT_SWITCHED, .slot = slot->id, .encoding = rh_subscription_carried(entry),
        .peer = media->peers[slot->peer_index].id, .ssrc = slot->config.ssrc,
        .track = media->tracks[slot->track_index].id};
    if (!rh_events_push(&media->events, event)) {
        slot->announce_switch = true;
        RH_COUNT(media, events_lost, 1);
    }
}

enum rh_result rh_media_slot_report(
    const struct rh_media *media, rh_slot_id id, struct rh_slot_report *report)
{
    *report = (struct rh_slot_report){.encoding = RH_SELECT_NOTHING};
    const struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL)
        return RH_STALE;
    bool is_bound = slot->track_index != RH_NO_INDEX;
    *report = (struct rh_slot_report){
        .track = is_bound ? media->tracks[slot->track_index].id : 0,
        .encoding = is_bound ? slot->select.carried : RH_SELECT_NOTHING,
        .target_encoding = slot->target.encoding, .paused = slot->paused,
        .ssrc = slot->config.ssrc, .sent_packets = slot->sent_packets,
        .sent_bytes = slot->sent_bytes, .resent_packets = slot->resent_packets,
        .last_seq = (uint16_t)slot->rewrite.highest_out_seq64,
        .last_timestamp = slot->rewrite.last_timestamp,
        .timestamp_offset = slot->rewrite.run.timestamp_offset,
        .last_sent_us = slot->last_sent_us};
    return RH_OK;
}
