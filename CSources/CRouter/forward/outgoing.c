/* Writing packets for subscribers. SPDX-License-Identifier: Apache-2.0 */
#include "forward/outgoing.h"

#include <string.h>

#include "wire/assert.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum {
    RTX_NUMBER_BYTES = 2,                /* the original sequence number (RFC 4588 section 4) */
    GROWTH_BYTES = RTX_NUMBER_BYTES + 1, /* and a picture id that became wider */
};
static_assert(RH_WRITTEN_HEADER_BYTES_MAX <= RH_PACKET_BYTES_MAX);

struct rh_rewrite_run rh_outgoing_of_run(
    struct rh_outgoing *outgoing, const struct rh_run *run, uint64_t out_seq64,
    const struct rh_packet *packet)
{
    outgoing->seq64 = out_seq64;
    outgoing->timestamp = packet->timestamp + run->timestamp_offset;
    outgoing->payload_type = run->payload_type;
    return (struct rh_rewrite_run){
        .first_in_seq64 = run->first_in_seq64, .first_out_seq64 = run->first_out_seq64,
        .timestamp_offset = run->timestamp_offset, .picture_id_offset = run->picture_id_offset,
        .tl0_offset = run->tl0_offset};
}

static bool slot_has_rtx(const struct rh_slot *slot)
{
    return slot->config.rtx_ssrc != 0 && slot->rtx_payload_type != 0;
}

/* Writes the header, and the clear payload where it must be changed; out.payload says where the
 * payload is to be read. Returns false when the packet would be too long. */
static bool write_clear(
    const struct rh_outgoing *outgoing, const struct rh_header *header, bool is_rtx,
    struct rh_srtp_outgoing *out)
{
    const struct rh_buffer *buffer = outgoing->buffer;
    const struct rh_packet *packet = &buffer->packet;
    const uint8_t *payload = buffer->bytes + packet->payload_offset;
    out->header_bytes = rh_packet_write_header(header, packet, buffer->bytes, out->out);
    if (out->header_bytes + packet->payload_bytes + GROWTH_BYTES + RH_SRTP_TAG_BYTES_MAX
        > RH_PACKET_BYTES_MAX)
        return false;
    struct rh_patch patch = rh_rewrite_patch(outgoing->run, &packet->layer, payload);
    if (patch.skip == 0 && !is_rtx) {
        out->payload = payload;
        out->payload_bytes = packet->payload_bytes;
        return true;
    }
    uint8_t *place = out->out + out->header_bytes;
    out->payload = place;
    if (is_rtx) {
        rh_put16(place, (uint16_t)outgoing->seq64);
        place += RTX_NUMBER_BYTES;
    }
    size_t copied = rh_patch_apply(&patch, payload, packet->payload_bytes, place);
    out->payload_bytes = copied + (is_rtx ? RTX_NUMBER_BYTES : 0);
    return true;
}

bool rh_outgoing_write(
    struct rh_forwarder *forwarder, struct rh_peer *peer, struct rh_slot *slot,
    const struct rh_outgoing *outgoing)
{
    const struct rh_packet *packet = &outgoing->buffer->packet;
    bool is_rtx = outgoing->is_resend && slot_has_rtx(slot);
    if (!rh_peer_is_reachable(peer) || outgoing->seq64 < slot->index_base)
        return false;
    uint8_t *place = rh_sendqueue_reserve(&forwarder->queue);
    RH_ASSERT(place != NULL);
    bool has_rtx = slot_has_rtx(slot);
    uint64_t seq64 = is_rtx ? slot->rtx_next_seq64 : outgoing->seq64;
    uint64_t base = is_rtx ? slot->rtx_index_base : slot->index_base;
    struct rh_header header = {
        .ids = has_rtx ? &peer->extensions : &peer->lasting, .mid = slot->config.mid,
        .mid_bytes = slot->mid_bytes, .timestamp = outgoing->timestamp,
        .ssrc = is_rtx ? slot->config.rtx_ssrc : slot->config.ssrc, .seq = (uint16_t)seq64,
        .payload_type = is_rtx ? slot->rtx_payload_type : outgoing->payload_type,
        .abs_send_time = outgoing->send_time, .marker = outgoing->marker,
        .transport_seq = peer->transport_seq,
        .frame_number_offset = outgoing->run->picture_id_offset};
    struct rh_srtp_outgoing out = {.out = place, .seq64 = seq64 - base + RH_SEQ64_FIRST};
    if (!write_clear(outgoing, &header, is_rtx, &out)) {
        RH_COUNT(&forwarder->media, drop_unhandled, 1);
        return false;
    }
    slot->rtx_next_seq64 += is_rtx;
    size_t size = rh_srtp_protect_rtp(&peer->send, &out);
    rh_sendqueue_commit(
        &forwarder->queue, size, &peer->selected, slot->peer_index);
    if (header.ids->transport_seq != 0)
        peer->transport_seq++;
    peer->sent_packets++;
    peer->sent_bytes += size;
    if (outgoing->is_resend) {
        slot->resent_packets++;
        RH_COUNT(&forwarder->media, resent_packets, 1);
        return true;
    }
    slot->sent_packets++;
    slot->sent_bytes += packet->payload_bytes;
    slot->last_sent_us = outgoing->now_us;
    RH_COUNT(&forwarder->media, forwarded_packets, 1);
    return true;
}
