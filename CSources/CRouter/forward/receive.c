/* From a datagram to a numbered packet of an encoding. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "forward/forward.h"
#include "forward/sources.h"
#include "wire/assert.h"
#include "wire/demux.h"
#include "wire/payload.h"
#include "wire/seq.h"

static const struct rh_received drop = {.step = RH_RECEIVE_DROP};

/* ---- A packet of a known encoding ---------------------------------------------------------- */

/* Interarrival jitter (RFC 3550 appendix A.8) in fixed point, times 16. */
static void note_jitter(
    struct rh_encoding *encoding, uint32_t clock_rate, uint32_t timestamp, uint64_t arrival_us)
{
    uint64_t arrival = arrival_us / 1000 * clock_rate / 1000
        + arrival_us % 1000 * clock_rate / 1000000;
    uint32_t transit = (uint32_t)arrival - timestamp;
    if (encoding->has_transit) {
        int32_t difference = (int32_t)(transit - (uint32_t)encoding->transit);
        uint32_t distance = (uint32_t)(difference < 0 ? -difference : difference);
        if (distance < clock_rate * 10) /* a restarted clock is no jitter */
            encoding->jitter_q4 += distance - ((encoding->jitter_q4 + 8) >> 4);
    }
    encoding->transit = transit;
    encoding->has_transit = true;
}

static void tell(struct rh_media *media, struct rh_encoding *encoding, uint8_t bit,
                 struct rh_event event)
{
    if (rh_events_push(&media->events, event))
        return;
    encoding->announce |= bit;
    RH_COUNT(media, events_lost, 1);
}

static void note_keyframe(
    struct rh_media *media, struct rh_track *track, uint8_t index, const struct rh_buffer *buffer)
{
    const struct rh_packet *packet = &buffer->packet;
    struct rh_encoding *encoding = &track->encodings[index];
    bool is_same = encoding->keyframes > 0 && encoding->keyframe_timestamp == packet->timestamp;
    if (!packet->layer.keyframe || is_same)
        return;
    encoding->keyframes++;
    encoding->keyframe_timestamp = packet->timestamp;
    encoding->keyframe_seq64 = buffer->seq64;
    encoding->keyframe_at_us = buffer->arrival_us;
    struct rh_event event = {
        .kind = RH_EVENT_KEYFRAME, .encoding = index, .track = track->id,
        .peer = track->peer_index == RH_NO_INDEX ? 0 : media->peers[track->peer_index].id};
    tell(media, encoding, RH_ANNOUNCE_KEYFRAME, event);
}

/* Tells the numbers between before and seq64 that have not arrived; the owner asks for them. */
static void tell_gap(
    struct rh_media *media, const struct rh_track *track, uint8_t index, uint64_t before,
    uint64_t seq64)
{
    uint64_t missing = seq64 - before - 1;
    if (missing == 0 || missing >= RH_WINDOW_PACKETS || track->peer_index == RH_NO_INDEX)
        return;
    struct rh_event event = {
        .kind = RH_EVENT_GAP, .encoding = index, .track = track->id, .seq64 = before + 1,
        .peer = media->peers[track->peer_index].id, .count = (uint32_t)missing};
    if (!rh_events_push(&media->events, event))
        RH_COUNT(media, events_lost, 1);
}

static void count_packet(
    struct rh_encoding *encoding, const struct rh_buffer *buffer, uint32_t clock_rate,
    bool is_resend)
{
    encoding->received_packets++;
    encoding->received_bytes += buffer->packet.payload_bytes;
    encoding->last_arrival_us = buffer->arrival_us;
    if (!is_resend)
        note_jitter(encoding, clock_rate, buffer->packet.timestamp, buffer->arrival_us);
    int level = rh_packet_audio_level(&buffer->packet, buffer->bytes);
    if (level >= 0) {
        encoding->audio_level_sum += (uint64_t)level;
        encoding->audio_level_count++;
    }
}

/* Numbers, counts and keeps a parsed packet of (track, index). */
static struct rh_received accept(
    struct rh_media *media, struct rh_track *track, uint8_t index, struct rh_buffer *buffer,
    bool is_resend)
{
    struct rh_encoding *encoding = &track->encodings[index];
    uint64_t before = encoding->window.highest_seq64;
    enum rh_arrived arrived = rh_window_note(&encoding->window, buffer->seq64);
    if (arrived == RH_ARRIVED_DUPLICATE) {
        encoding->duplicate_packets++;
        return drop;
    }
    if (arrived == RH_ARRIVED_LATE)
        encoding->late_packets++;
    else if (before != 0)
        tell_gap(media, track, index, before, buffer->seq64);
    count_packet(encoding, buffer, track->config.clock_rate, is_resend);
    note_keyframe(media, track, index, buffer);
    if (track->muted) {
        encoding->was_muted = true;
        RH_COUNT(media, drop_muted, 1);
        return drop;
    }
    buffer->resumes = encoding->was_muted;
    encoding->was_muted = false;
    if (buffer->resumes) {
        rh_history_clear(&encoding->history, &media->buffers);
        rh_media_reselect(media, track, index);
    }
    rh_history_keep(&encoding->history, &media->buffers, buffer);
    return (struct rh_received){
        .step = RH_RECEIVE_FORWARD,
        .job = {
            .buffer = buffer, .track_index = (uint32_t)(track - media->tracks),
            .encoding = index, .late = arrived == RH_ARRIVED_LATE,
            .chunk = track->subscriptions.first_chunk}};
}

