/* Cutting, writing and encrypting messages. SPDX-License-Identifier: Apache-2.0 */
#include "forward/messages.h"

#include <string.h>

#include "wire/assert.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum {
    CLASS_BYTES = 16, /* sizes are ordered by this unit */
    CLASSES = 128,
    PLACE_BYTES = RH_PACKET_BYTES_MAX + 16, /* a datagram and the alignment behind it */
    RTX_NUMBER_BYTES = 2, /* the original sequence number (RFC 4588 section 4) */
    PADDING_BIT = 0x20,
    NO_ITEM = 255,
};
static_assert(RH_PACKET_BYTES_MAX / CLASS_BYTES + 1 < CLASSES);
static_assert(RH_PENDING_PART < NO_ITEM);

/* A waiting packet whose size is known. */
struct item {
    const struct rh_pending_packet *pending;
    struct rh_slot *slot;
    struct rh_buffer *buffer;
    uint16_t size; /* of the datagram, tag included, without padding */
    uint8_t next; /* of the same class; NO_ITEM: last */
    bool is_rtx;
    bool is_patched; /* the payload descriptor changes */
    bool has_template;
    bool may_pad;
};

/* A part of a subscriber's waiting packets. */
struct part {
    struct rh_forwarder *forwarder;
    struct rh_peer *peer;
    uint32_t peer_index;
    uint64_t now_us;
    uint32_t send_time; /* rh_abs_send_time of now_us */
    uint32_t tag_bytes;
    uint32_t count;
    bool is_uniform; /* all items have one size: their order is that of their arrival */
    uint64_t sent_bytes, resent_packets;
    uint64_t filled[CLASSES / 64]; /* classes that have items */
    uint8_t first[CLASSES], last[CLASSES];
    uint8_t order[RH_PENDING_PART]; /* items by class, largest first */
    struct item items[RH_PENDING_PART];
};

void rh_pending_of_run(
    struct rh_pending_packet *pending, const struct rh_run *run, uint64_t out_seq64,
    uint32_t in_timestamp)
{
    pending->seq64 = out_seq64;
    pending->timestamp = in_timestamp + run->timestamp_offset;
    pending->picture_id_offset = run->picture_id_offset;
    pending->tl0_offset = run->tl0_offset;
    pending->payload_type = run->payload_type;
}

/* ---- Headers --------------------------------------------------------------------------------- */

static struct rh_header header_of(
    const struct rh_peer *peer, const struct rh_slot *slot, const struct rh_pending_packet *pending)
{
    return (struct rh_header){
        .ids = slot->has_rtx ? &peer->extensions : &peer->lasting, .mid = slot->config.mid,
        .mid_bytes = slot->mid_bytes, .timestamp = pending->timestamp,
        .ssrc = slot->config.ssrc, .seq = (uint16_t)pending->seq64,
        .payload_type = pending->payload_type, .marker = pending->marker,
        .frame_number_offset = pending->picture_id_offset};
}

