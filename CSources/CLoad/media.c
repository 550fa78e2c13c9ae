/* Received RTP: counting every packet, opening some. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loop.h"
#include "wire/bytes.h"
#include "wire/packet.h"
#include "wire/payload.h"
#include "wire/seq.h"

enum { SLACK_BYTES = 64 }; /* ciphers may touch what follows a packet */

/* Packets that were on their way when a slot began to rest do not end its rest for so long; a
 * keyframe or another source does. */
static const uint64_t tail_ns = 200 * RH_LOAD_MS;

/* One RTP packet on its way through this file. */
struct item {
    uint64_t seq64;        /* of the stream, after RTX was unwrapped */
    uint64_t arrival_ns;
    uint32_t timestamp;
    size_t size;           /* on the wire */
    bool marker, is_resend;
    bool has_begun;        /* it is the first of its source */
    bool is_sample;        /* opened for itself: its delay counts */
};

/* A packet in clear. */
struct opened {
    struct rh_packet packet;
    uint64_t seq64;        /* of the SRTP stream */
    alignas(16) uint8_t bytes[RH_LOAD_DATAGRAM_BYTES_MAX + SLACK_BYTES];
};

/* ---- Opening --------------------------------------------------------------------------------- */

static bool reject(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, bool is_malformed)
{
    uint64_t *count = is_malformed ? &endpoint->report.malformed : &endpoint->report.unauthentic;
    uint64_t *total = is_malformed ? &loop->totals.malformed : &loop->totals.unauthentic;
    ++*count;
    ++*total;
    return false;
}

/* Authenticates and decrypts into opened. highest_seq64 of the SSRC; 0: its first packet. Numbers
 * that came before are not refused here: they are told apart, and counted, by the arrivals. */
static bool open_packet(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received, uint64_t highest_seq64, struct opened *opened)
{
    if (received->size > RH_LOAD_DATAGRAM_BYTES_MAX
        || rh_packet_parse_header(received->bytes, received->size, &opened->packet) != RH_OK)
        return reject(loop, endpoint, true);
    memcpy(opened->bytes, received->bytes, received->size);
    struct rh_srtp_source source = {.highest_seq64 = highest_seq64};
    struct rh_srtp_packet srtp = {opened->bytes, received->size, 0};
    if (rh_srtp_unprotect_rtp(&endpoint->receive, &source, &opened->packet, &srtp) != RH_OK)
        return reject(loop, endpoint, false);
    opened->seq64 = srtp.seq64;
    loop->totals.decrypted++;
    enum rh_result result = rh_packet_parse_rest(
        opened->bytes, srtp.size, &endpoint->extensions, &opened->packet);
    return result == RH_OK || reject(loop, endpoint, true);
}

/* Packets until the next is opened: evenly drawn, so that samples do not fall on the same packet of
 * each frame. */
static uint32_t open_interval(
    struct rh_load_loop *loop, const struct rh_load_endpoint_config *config)
{
    if (config->decrypt == RH_LOAD_DECRYPT_NONE)
        return UINT32_MAX;
    if (config->decrypt == RH_LOAD_DECRYPT_ALL)
        return 1;
    uint64_t span = 2 * (uint64_t)config->decrypt_interval - 1;
    return (uint32_t)(1 + rh_load_random(&loop->sample_random) % span);
}

/* Packets that are opened because something new is looked for come in busy moments, and some are
 * old keyframes, kept by the node: their delays would not be those of the stream. */