/* ---- RTP ----------------------------------------------------------------------------------- */

static void tell_unknown(
    struct rh_media *media, struct rh_peer *peer, const struct rh_packet *packet, uint64_t now_us)
{
    RH_COUNT(media, drop_unknown_source, 1);
    bool recently = peer->unknown_told_at_us + RH_UNKNOWN_REPEAT_US > now_us;
    if (peer->unknown_told_at_us != 0 && recently)
        return;
    peer->unknown_told_at_us = now_us;
    struct rh_event event = {
        .kind = RH_EVENT_SOURCE_UNKNOWN, .peer = peer->id, .ssrc = packet->ssrc,
        .count = packet->payload_type};
    if (!rh_events_push(&media->events, event))
        RH_COUNT(media, events_lost, 1);
}

static struct rh_received count_failure(struct rh_media *media, enum rh_result result)
{
    if (result == RH_REPLAYED)
        RH_COUNT(media, drop_replayed, 1);
    else if (result == RH_UNAUTHENTIC)
        RH_COUNT(media, drop_unauthentic, 1);
    else
        RH_COUNT(media, drop_malformed, 1);
    return drop;
}

/* Opens the packet; buffer->seq64 becomes its extended number, buffer->packet is parsed whole. */
static enum rh_result open_packet(
    struct rh_peer *peer, struct rh_source *source, struct rh_buffer *buffer)
{
    struct rh_srtp_packet srtp = {.bytes = buffer->bytes, .size = buffer->size};
    enum rh_result result =
        rh_srtp_unprotect_rtp(&peer->receive, &source->srtp, &buffer->packet, &srtp);
    if (result != RH_OK)
        return result;
    buffer->size = (uint16_t)srtp.size;
    buffer->seq64 = srtp.seq64;
    peer->received_packets++;
    peer->received_bytes += srtp.size;
    peer->last_received_us = buffer->arrival_us;
    result = rh_packet_parse_rest(buffer->bytes, srtp.size, &peer->map, &buffer->packet);
    if (result != RH_OK)
        return result;
    int32_t transport_seq = rh_packet_transport_seq(&buffer->packet, buffer->bytes);
    if (transport_seq >= 0)
        rh_peer_note_arrival(peer, (uint16_t)transport_seq, buffer->arrival_us);
    return RH_OK;
}

/* Makes of a resend the packet it repeats. Returns false for one that repeats nothing. */
static bool unwrap(struct rh_track *track, struct rh_encoding *encoding, struct rh_buffer *buffer)
{
    if (encoding->ssrc == 0 || encoding->window.highest_seq64 < RH_SEQ64_FIRST)
        return false;
    enum rh_result result = rh_packet_unwrap_rtx(
        buffer->bytes, encoding->ssrc, track->config.payload_type, &buffer->packet);
    if (result != RH_OK)
        return false;
    buffer->seq64 = rh_seq_extend(encoding->window.highest_seq64, buffer->packet.seq);
    return buffer->seq64 <= encoding->window.highest_seq64 && buffer->seq64 >= RH_SEQ64_FIRST;
}

/* A packet of an SSRC that is matched with a track. */
static struct rh_received receive_matched(
    struct rh_media *media, struct rh_peer *peer, struct rh_source *source,
    struct rh_buffer *buffer)
{
    struct rh_track *track = &media->tracks[source->track_index];
    struct rh_encoding *encoding = &track->encodings[source->encoding];
    uint64_t now_us = buffer->arrival_us;
    bool took_over = rh_sources_take_over(media, peer, source, now_us);
    source->last_arrival_us = now_us;
    if (!took_over) {
        RH_COUNT(media, drop_unknown_source, 1);
        return drop;
    }
    uint8_t wanted =
        source->is_rtx ? track->config.rtx_payload_type : track->config.payload_type;
    if (buffer->packet.payload_type != wanted
        || (source->is_rtx && !unwrap(track, encoding, buffer))) {
        RH_COUNT(media, drop_unhandled, 1);
        return drop;
    }
    enum rh_codec codec = (enum rh_codec)track->config.codec;
    if (rh_payload_parse(codec, buffer->bytes, &buffer->packet) != RH_OK) {
        RH_COUNT(media, drop_malformed, 1);
        return drop;
    }
    rh_picture_ids_extend(&encoding->picture_ids, &buffer->packet.layer);
    /* The SRTP index begins anew with each key; the numbers of the encoding go on. */
    if (!source->is_rtx && encoding->window.highest_seq64 != 0)
        buffer->seq64 = rh_seq_extend(encoding->window.highest_seq64, buffer->packet.seq);
    return accept(media, track, source->encoding, buffer, source->is_rtx);
}

