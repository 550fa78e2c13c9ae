/* Cutting encoded frames into RTP payloads. SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <string.h>

enum {
    DESCRIPTOR_BYTES_MAX = 48,
    /* VP8 (RFC 7741 section 4.2) */
    VP8_EXTENDED = 0x80, VP8_UNREFERENCED = 0x20, VP8_BEGINS = 0x10,
    VP8_HAS_PICTURE_ID = 0x80, VP8_HAS_TL0 = 0x40, VP8_HAS_TEMPORAL = 0x20,
    VP8_LAYER_SYNC = 0x20,
    /* VP9 (RFC 9628 section 4.2) */
    VP9_HAS_PICTURE_ID = 0x80, VP9_PREDICTED = 0x40, VP9_HAS_LAYERS = 0x20, VP9_FLEXIBLE = 0x10,
    VP9_BEGINS = 0x08, VP9_ENDS = 0x04, VP9_HAS_STRUCTURE = 0x02, VP9_UNREFERENCED = 0x01,
    VP9_SWITCHING_POINT = 0x10, VP9_INTER_LAYER = 0x01, VP9_MORE_REFERENCES = 0x01,
    LONG_ID = 0x80,
    /* H.264 (RFC 6184 sections 5.3, 5.7.1, 5.8) */
    UNIT_REFERENCE = 0x60, UNIT_FORBIDDEN = 0x80, UNIT_TYPE = 0x1f,
    STAP_A = 24, FU_A = 28, FU_BEGINS = 0x80, FU_ENDS = 0x40,
    UNIT_SIZE_BYTES = 2,
};

/* A descriptor being written, and where in it the numbers are that change from loop to loop. */
struct descriptor {
    uint8_t bytes[DESCRIPTOR_BYTES_MAX];
    uint8_t size, picture_id_offset, tl0_offset;
};

static void add(struct descriptor *descriptor, uint32_t byte)
{
    descriptor->bytes[descriptor->size++] = (uint8_t)byte;
}

static void add_picture_id(struct descriptor *descriptor, uint16_t id)
{
    descriptor->picture_id_offset = descriptor->size;
    add(descriptor, LONG_ID | id >> 8);
    add(descriptor, id & 0xff);
}

static void add_tl0(struct descriptor *descriptor, uint8_t index)
{
    descriptor->tl0_offset = descriptor->size;
    add(descriptor, index);
}

static void add_vp8(
    struct descriptor *descriptor, const struct rh_clip_encoded *frame, bool is_first)
{
    add(descriptor, VP8_EXTENDED | (frame->is_unreferenced ? VP8_UNREFERENCED : 0)
                        | (is_first ? VP8_BEGINS : 0));
    add(descriptor, VP8_HAS_PICTURE_ID
                        | (frame->has_layers ? VP8_HAS_TL0 | VP8_HAS_TEMPORAL : 0));
    add_picture_id(descriptor, frame->picture_id);
    if (!frame->has_layers)
        return;
    add_tl0(descriptor, frame->tl0_pic_idx);
    add(descriptor, (uint32_t)frame->temporal << 6
                        | (frame->is_switching_point ? VP8_LAYER_SYNC : 0));
}

static void add_vp9_layers(struct descriptor *descriptor, const struct rh_clip_encoded *frame)
{
    add(descriptor, (uint32_t)frame->temporal << 5
                        | (frame->is_switching_point ? VP9_SWITCHING_POINT : 0)
                        | (uint32_t)frame->spatial << 1
                        | (frame->is_inter_layer ? VP9_INTER_LAYER : 0));
    if (!frame->is_flexible)
        add_tl0(descriptor, frame->tl0_pic_idx);
}

/* The first byte is completed by the caller: B and E change from packet to packet. */
static void add_vp9(
    struct descriptor *descriptor, const struct rh_clip_encoded *frame, bool is_first)
{
    bool has_structure = is_first && frame->structure_bytes != 0;
    add(descriptor, VP9_HAS_PICTURE_ID | (frame->is_predicted ? VP9_PREDICTED : 0)
                        | (frame->has_layers ? VP9_HAS_LAYERS : 0)
                        | (frame->is_flexible ? VP9_FLEXIBLE : 0)
                        | (is_first ? VP9_BEGINS : 0)
                        | (has_structure ? VP9_HAS_STRUCTURE : 0)
                        | (frame->is_unreferenced ? VP9_UNREFERENCED : 0));
    add_picture_id(descriptor, frame->picture_id);
    if (frame->has_layers)
        add_vp9_layers(descriptor, frame);
    if (frame->is_flexible && frame->is_predicted) {
        for (uint8_t i = 0; i < frame->reference_count; i++) {
            bool has_more = i + 1 < frame->reference_count;
            add(descriptor, (uint32_t)frame->references[i] << 1
                                | (has_more ? VP9_MORE_REFERENCES : 0));
        }
    }
    if (has_structure) {
        memcpy(descriptor->bytes + descriptor->size, frame->structure, frame->structure_bytes);
        descriptor->size = (uint8_t)(descriptor->size + frame->structure_bytes);
    }
}

typedef void add_descriptor(
    struct descriptor *descriptor, const struct rh_clip_encoded *frame, bool is_first);

/* Copies data from `at` on; what lies behind its end is spare and zero. */
static void copy_part(const struct rh_clip_encoded *frame, size_t at, size_t bytes, uint8_t *out)
{
    size_t left = at < frame->size ? frame->size - at : 0;
    size_t copied = bytes < left ? bytes : left;
    memcpy(out, frame->data + at, copied);
    memset(out + copied, 0, bytes - copied);
}

