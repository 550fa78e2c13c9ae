/* The path: one packet to every slot that carries it. SPDX-License-Identifier: Apache-2.0 */
#include "forward/forward.h"

#include "forward/messages.h"
#include "wire/assert.h"

enum { PREFETCH_AHEAD = 4 }; /* slots: one takes as long as a line takes to come from memory */

/* ---- Where the packet goes in one slot's stream -------------------------------------------- */

/* What is known for a switch of slot to (track, encoding). */
static struct rh_rewrite_source switch_source(
    const struct rh_slot *slot, const struct rh_track *track, const struct rh_forward_job *job)
{
    const struct rh_encoding *to = &track->encodings[job->encoding];
    struct rh_rewrite_source source = {
        .seq64 = job->buffer->seq64, .arrival_us = job->buffer->arrival_us,
        .clock_rate = track->config.clock_rate,
        .step = track->config.clock_rate / (track->config.kind == RH_AUDIO ? 50 : 30)};
    if (source.step == 0)
        source.step = 1;
    if (slot->from_track != track->id)
        return source;
    const struct rh_encoding *from = &track->encodings[slot->from_encoding];
    source.from = (struct rh_clock_point){from->report_ntp, from->report_rtp, from->has_report};
    source.to = (struct rh_clock_point){to->report_ntp, to->report_rtp, to->has_report};
    return source;
}

/* Remembers the run that begins, for late packets and resends. */
static void begin_run(struct rh_slot *slot, const struct rh_track *track, uint8_t encoding)
{
    const struct rh_rewrite_run *run = &slot->rewrite.run;
    rh_runs_begin(&slot->runs, &(struct rh_run){
        .first_out_seq64 = run->first_out_seq64, .first_in_seq64 = run->first_in_seq64,
        .track = track->id, .timestamp_offset = run->timestamp_offset,
        .picture_id_offset = run->picture_id_offset, .tl0_offset = run->tl0_offset,
        .encoding = encoding, .payload_type = slot->payload_type,
        .epoch = track->encodings[encoding].epoch});
}

/* Decides about the newest packet of an encoding. Returns false when the slot does not send it. */
static bool place_newest(
    struct rh_media *media, struct rh_slot *slot, struct rh_track *track,
    const struct rh_forward_job *job, struct rh_pending_packet *pending)
{
    const struct rh_buffer *buffer = job->buffer;
    struct rh_select_decision decision =
        rh_select_decide(&slot->select, job->encoding, &buffer->packet);
    struct rh_rewritten out;
    switch (decision.action) {
    case RH_SELECT_FORWARD:
        out = rh_rewrite_forward(
            &slot->rewrite, &buffer->packet, buffer->seq64, buffer->arrival_us);
        break;
    case RH_SELECT_SWITCH: {
        struct rh_rewrite_source source = switch_source(slot, track, job);
        out = rh_rewrite_switch(&slot->rewrite, &buffer->packet, &source);
        slot->from_track = track->id;
        slot->from_encoding = job->encoding;
        begin_run(slot, track, job->encoding);
        rh_media_note_layers(media, slot);
        rh_media_tell_switched(media, slot);
        break;
    }
    case RH_SELECT_DROP:
        rh_rewrite_drop(&slot->rewrite, &buffer->packet, buffer->seq64);
        begin_run(slot, track, job->encoding);
        return false;
    default:
        if (rh_select_awaited(&slot->select) == job->encoding)
            rh_media_want_keyframe(media, track, job->encoding, job->now_us, false);
        return false;
    }
    pending->seq64 = out.seq64;
    pending->timestamp = out.timestamp;
    pending->picture_id_offset = slot->rewrite.run.picture_id_offset;
    pending->tl0_offset = slot->rewrite.run.tl0_offset;
    pending->payload_type = slot->payload_type;
    pending->marker = decision.marker;
    return true;
}

/* Finds the place that was left open for a late packet. */
static bool place_late(
    const struct rh_slot *slot, const struct rh_track *track, const struct rh_forward_job *job,
    struct rh_pending_packet *pending)
{
    const struct rh_packet *packet = &job->buffer->packet;
    struct rh_select_decision decision = rh_select_decide_late(&slot->select, packet);
    if (decision.action != RH_SELECT_FORWARD)
        return false;
    struct rh_run like = {
        .track = track->id, .encoding = job->encoding,
        .epoch = track->encodings[job->encoding].epoch};
    struct rh_run_place place = rh_runs_find_in(
        &slot->runs, &like, job->buffer->seq64, slot->rewrite.highest_out_seq64 + 1);
    if (place.run == NULL)
        return false;
    rh_pending_of_run(pending, place.run, place.seq64, packet->timestamp);
    pending->marker = decision.marker;
    return true;
}

/* ---- The walk ------------------------------------------------------------------------------ */