static struct rh_received receive_rtp(
    struct rh_media *media, struct rh_peer *peer, struct rh_buffer *buffer)
{
    enum rh_result result =
        rh_packet_parse_header(buffer->bytes, buffer->size, &buffer->packet);
    if (result != RH_OK)
        return count_failure(media, result);
    struct rh_source *source = rh_peer_find_source(peer, buffer->packet.ssrc);
    struct rh_source stranger = {.ssrc = buffer->packet.ssrc, .track_index = RH_NO_INDEX};
    result = open_packet(peer, source != NULL ? source : &stranger, buffer);
    if (result != RH_OK)
        return count_failure(media, result);
    if (source == NULL || source->track_index == RH_NO_INDEX) {
        struct rh_match match = rh_sources_match(media, peer, &buffer->packet, buffer->bytes);
        if (match.track_index == RH_NO_INDEX) {
            tell_unknown(media, peer, &buffer->packet, buffer->arrival_us);
            return drop;
        }
        if (source == NULL) {
            source = rh_peer_add_source(peer, stranger.ssrc);
            source->srtp = stranger.srtp;
        }
        source->track_index = match.track_index;
        source->last_arrival_us = 0;
        source->encoding = match.encoding;
        source->is_rtx = match.is_rtx;
    }
    return receive_matched(media, peer, source, buffer);
}

/* ---- Any datagram -------------------------------------------------------------------------- */

static struct rh_received receive_rtcp(
    struct rh_media *media, struct rh_peer *peer, struct rh_buffer *buffer)
{
    size_t size = buffer->size;
    enum rh_result result = rh_srtp_unprotect_rtcp(&peer->receive, buffer->bytes, &size);
    if (result != RH_OK)
        return count_failure(media, result);
    buffer->size = (uint16_t)size;
    peer->last_received_us = buffer->arrival_us;
    return (struct rh_received){
        .step = RH_RECEIVE_TELL, .kind = RH_DATAGRAM_RTCP, .peer = peer->id};
}

struct rh_received rh_receive(
    struct rh_forwarder *forwarder, struct rh_buffer *buffer, const struct rh_address *from)
{
    struct rh_media *media = &forwarder->media;
    enum rh_traffic traffic = rh_demux_classify(buffer->bytes, buffer->size);
    uint32_t index = rh_addresses_find(&media->addresses, from);
    struct rh_peer *peer = index == RH_NO_INDEX ? NULL : &media->peers[index];
    if (traffic == RH_TRAFFIC_STUN || traffic == RH_TRAFFIC_DTLS)
        return (struct rh_received){
            .step = RH_RECEIVE_TELL, .peer = peer == NULL ? 0 : peer->id,
            .kind = traffic == RH_TRAFFIC_STUN ? RH_DATAGRAM_STUN : RH_DATAGRAM_DTLS};
    if (traffic != RH_TRAFFIC_RTP && traffic != RH_TRAFFIC_RTCP) {
        RH_COUNT(media, drop_unhandled, 1);
        return drop;
    }
    if (peer == NULL) {
        RH_COUNT(media, drop_unknown_address, 1);
        return drop;
    }
    if (!peer->has_keys) {
        RH_COUNT(media, drop_no_keys, 1);
        return drop;
    }
    return traffic == RH_TRAFFIC_RTP ? receive_rtp(media, peer, buffer)
                                     : receive_rtcp(media, peer, buffer);
}

struct rh_received rh_receive_relayed(
    struct rh_forwarder *forwarder, struct rh_buffer *buffer, const struct rh_relay_entry *entry)
{
    struct rh_media *media = &forwarder->media;
    struct rh_track *mirror = rh_media_track(media, entry->mirror);
    if (mirror == NULL || entry->encoding >= mirror->config.encoding_count)
        return drop;
    RH_ASSERT(mirror->peer_index == RH_NO_INDEX);
    buffer->size = entry->size;
    buffer->arrival_us = entry->arrival_us;
    buffer->seq64 = entry->seq64;
    buffer->packet = entry->packet;
    memcpy(buffer->bytes, entry->bytes, entry->size);
    struct rh_encoding *encoding = &mirror->encodings[entry->encoding];
    if (encoding->ssrc != entry->packet.ssrc) {
        if (encoding->ssrc != 0)
            rh_media_restart_encoding(media, mirror, entry->encoding);
        encoding->ssrc = entry->packet.ssrc;
    }
    encoding->was_muted |= entry->resumes;
    return accept(media, mirror, entry->encoding, buffer, false);
}