static bool is_to_open(
    struct rh_load_loop *loop, const struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    struct item *item)
{
    bool is_turn = --slot->until_open == 0;
    if (is_turn)
        slot->until_open = open_interval(loop, &endpoint->config);
    bool is_looking = slot->is_searching || slot->is_resting;
    item->is_sample = is_turn && !is_looking;
    return endpoint->has_keys
        && (is_turn || is_looking || loop->now_ns < endpoint->watch_until_ns);
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void count_frame(struct rh_load_loop *loop, struct rh_load_slot *slot, uint64_t arrival_ns)
{
    slot->frames++;
    rh_load_totals(loop, slot->config.kind)->frames++;
    if (slot->is_resting)
        return;
    if (slot->last_frame_ns != 0 && arrival_ns - slot->last_frame_ns > slot->longest_gap_ns
        && arrival_ns > slot->last_frame_ns)
        slot->longest_gap_ns = arrival_ns - slot->last_frame_ns;
    slot->last_frame_ns = arrival_ns;
}

/* Whether a packet is of the newest keyframe. */
static bool is_of_keyframe(const struct rh_load_slot *slot, const struct item *item)
{
    const struct rh_load_frame_search *search = &slot->search;
    return search->first_seq64 != 0 && search->timestamp == item->timestamp
        && item->seq64 >= search->first_seq64
        && item->seq64 - search->first_seq64 < RH_LOAD_WINDOW_PACKETS;
}

/* Something new begins with this packet, or with the keyframe whose end it is when only its stamp
 * told. */
static void begin_source(struct rh_load_slot *slot, struct item *item)
{
    struct rh_load_frame_search *search = &slot->search;
    if (!is_of_keyframe(slot, item))
        *search = (struct rh_load_frame_search){.arrival_ns = item->arrival_ns};
    item->has_begun = true;
    slot->is_resting = false;
    slot->source_packet_ns = search->arrival_ns;
    slot->source_frame_ns = 0;
    slot->is_searching = true;
}

/* The last packet of the frame whose first is item, when it came before. 0: not yet. */
static uint64_t find_marker(const struct rh_load_slot *slot, const struct item *item)
{
    for (uint32_t i = 0; i < RH_LOAD_MARKERS; i++) {
        const struct rh_load_marker *marker = &slot->markers[i];
        if (marker->timestamp == item->timestamp && marker->seq64 >= item->seq64
            && marker->seq64 - item->seq64 < RH_LOAD_WINDOW_PACKETS)
            return marker->seq64;
    }
    return 0;
}

/* The first packet of a keyframe came; after others of it when it was lost and resent. */
static void begin_keyframe(struct rh_load_slot *slot, struct item *item)
{
    slot->keyframes++;
    if (slot->is_resting)
        begin_source(slot, item);
    if (!is_of_keyframe(slot, item))
        slot->search = (struct rh_load_frame_search){
            .first_seq64 = item->seq64, .last_seq64 = find_marker(slot, item),
            .arrival_ns = item->arrival_ns, .timestamp = item->timestamp};
}

static void forget_missing(struct rh_load_slot *slot, uint64_t seq64)
{
    for (uint32_t i = 0; i < slot->missing_count; i++) {
        if (slot->missing[i].seq64 != seq64)
            continue;
        slot->missing_count--;
        memmove(slot->missing + i, slot->missing + i + 1,
                (slot->missing_count - i) * sizeof *slot->missing);
        return;
    }
}

static void count_new(
    struct rh_load_loop *loop, struct rh_load_slot *slot, const struct item *item,
    const struct rh_load_arrival *arrival)
{
    struct rh_load_media_totals *totals = rh_load_totals(loop, slot->config.kind);
    totals->packets++;
    totals->bytes += item->size;
    totals->lost += (uint64_t)arrival->lost_change;
    totals->gaps += arrival->skipped != 0;
    totals->recovered += item->is_resend;
    totals->reordered += arrival->is_late && !item->is_resend;
    slot->bytes += item->size;
    slot->recovered += item->is_resend;
    slot->last_packet_ns = item->arrival_ns;
    if (slot->first_packet_ns == 0)
        slot->first_packet_ns = item->arrival_ns;
}

/* Returns false for a repetition. */
static bool count_packet(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    struct item *item)
{
    struct rh_load_arrival arrival =
        rh_load_arrivals_note(&slot->arrivals, item->seq64, item->is_resend);
    if (!arrival.is_new) {
        rh_load_totals(loop, slot->config.kind)->duplicates++;
        return false;
    }
    count_new(loop, slot, item, &arrival);
    if (arrival.skipped != 0)
        rh_load_note_missing(
            loop, endpoint, slot, item->seq64 - arrival.skipped, arrival.skipped);
    if (arrival.is_late && slot->missing_count != 0)
        forget_missing(slot, item->seq64);
    if (slot->is_resting && (slot->rest_ns == 0 || item->arrival_ns > slot->rest_ns + tail_ns))
        begin_source(slot, item);
    if (!arrival.is_late) {
        uint64_t since_ns = item->arrival_ns - loop->started_ns;
        rh_load_arrivals_note_time(
            &slot->arrivals, (uint32_t)(uint64_t)((double)since_ns * slot->units_per_ns),
            item->timestamp);
    }
    if (item->marker || slot->config.kind == RH_AUDIO)
        count_frame(loop, slot, item->arrival_ns);
    return true;
}

/* ---- Looking into opened packets ------------------------------------------------------------- */

static bool is_complete(const struct rh_load_slot *slot)
{
    const struct rh_load_frame_search *search = &slot->search;
    if (search->first_seq64 == 0 || search->last_seq64 == 0)
        return false;
    for (uint64_t seq64 = search->first_seq64; seq64 <= search->last_seq64; seq64++)
        if (!rh_load_arrivals_has(&slot->arrivals, seq64))
            return false;
    return true;
}

static void search_frame(struct rh_load_slot *slot, const struct item *item)
{
    struct rh_load_frame_search *search = &slot->search;
    bool is_any = slot->config.kind == RH_AUDIO || slot->config.codec == RH_CODEC_NONE;
    if (is_any && (item->marker || slot->config.kind == RH_AUDIO)) {
        slot->source_frame_ns = item->arrival_ns;
        slot->is_searching = false;
        return;
    }
    if (!is_of_keyframe(slot, item))
        return;
    if (item->marker)
        search->last_seq64 = item->seq64;
    if (is_complete(slot)) {
        slot->source_frame_ns = item->arrival_ns;
        slot->is_searching = false;
    }
}

static void note_stamp(
    struct rh_load_loop *loop, struct rh_load_slot *slot, struct item *item,
    const struct opened *opened)
{
    uint32_t source_id;
    uint64_t sent_ns;
    if (!rh_load_stamp_read(
            opened->bytes + opened->packet.payload_offset, opened->packet.payload_bytes,
            &source_id, &sent_ns)) {
        if (item->has_begun)
            slot->source_id = 0;
        return;
    }
    if (source_id != slot->source_id) {
        /* a clip's frame has its stamp in the last packet: what has begun without goes on */
        bool is_other = slot->source_id != 0 || slot->source_packet_ns == 0;
        slot->source_id = source_id;
        if (is_other && !item->has_begun)
            begin_source(slot, item);
    }
    if (!item->is_sample)
        return;
    uint64_t delay_ns = item->arrival_ns > sent_ns ? item->arrival_ns - sent_ns : 0;
    bool is_audio = slot->config.kind == RH_AUDIO;
    rh_load_histogram_add(
        &loop->histograms[is_audio ? RH_LOAD_DELAY_AUDIO : RH_LOAD_DELAY_VIDEO], delay_ns);
}

static void inspect(
    struct rh_load_loop *loop, struct rh_load_slot *slot, struct item *item,
    struct opened *opened)
{
    slot->decrypted++;
    if (opened->packet.payload_bytes == 0) {
        slot->padding_packets++;
        return;
    }
    rh_payload_parse(slot->config.codec, opened->bytes, &opened->packet);
    if (item->marker)
        slot->markers[slot->marker_count++ % RH_LOAD_MARKERS] =
            (struct rh_load_marker){item->seq64, item->timestamp};
    if (opened->packet.layer.keyframe && slot->config.kind == RH_VIDEO)
        begin_keyframe(slot, item);
    note_stamp(loop, slot, item, opened);
    if (slot->is_searching)
        search_frame(slot, item);
    if (slot->is_marked)
        rh_load_slot_note_mark(loop, slot);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* A resent packet (RFC 4588): always opened, its number is inside. */
static void on_resend(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    const struct rh_load_received *received)
{
    struct opened opened;
    if (!endpoint->has_keys)
        return;
    if (!open_packet(loop, endpoint, received, slot->rtx_highest_seq64, &opened)) {
        slot->unauthentic++;
        return;
    }
    if (opened.seq64 > slot->rtx_highest_seq64)
        slot->rtx_highest_seq64 = opened.seq64;
    if (rh_packet_unwrap_rtx(opened.bytes, slot->config.ssrc, 0, &opened.packet) != RH_OK) {
        slot->padding_packets++;
        return;
    }
    struct item item = {
        .seq64 = rh_load_arrivals_extend(&slot->arrivals, opened.packet.seq),
        .arrival_ns = received->arrival_ns, .timestamp = opened.packet.timestamp,
        .size = received->size, .marker = opened.packet.marker, .is_resend = true};
    if (count_packet(loop, endpoint, slot, &item))
        inspect(loop, slot, &item, &opened);
}

static void on_media(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    const struct rh_load_received *received)
{
    const uint8_t *bytes = received->bytes;
    struct item item = {
        .seq64 = rh_load_arrivals_extend(&slot->arrivals, rh_get16(bytes + 2)),
        .arrival_ns = received->arrival_ns, .timestamp = rh_get32(bytes + 4),
        .size = received->size, .marker = (bytes[1] & 0x80) != 0};
    if (__builtin_expect(!is_to_open(loop, endpoint, slot, &item), 1)) {
        count_packet(loop, endpoint, slot, &item);
        return;
    }
    struct opened opened;
    if (!open_packet(loop, endpoint, received, slot->arrivals.highest_seq64, &opened)) {
        slot->unauthentic++;
        return;
    }
    item.seq64 = opened.seq64;
    if (count_packet(loop, endpoint, slot, &item))
        inspect(loop, slot, &item, &opened);
}

void rh_load_prefetch(const struct rh_load_endpoint *endpoint, const uint8_t *bytes)
{
    const struct rh_load_place *place = rh_load_find_place(endpoint, rh_get32(bytes + 8));
    if (place == NULL)
        return;
    const struct rh_load_slot *slot = endpoint->slots[place->slot];
    uint32_t word = rh_get16(bytes + 2) % RH_LOAD_WINDOW_PACKETS / 64;
    __builtin_prefetch(slot, 1);
    __builtin_prefetch(&slot->arrivals, 1);
    __builtin_prefetch(&slot->arrivals.jitter, 1);
    __builtin_prefetch(&slot->arrivals.window[word], 1);
}

void rh_load_on_rtp(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received)
{
    if (received->size < RH_RTP_HEADER_BYTES) {
        reject(loop, endpoint, true);
        return;
    }
    endpoint->report.received_packets++;
    endpoint->report.received_bytes += received->size;
    loop->totals.received_packets++;
    loop->totals.received_bytes += received->size;
    const struct rh_load_place *place =
        rh_load_find_place(endpoint, rh_get32(received->bytes + 8));
    if (place == NULL) {
        endpoint->report.unknown_ssrc++;
        loop->totals.unknown_ssrc++;
        return;
    }
    struct rh_load_slot *slot = endpoint->slots[place->slot];
    if (place->is_rtx)
        on_resend(loop, endpoint, slot, received);
    else
        on_media(loop, endpoint, slot, received);
}