[[gnu::always_inline]] static inline void forward_to_slot(
    struct rh_forwarder *forwarder, rh_subscription entry, const struct rh_forward_job *job)
{
    struct rh_media *media = &forwarder->media;
    struct rh_slot *slot = &media->slots[rh_subscription_slot(entry)];
    struct rh_track *track = &media->tracks[job->track_index];
    struct rh_pending_packet *pending = rh_pending_place(&forwarder->pending);
    bool is_carried = rh_subscription_carried(entry) == job->encoding;
    if (job->late) {
        if (!is_carried || !place_late(slot, track, job, pending))
            return;
    } else if (!place_newest(media, slot, track, job, pending)) {
        return;
    }
    pending->slot = slot->id;
    pending->buffer = job->place;
    pending->is_resend = false;
    pending->is_replay = job->is_replay;
    rh_buffer_retain(job->buffer);
    rh_pending_add(&forwarder->pending, slot->peer_index);
}

static void relay(struct rh_media *media, struct rh_forward_job *job)
{
    const struct rh_track *track = &media->tracks[job->track_index];
    job->branched = true;
    for (uint64_t left = track->branch_mask; left != 0; left &= left - 1) {
        uint32_t worker = (uint32_t)__builtin_ctzll(left);
        bool put = rh_relay_put(
            media->relays_out[worker], track->mirrors[worker], job->encoding, job->buffer);
        media->relays_filled |= 1ull << worker;
        if (put)
            RH_COUNT(media, relayed_packets, 1);
        else
            RH_COUNT(media, relay_full, 1);
    }
}

enum rh_result rh_forward(
    struct rh_forwarder *forwarder, struct rh_forward_job *job, uint64_t now_us)
{
    struct rh_media *media = &forwarder->media;
    const struct rh_track *track = &media->tracks[job->track_index];
    job->now_us = now_us;
    job->place = rh_buffers_place(&media->buffers, job->buffer);
    if (!job->branched)
        relay(media, job);
    while (job->chunk != RH_NO_INDEX) {
        const struct rh_subscription_chunk *chunk = &media->subscriptions.chunks[job->chunk];
        uint32_t filled = job->chunk == track->subscriptions.first_chunk
            ? rh_subscriptions_first_count(&track->subscriptions) : RH_SUBSCRIPTIONS_PER_CHUNK;
        for (; job->entry < filled; job->entry++) {
            rh_subscription entry = chunk->entries[job->entry];
            if (job->entry + PREFETCH_AHEAD < filled)
                rh_slot_prefetch(&media->slots[rh_subscription_slot(
                    chunk->entries[job->entry + PREFETCH_AHEAD])]);
            if (rh_subscription_carried(entry) != job->encoding
                && rh_subscription_awaited(entry) != job->encoding)
                continue;
            if (rh_pending_is_full(&forwarder->pending))
                return RH_FULL;
            forward_to_slot(forwarder, entry, job);
        }
        job->chunk = chunk->next;
        job->entry = 0;
    }
    return RH_OK;
}

/* ---- A slot's beginning -------------------------------------------------------------------- */

/* True when the history holds everything from the keyframe on. */
static bool is_whole(const struct rh_media *media, const struct rh_encoding *encoding)
{
    uint64_t newest = encoding->window.highest_seq64;
    for (uint64_t seq64 = encoding->keyframe_seq64; seq64 <= newest; seq64++)
        if (rh_history_find(&encoding->history, &media->buffers, seq64) == NULL)
            return false;
    return true;
}

void rh_replay(struct rh_forwarder *forwarder, rh_slot_id id, uint64_t now_us)
{
    struct rh_media *media = &forwarder->media;
    struct rh_slot *slot = rh_media_slot(media, id);
    if (slot == NULL || !rh_media_slot_can_replay(media, slot, now_us))
        return;
    struct rh_forward_job job = {
        .track_index = slot->track_index, .encoding = slot->select.target.encoding,
        .now_us = now_us, .is_replay = true};
    struct rh_encoding *encoding = &media->tracks[job.track_index].encodings[job.encoding];
    uint32_t room = RH_PENDING_PACKETS - forwarder->pending.count;
    if (room < RH_REPLAY_PACKETS || !is_whole(media, encoding)) {
        rh_media_slot_ask(media, slot, now_us);
        return;
    }
    rh_subscription entry = *rh_subscriptions_at(&media->subscriptions, slot->position);
    uint64_t newest = encoding->window.highest_seq64;
    for (uint64_t seq64 = encoding->keyframe_seq64; seq64 <= newest; seq64++) {
        job.buffer = rh_history_find(&encoding->history, &media->buffers, seq64);
        job.place = rh_buffers_place(&media->buffers, job.buffer);
        forward_to_slot(forwarder, entry, &job);
    }
}