/* Splits the data behind descriptors of the given kind. Sizes differ by one byte at most where
 * descriptors are equal; the first packet's may be longer and is counted in. */
static void split(
    struct rh_clip_builder *builder, const struct rh_clip_encoded *frame, add_descriptor *describe,
    uint8_t ends_bit)
{
    struct descriptor first = {0}, rest = {0};
    describe(&first, frame, true);
    describe(&rest, frame, false);
    size_t extra = first.size - rest.size;
    size_t room = frame->payload_bytes_max - rest.size;
    size_t total = frame->size + frame->spare_bytes;
    size_t count = (total + extra + room - 1) / room;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct descriptor *head = i == 0 ? &first : &rest;
        size_t left = total - at + (i == 0 ? extra : 0);
        size_t bytes = (left + count - i - 1) / (count - i);
        bytes -= i == 0 && bytes > extra ? extra : 0;
        bool is_last = i + 1 == count;
        if (is_last)
            head->bytes[0] |= ends_bit;
        struct rh_clip_packet packet = {
            .size = (uint16_t)(head->size + bytes), .picture_id_offset = head->picture_id_offset,
            .tl0_offset = head->tl0_offset, .spatial = frame->spatial,
            .spare_bytes = is_last ? frame->spare_bytes : 0,
            .marker = is_last && frame->ends_picture};
        uint8_t *payload = rh_clip_builder_packet(builder, &packet);
        if (payload == NULL)
            return;
        memcpy(payload, head->bytes, head->size);
        copy_part(frame, at, bytes, payload + head->size);
        at += bytes;
    }
}

void rh_clip_pack_vp8(struct rh_clip_builder *builder, const struct rh_clip_encoded *frame)
{
    split(builder, frame, add_vp8, 0);
}

void rh_clip_pack_vp9(struct rh_clip_builder *builder, const struct rh_clip_encoded *frame)
{
    split(builder, frame, add_vp9, VP9_ENDS);
}

/* ---- H.264 -------------------------------------------------------------------------------- */

static uint8_t *append(struct rh_clip_builder *builder, size_t size)
{
    return rh_clip_builder_packet(builder, &(struct rh_clip_packet){.size = (uint16_t)size});
}

/* A unit that is larger than a packet: its header byte travels in the fragments' two. */
static void pack_fragments(
    struct rh_clip_builder *builder, const struct rh_clip_unit *unit, uint16_t payload_bytes_max)
{
    size_t size = unit->size - 1, room = payload_bytes_max - 2u;
    size_t count = (size + room - 1) / room, at = 1;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (unit->size - at + count - i - 1) / (count - i);
        uint8_t *payload = append(builder, 2 + bytes);
        if (payload == NULL)
            return;
        payload[0] = (uint8_t)((unit->data[0] & (UNIT_FORBIDDEN | UNIT_REFERENCE)) | FU_A);
        payload[1] = (uint8_t)((i == 0 ? FU_BEGINS : 0) | (i + 1 == count ? FU_ENDS : 0)
                               | (unit->data[0] & UNIT_TYPE));
        memcpy(payload + 2, unit->data + at, bytes);
        at += bytes;
    }
}

/* Several units in one packet; its NRI is the highest of them. size: of the whole payload. */
static void pack_aggregate(
    struct rh_clip_builder *builder, const struct rh_clip_unit *units, size_t count, size_t size)
{
    uint8_t *payload = append(builder, size);
    if (payload == NULL)
        return;
    uint8_t reference = 0, forbidden = 0;
    size_t at = 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t head = units[i].data[0];
        reference = (head & UNIT_REFERENCE) > reference ? head & UNIT_REFERENCE : reference;
        forbidden |= head & UNIT_FORBIDDEN;
        payload[at++] = (uint8_t)(units[i].size >> 8);
        payload[at++] = (uint8_t)units[i].size;
        memcpy(payload + at, units[i].data, units[i].size);
        at += units[i].size;
    }
    payload[0] = forbidden | reference | STAP_A;
}

/* How many units from the first on fit in one STAP-A; *size becomes the payload's. */
static size_t aggregate_count(
    const struct rh_clip_unit *units, size_t count, uint16_t payload_bytes_max, size_t *size)
{
    size_t taken = 0, bytes = 1;
    while (taken < count && units[taken].size + UNIT_SIZE_BYTES <= payload_bytes_max - bytes)
        bytes += UNIT_SIZE_BYTES + units[taken++].size;
    *size = bytes;
    return taken;
}

void rh_clip_pack_h264(
    struct rh_clip_builder *builder, const struct rh_clip_unit *units, size_t count,
    uint16_t payload_bytes_max)
{
    for (size_t i = 0; i < count;) {
        size_t size = 0, together = aggregate_count(units + i, count - i, payload_bytes_max, &size);
        if (together > 1) {
            pack_aggregate(builder, units + i, together, size);
            i += together;
        } else if (units[i].size > payload_bytes_max) {
            pack_fragments(builder, &units[i++], payload_bytes_max);
        } else {
            uint8_t *payload = append(builder, units[i].size);
            if (payload != NULL)
                memcpy(payload, units[i].data, units[i].size);
            i++;
        }
    }
    rh_clip_builder_mark(builder);
}