static void make_template(const struct rh_peer *peer, struct rh_slot *slot)
{
    static const struct rh_pending_packet none;
    struct rh_header header = header_of(peer, slot, &none);
    rh_header_template_init(&slot->header, &header, slot->kind == RH_AUDIO);
    slot->has_header = true;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

static struct rh_patch patch_of(const struct item *item)
{
    const struct rh_packet *packet = &item->buffer->packet;
    struct rh_rewrite_run run = {
        .picture_id_offset = item->pending->picture_id_offset,
        .tl0_offset = item->pending->tl0_offset};
    return rh_rewrite_patch(&run, &packet->layer, item->buffer->bytes + packet->payload_offset);
}

/* What a packet is longer for being changed; sets item->is_patched. */
static uint32_t measure_patch(struct item *item)
{
    const struct rh_pending_packet *pending = item->pending;
    item->is_patched = false;
    if (pending->picture_id_offset == 0 && pending->tl0_offset == 0
        && item->buffer->packet.layer.picture_id_bytes != 1)
        return 0;
    struct rh_patch patch = patch_of(item);
    item->is_patched = patch.skip != 0;
    return (uint32_t)(patch.count - patch.skip);
}

static uint32_t measure_header(const struct part *part, struct item *item)
{
    struct rh_slot *slot = item->slot;
    const struct rh_packet *packet = &item->buffer->packet;
    if (!slot->has_header)
        make_template(part->peer, slot);
    item->has_template = rh_header_template_fits(&slot->header, packet) && !item->is_rtx;
    if (item->has_template)
        return slot->header.size;
    struct rh_header header = header_of(part->peer, slot, item->pending);
    return (uint32_t)rh_packet_measure_header(&header, packet);
}

/* Fills in an item. Returns false when the packet is not to be sent: its slot is gone, the keys
 * have changed since, or it would be too long. */
static inline bool measure(const struct part *part, struct item *item)
{
    const struct rh_slot *slot = item->slot;
    const struct rh_pending_packet *pending = item->pending;
    if (slot->id != pending->slot || slot->peer_index != part->peer_index
        || pending->seq64 < slot->index_base)
        return false;
    item->is_rtx = pending->is_resend && slot->has_rtx;
    item->may_pad = slot->has_rtx || slot->kind == RH_AUDIO;
    uint32_t size = measure_patch(item) + measure_header(part, item) + part->tag_bytes
        + item->buffer->packet.payload_bytes + (item->is_rtx ? RTX_NUMBER_BYTES : 0);
    if (size > RH_PACKET_BYTES_MAX) {
        RH_COUNT(&part->forwarder->media, drop_unhandled, 1);
        return false;
    }
    item->size = (uint16_t)size;
    return true;
}

/* Puts an item into the list of its size. One that follows another of its slot is listed as no
 * larger than that, so that it comes after it. */
static void classify(struct part *part, uint8_t number)
{
    struct item *item = &part->items[number];
    uint32_t round = part->forwarder->round;
    uint8_t class = (uint8_t)((item->size + CLASS_BYTES - 1) / CLASS_BYTES);
    struct rh_slot *slot = item->slot;
    if (slot->listed_round == round && slot->listed_class < class)
        class = slot->listed_class;
    slot->listed_round = round;
    slot->listed_class = class;
    item->next = NO_ITEM;
    uint64_t bit = 1ull << class % 64;
    if (part->filled[class / 64] & bit) {
        part->items[part->last[class]].next = number;
    } else {
        part->filled[class / 64] |= bit;
        part->first[class] = number;
    }
    part->last[class] = number;
}

static void order_by_size(struct part *part)
{
    uint32_t placed = 0;
    for (uint32_t word = CLASSES / 64; word-- > 0;)
        for (uint64_t left = part->filled[word]; left != 0;) {
            uint32_t bit = 63u - (uint32_t)__builtin_clzll(left);
            left &= ~(1ull << bit);
            for (uint8_t i = part->first[word * 64 + bit]; i != NO_ITEM; i = part->items[i].next)
                part->order[placed++] = i;
        }
    RH_ASSERT(placed == part->count);
}

/* ---- Cutting --------------------------------------------------------------------------------- */

/* Items order[begin] to order[end - 1] make a message with segments of segment_bytes. */
struct cut {
    uint32_t begin, end;
    uint16_t segment_bytes;
};

static const struct item *item_at(const struct part *part, uint32_t place)
{
    return &part->items[part->is_uniform ? place : part->order[place]];
}

/* Items of one size: as many as a message may have. */
static struct cut cut_uniform(const struct part *part, uint32_t begin)
{
    uint16_t size = part->items[0].size;
    uint32_t most = part->forwarder->segmentation_off ? 1 : RH_SEGMENTS_MAX;
    if (most > (uint32_t)RH_MESSAGE_BYTES_MAX / size)
        most = RH_MESSAGE_BYTES_MAX / size;
    uint32_t left = part->count - begin;
    return (struct cut){
        .begin = begin, .end = begin + (left < most ? left : most), .segment_bytes = size};
}

/* The longest message that begins with order[begin]: every item but the last is padded to the
 * longest of them, within the limit. */
static struct cut cut_message(const struct part *part, uint32_t begin)
{
    const struct item *first = item_at(part, begin);
    struct cut cut = {.begin = begin, .end = begin + 1, .segment_bytes = first->size};
    uint32_t most = part->forwarder->segmentation_off ? 1 : RH_SEGMENTS_MAX;
    uint32_t shortest = first->size;
    bool is_fixed = !first->may_pad; /* the segments cannot become longer */
    for (; cut.end < part->count && cut.end - begin < most; cut.end++) {
        const struct item *next = item_at(part, cut.end);
        uint32_t longest = next->size > cut.segment_bytes ? next->size : cut.segment_bytes;
        if (next->size < shortest)
            shortest = next->size;
        if ((cut.end - begin + 1) * longest > RH_MESSAGE_BYTES_MAX)
            break;
        bool is_longer = next->size > cut.segment_bytes, is_shorter = next->size < longest;
        if (longest - shortest > part->forwarder->padding_bytes_max || (is_fixed && is_longer)
            || (is_shorter && !next->may_pad)) {
            cut.end += is_shorter; /* the last one may be shorter */
            break;
        }
        cut.segment_bytes = (uint16_t)longest;
        is_fixed |= !next->may_pad;
    }
    return cut;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static size_t write_header(
    struct part *part, const struct item *item, uint16_t seq, uint8_t *out)
{
    struct rh_peer *peer = part->peer;
    const struct rh_slot *slot = item->slot;
    const struct rh_buffer *buffer = item->buffer;
    if (item->has_template) {
        struct rh_header header; /* what else is in it is not read */
        header.seq = seq;
        header.timestamp = item->pending->timestamp;
        header.payload_type = item->pending->payload_type;
        header.marker = item->pending->marker;
        header.abs_send_time = part->send_time;
        header.transport_seq = peer->transport_seq;
        peer->transport_seq += slot->header.transport_at != 0;
        return rh_header_template_write(
            &slot->header, &header, &buffer->packet, buffer->bytes, out);
    }
    struct rh_header header = header_of(peer, slot, item->pending);
    header.seq = seq;
    header.abs_send_time = part->send_time;
    header.transport_seq = peer->transport_seq;
    peer->transport_seq += header.ids->transport_seq != 0;
    if (item->is_rtx) {
        header.ssrc = slot->config.rtx_ssrc;
        header.payload_type = slot->rtx_payload_type;
    }
    return rh_packet_write_header(&header, &buffer->packet, buffer->bytes, out);
}

/* Zero bytes and their count (RFC 3550 section 5.1); nothing behind them is touched. */
static void put_padding(uint8_t *end, uint32_t padding_bytes)
{
    if (padding_bytes == 0)
        return;
    memset(end, 0, padding_bytes);
    end[padding_bytes - 1] = (uint8_t)padding_bytes;
}

/* Says where the payload is to be read, changed and padded as it must be. An unchanged one is read
 * where it was received; its padding is put into the slack behind it, which belongs to nobody. */
static void write_payload(
    const struct item *item, uint32_t padding_bytes, struct rh_srtp_outgoing *out)
{
    const struct rh_packet *packet = &item->buffer->packet;
    uint8_t *payload = item->buffer->bytes + packet->payload_offset;
    if (!item->is_patched && !item->is_rtx) {
        out->payload = payload;
        out->payload_bytes = packet->payload_bytes + padding_bytes;
        put_padding(payload + packet->payload_bytes, padding_bytes);
        return;
    }
    uint8_t *place = out->out + out->header_bytes;
    out->payload = place;
    if (item->is_rtx) {
        rh_put16(place, (uint16_t)item->pending->seq64);
        place += RTX_NUMBER_BYTES;
    }
    struct rh_patch patch = patch_of(item);
    place += rh_patch_apply(&patch, payload, packet->payload_bytes, place);
    put_padding(place, padding_bytes);
    out->payload_bytes = (size_t)(place - out->payload) + padding_bytes;
}

static inline void count_sent(struct part *part, const struct item *item, size_t size)
{
    struct rh_slot *slot = item->slot;
    part->sent_bytes += size;
    if (item->pending->is_resend) {
        slot->resent_packets++;
        part->resent_packets++;
        return;
    }
    slot->sent_packets++;
    slot->sent_bytes += item->buffer->packet.payload_bytes;
    slot->last_sent_us = part->now_us;
    if (item->pending->is_replay)
        return;
    uint64_t waited_us = (part->now_us - item->buffer->arrival_us) | 1;
    uint32_t bucket = 63u - (uint32_t)__builtin_clzll(waited_us);
    if (bucket >= RH_LATENCY_BUCKETS)
        bucket = RH_LATENCY_BUCKETS - 1;
    RH_COUNT(&part->forwarder->media, forward_latency[bucket], 1);
}

/* What is counted once a part. */
static void count_part(const struct part *part)
{
    struct rh_media *media = &part->forwarder->media;
    part->peer->sent_packets += part->count;
    part->peer->sent_bytes += part->sent_bytes;
    RH_COUNT(media, resent_packets, part->resent_packets);
    RH_COUNT(media, forwarded_packets, part->count - part->resent_packets);
}

/* Writes one datagram at place. Returns its bytes: the item's size and the padding. */
static inline size_t write_datagram(
    struct part *part, const struct item *item, uint32_t padding_bytes, uint8_t *place)
{
    struct rh_slot *slot = item->slot;
    uint64_t seq64 = item->is_rtx ? slot->rtx_next_seq64++ : item->pending->seq64;
    uint64_t base = item->is_rtx ? slot->rtx_index_base : slot->index_base;
    struct rh_srtp_outgoing out;
    out.out = place;
    out.seq64 = seq64 - base + RH_SEQ64_FIRST;
    out.header_bytes = write_header(part, item, (uint16_t)seq64, place);
    if (padding_bytes != 0)
        place[0] |= PADDING_BIT;
    write_payload(item, padding_bytes, &out);
    size_t size = rh_srtp_protect_rtp(&part->peer->send, &out);
    RH_ASSERT(size == item->size + padding_bytes);
    count_sent(part, item, size);
    return size;
}

static void write_message(struct part *part, struct cut cut)
{
    struct rh_forwarder *forwarder = part->forwarder;
    uint8_t *begin = rh_sendqueue_place(&forwarder->queue), *place = begin;
    uint32_t padded_packets = 0, all_padding_bytes = 0;
    for (uint32_t i = cut.begin; i < cut.end; i++) {
        const struct item *item = item_at(part, i);
        uint32_t padding_bytes = i + 1 < cut.end ? (uint32_t)cut.segment_bytes - item->size : 0;
        RH_ASSERT(padding_bytes <= RH_PADDING_BYTES_MAX);
        padded_packets += padding_bytes != 0;
        all_padding_bytes += padding_bytes;
        place += write_datagram(part, item, padding_bytes, place);
    }
    RH_COUNT(&forwarder->media, padded_packets, padded_packets);
    RH_COUNT(&forwarder->media, padding_bytes, all_padding_bytes);
    rh_sendqueue_commit(
        &forwarder->queue, &part->peer->selected,
        (struct rh_message){
            .size = (size_t)(place - begin), .segment_bytes = cut.segment_bytes,
            .segments = (uint16_t)(cut.end - cut.begin)});
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* Takes up to RH_PENDING_PART packets off a peer's list, and has their slots fetched meanwhile.
 * Returns how many. */
static uint32_t collect(struct part *part)
{
    struct rh_forwarder *forwarder = part->forwarder;
    struct rh_pending_list *list = &forwarder->pending.lists[part->peer_index];
    uint32_t count = 0, next = list->first;
    for (; count < RH_PENDING_PART && next != RH_NO_INDEX; count++) {
        const struct rh_pending_packet *pending = &forwarder->pending.packets[next];
        struct item *item = &part->items[count];
        item->pending = pending;
        item->slot = &forwarder->media.slots[rh_handle_place(pending->slot)];
        item->buffer = rh_buffers_at(&forwarder->media.buffers, pending->buffer);
        rh_slot_prefetch_writing(item->slot);
        __builtin_prefetch(item->buffer);
        next = pending->next;
    }
    list->first = next;
    return count;
}

/* Lists the newest item by its size, from the first on that differs from those before it. */
static void list_by_size(struct part *part)
{
    uint32_t newest = part->count - 1;
    if (part->is_uniform && part->items[newest].size == part->items[0].size)
        return;
    for (uint32_t i = part->is_uniform ? 0 : newest; i <= newest; i++)
        classify(part, (uint8_t)i);
    part->is_uniform = false;
}

/* Fills in the items of one part and orders them. */
static void take_part(struct part *part)
{
    struct rh_forwarder *forwarder = part->forwarder;
    bool is_reachable = rh_peer_is_reachable(part->peer);
    forwarder->round++;
    part->count = 0;
    part->is_uniform = true;
    part->sent_bytes = part->resent_packets = 0;
    memset(part->filled, 0, sizeof part->filled);
    uint32_t collected = collect(part);
    for (uint32_t i = 0; i < collected; i++) {
        struct item *item = &part->items[part->count];
        if (part->count != i)
            *item = part->items[i];
        if (is_reachable && measure(part, item)) {
            part->count++;
            list_by_size(part);
        } else {
            rh_buffers_release(&forwarder->media.buffers, item->buffer);
        }
    }
    if (!part->is_uniform)
        order_by_size(part);
}

static void write_part(struct part *part)
{
    take_part(part);
    for (uint32_t begin = 0; begin < part->count;) {
        struct cut cut = part->is_uniform ? cut_uniform(part, begin) : cut_message(part, begin);
        write_message(part, cut);
        begin = cut.end;
    }
    count_part(part);
    struct rh_buffers *buffers = &part->forwarder->media.buffers;
    for (uint32_t i = 0; i < part->count; i++)
        rh_buffers_release(buffers, part->items[i].buffer);
}

enum rh_result rh_forwarder_write_pending(struct rh_forwarder *forwarder, uint64_t now_us)
{
    struct rh_pending *pending = &forwarder->pending;
    struct part part; /* 8 KiB, filled as used */
    part.forwarder = forwarder;
    part.now_us = now_us;
    part.send_time = rh_abs_send_time(now_us);
    for (; pending->peer_next < pending->peer_count; pending->peer_next++) {
        part.peer_index = pending->peers[pending->peer_next];
        part.peer = &forwarder->media.peers[part.peer_index];
        part.tag_bytes = (uint32_t)rh_srtp_tag_bytes(part.peer->send.profile);
        while (pending->lists[part.peer_index].first != RH_NO_INDEX) {
            if (!rh_sendqueue_has_room(
                    &forwarder->queue, RH_PENDING_PART, RH_PENDING_PART * PLACE_BYTES))
                return RH_FULL;
            write_part(&part);
        }
    }
    rh_pending_restart(pending);
    return RH_OK;
}
