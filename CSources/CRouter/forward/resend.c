/* Answers to NACKs out of the history (RFC 4585 section 6.2.1, RFC 4588).
 * SPDX-License-Identifier: Apache-2.0 */
#include "forward/messages.h"
#include "wire/seq.h"

static bool was_resent_lately(
    const struct rh_resend_mark *mark, const struct rh_resend_request *request)
{
    uint16_t passed_ms = (uint16_t)((request->now_us / 1000 | 1) - mark->at_ms);
    return mark->at_ms != 0 && mark->seq == request->seq && passed_ms < request->rtt_us / 1000;
}

/* The resend must be the packet that was sent: same selection of the marker. Without RTX other
 * bytes under the same index would break the cipher, so a packet whose marker may have been set
 * for this subscriber (VP9, end of a lower layer) is not resent there, nor audio, which may have
 * been padded. */
static bool may_resend(const struct rh_slot *slot, const struct rh_packet *packet)
{
    if (slot->has_rtx)
        return true;
    return slot->config.kind == RH_VIDEO
        && (!packet->layer.frame_end || packet->marker || slot->select.codec != RH_CODEC_VP9);
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
    if (track == NULL || place.run->payload_type != slot->payload_type || track->muted
        || track->encodings[place.run->encoding].epoch != place.run->epoch)
        return RH_STALE;
    struct rh_buffer *buffer = rh_history_find(
        &track->encodings[place.run->encoding].history, &media->buffers, place.seq64);
    if (buffer == NULL || buffer->packet.payload_bytes == 0
        || !may_resend(slot, &buffer->packet))
        return RH_STALE;
    struct rh_resend_mark *mark = &slot->resends[request->seq % RH_RESENDS_PER_SLOT];
    if (was_resent_lately(mark, request))
        return RH_REPLAYED;
    if (rh_pending_is_full(&forwarder->pending))
        return RH_FULL;
    if (!rh_peer_is_reachable(peer) || out_seq64 < slot->index_base)
        return RH_STALE;
    struct rh_pending_packet *pending = rh_pending_place(&forwarder->pending);
    rh_pending_of_run(pending, place.run, out_seq64, buffer->packet.timestamp);
    pending->slot = slot->id;
    pending->buffer = rh_buffers_place(&media->buffers, buffer);
    pending->is_resend = true;
    pending->is_replay = false;
    pending->marker =
        buffer->packet.marker || rh_select_decide_late(&slot->select, &buffer->packet).marker;
    rh_buffer_retain(buffer);
    rh_pending_add(&forwarder->pending, slot->peer_index);
    *mark = (struct rh_resend_mark){
        .at_ms = (uint16_t)(request->now_us / 1000 | 1), .seq = request->seq};
    return RH_OK;
}
