/* Answers to NACKs out of the history (RFC 4585 section 6.2.1, RFC 4588).
 * SPDX-License-Identifier: Apache-2.0 */
#include "forward/outgoing.h"
#include "wire/seq.h"

/* The mark of a number, NULL when it was not resent lately. */
static struct rh_resend_mark *find_mark(struct rh_slot *slot, uint16_t seq)
{
    for (uint32_t i = 0; i < RH_RESENDS_PER_SLOT; i++)
        if (slot->resends[i].used && slot->resends[i].seq == seq)
            return &slot->resends[i];
    return NULL;
}

static void note_resend(struct rh_slot *slot, struct rh_resend_mark *mark, uint16_t seq,
                        uint32_t now_ms)
{
    if (mark == NULL) {
        mark = &slot->resends[slot->resend_next];
        slot->resend_next = (slot->resend_next + 1) % RH_RESENDS_PER_SLOT;
    }
    *mark = (struct rh_resend_mark){.at_ms = now_ms, .seq = seq, .used = true};
}

enum rh_result rh_resend(struct rh_forwarder *forwarder, const struct rh_resend_request *request)
{
    struct rh_media *media = &forwarder->media;
    struct rh_slot *slot = &media->slots[request->slot_index];
    struct rh_peer *peer = &media->peers[slot->peer_index];
    uint64_t out_seq64 = rh_seq_extend(slot->rewrite.highest_out_seq64, request->seq);
    struct rh_run_place place = rh_runs_find_out(&slot->runs, out_seq64);
    if (out_seq64 > slot->rewrite.highest_out_seq64 || place.run == NULL)
        return RH_STALE;
    const struct rh_track *track = rh_media_track(media, place.run->track);
    if (track == NULL || place.run->payload_type != slot->payload_type || track->muted)
        return RH_STALE;
    struct rh_buffer *buffer = rh_history_find(
        &track->encodings[place.run->encoding].history, &media->buffers, place.seq64);
    if (buffer == NULL || buffer->packet.payload_bytes == 0)
        return RH_STALE;
    uint32_t now_ms = (uint32_t)(request->now_us / 1000);
    struct rh_resend_mark *mark = find_mark(slot, request->seq);
    if (mark != NULL && now_ms - mark->at_ms < request->rtt_us / 1000)
        return RH_REPLAYED;
    if (rh_sendqueue_reserve(&forwarder->queue) == NULL)
        return RH_FULL;
    struct rh_outgoing outgoing = {
        .buffer = buffer, .now_us = request->now_us, .is_resend = true,
        .marker = buffer->packet.marker};
    rh_outgoing_of_run(&outgoing, place.run, out_seq64, &buffer->packet);
    if (!rh_outgoing_write(forwarder, peer, slot, &outgoing))
        return RH_STALE;
    note_resend(slot, mark, request->seq, now_ms);
    return RH_OK;
}
