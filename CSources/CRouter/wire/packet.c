/* RTP headers: reading and writing. SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include "wire/assert.h"
#include "wire/bytes.h"

enum {
    ONE_BYTE_PROFILE = 0xbede, /* RFC 8285 section 4.2 */
    TWO_BYTE_PROFILE = 0x1000, /* section 4.3; the lower four bits are appbits */
    ONE_BYTE_ID_MAX = 14,
    ONE_BYTE_DATA_MAX = 16,
};

static_assert(sizeof(struct rh_extension_ids) == 8, "any_long_id reads it as one integer");

void rh_extension_map_init(struct rh_extension_map *map, const struct rh_extension_ids *ids)
{
    const uint8_t by_kind[RH_ELEMENT_KINDS] = {
        [RH_ELEMENT_MID] = ids->mid,
        [RH_ELEMENT_RID] = ids->rid,
        [RH_ELEMENT_REPAIRED_RID] = ids->repaired_rid,
        [RH_ELEMENT_ABS_SEND_TIME] = ids->abs_send_time,
        [RH_ELEMENT_TRANSPORT_SEQ] = ids->transport_seq,
        [RH_ELEMENT_AUDIO_LEVEL] = ids->audio_level,
        [RH_ELEMENT_DEPENDENCY_DESCRIPTOR] = ids->dependency_descriptor,
        [RH_ELEMENT_VIDEO_ORIENTATION] = ids->video_orientation,
    };
    memset(map, RH_ELEMENT_NONE, sizeof *map);
    for (uint8_t kind = RH_ELEMENT_NONE + 1; kind < RH_ELEMENT_KINDS; kind++)
        if (by_kind[kind] != 0 && map->kinds[by_kind[kind]] == RH_ELEMENT_NONE)
            map->kinds[by_kind[kind]] = kind;
}

enum rh_result rh_packet_parse_header(
    const uint8_t *bytes, size_t size, struct rh_packet *packet)
{
    if (size < RH_RTP_HEADER_BYTES)
        return RH_TRUNCATED;
    if (bytes[0] >> 6 != 2 || size > UINT16_MAX)
        return RH_MALFORMED;
    uint8_t csrc_count = bytes[0] & 15;
    size_t header_bytes = RH_RTP_HEADER_BYTES + 4u * csrc_count;
    uint16_t profile = 0;
    size_t extension_offset = 0, extension_bytes = 0;
    if (bytes[0] & 0x10) {
        if (size < header_bytes + 4)
            return RH_TRUNCATED;
        profile = rh_get16(bytes + header_bytes);
        extension_bytes = 4u * rh_get16(bytes + header_bytes + 2);
        extension_offset = header_bytes + 4;
        header_bytes = extension_offset + extension_bytes;
    }
    if (size < header_bytes)
        return RH_TRUNCATED;
    *packet = (struct rh_packet){
        .timestamp = rh_get32(bytes + 4),
        .ssrc = rh_get32(bytes + 8),
        .seq = rh_get16(bytes + 2),
        .header_bytes = (uint16_t)header_bytes,
        .extension_offset = (uint16_t)extension_offset,
        .extension_bytes = (uint16_t)extension_bytes,
        .extension_profile = profile,
        .payload_type = bytes[1] & 0x7f,
        .csrc_count = csrc_count,
        .marker = bytes[1] >> 7,
        .has_padding = (bytes[0] & 0x20) != 0,
        .layer.picture_id = -1,
    };
    return RH_OK;
}

static void note_element(
    struct rh_packet *packet, uint8_t kind, uint32_t offset, uint32_t data_bytes)
{
    struct rh_element *element = &packet->elements[kind];
    if (kind == RH_ELEMENT_NONE || element->offset != 0)
        return;
    *element = (struct rh_element){(uint16_t)offset, (uint16_t)data_bytes};
    if (data_bytes != 0)
        packet->element_mask |= (uint16_t)(1u << kind);
}

static void parse_one_byte_elements(
    const uint8_t *bytes, const struct rh_extension_map *map, struct rh_packet *packet)
{
    uint32_t at = packet->extension_offset;
    uint32_t end = at + packet->extension_bytes;
    while (at < end) {
        uint8_t head = bytes[at++];
        if (head == 0)
            continue;
        uint8_t id = head >> 4;
        uint32_t data_bytes = (head & 15u) + 1;
        /* Section 4.2: id 15, and id 0 with a length, end the reading. */
        if (id == 0 || id > ONE_BYTE_ID_MAX || data_bytes > end - at)
            return;
        note_element(packet, map->kinds[id], at, data_bytes);
        at += data_bytes;
    }
}

static void parse_two_byte_elements(
    const uint8_t *bytes, const struct rh_extension_map *map, struct rh_packet *packet)
{
    uint32_t at = packet->extension_offset;
    uint32_t end = at + packet->extension_bytes;
    while (at < end) {
        uint8_t id = bytes[at++];
        if (id == 0)
            continue;
        if (at == end || bytes[at] > end - at - 1)
            return;
        note_element(packet, map->kinds[id], at + 1, bytes[at]);
        at += 1u + bytes[at];
    }
}

enum rh_result rh_packet_parse_rest(
    const uint8_t *bytes, size_t size, const struct rh_extension_map *map,
    struct rh_packet *packet)
{
    RH_ASSERT(packet->header_bytes >= RH_RTP_HEADER_BYTES);
    if (size < packet->header_bytes)
        return RH_TRUNCATED;
    size_t content_bytes = size - packet->header_bytes;
    uint8_t padding_bytes = 0;
    if (packet->has_padding) {
        if (content_bytes == 0)
            return RH_MALFORMED;
        padding_bytes = bytes[size - 1];
        if (padding_bytes == 0 || padding_bytes > content_bytes)
            return RH_MALFORMED;
    }
    packet->padding_bytes = padding_bytes;
    packet->payload_offset = packet->header_bytes;
    packet->payload_bytes = (uint16_t)(content_bytes - padding_bytes);
    if (packet->extension_bytes == 0)
        return RH_OK;
    if (packet->extension_profile == ONE_BYTE_PROFILE)
        parse_one_byte_elements(bytes, map, packet);
    else if ((packet->extension_profile & 0xfff0) == TWO_BYTE_PROFILE)
        parse_two_byte_elements(bytes, map, packet);
    return RH_OK;
}

enum rh_result rh_packet_unwrap_rtx(
    const uint8_t *bytes, uint32_t original_ssrc, uint8_t original_payload_type,
    struct rh_packet *packet)
{
    if (packet->payload_bytes < 2)
        return RH_TRUNCATED;
    packet->seq = rh_get16(bytes + packet->payload_offset);
    packet->ssrc = original_ssrc;
    packet->payload_type = original_payload_type;
    packet->payload_offset += 2;
    packet->payload_bytes -= 2;
    return RH_OK;
}

/* True when an id does not fit the one-byte form: eight bytes compared at once. */
static inline bool has_long_id(const struct rh_extension_ids *ids)
{
    const uint64_t each = 0x0101010101010101;
    uint64_t packed;
    memcpy(&packed, ids, sizeof packed);
    uint64_t over = (packed & (0x7f * each)) + (0x7f - ONE_BYTE_ID_MAX) * each;
    return ((over | packed) & (0x80 * each)) != 0;
}

/* True when an id or an element that is to be written does not fit the one-byte form. */
static inline bool needs_long_form(
    const struct rh_extension_ids *ids, const struct rh_packet *source)
{
    return has_long_id(ids)
        || (ids->dependency_descriptor != 0
            && source->elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR].bytes > ONE_BYTE_DATA_MAX);
}

/* Writes an element's head. Returns where its data goes. */
[[gnu::always_inline]] static inline uint8_t *put_head(
    uint8_t *at, bool is_long, uint8_t id, size_t data_bytes)
{
    if (!is_long) {
        *at = (uint8_t)(id << 4 | (data_bytes - 1));
        return at + 1;
    }
    at[0] = id;
    at[1] = (uint8_t)data_bytes;
    return at + 2;
}

static uint8_t *put_dependency_descriptor(
    const struct rh_header *header, const struct rh_element *element, const uint8_t *source_bytes,
    uint8_t *at)
{
    memcpy(at, source_bytes + element->offset, element->bytes);
    if (element->bytes >= 3)
        rh_put16(at + 1, (uint16_t)(rh_get16(at + 1) + header->frame_number_offset));
    return at + element->bytes;
}

[[gnu::always_inline]] static inline uint8_t *put_elements(
    const struct rh_header *header, const struct rh_packet *source, const uint8_t *source_bytes,
    uint8_t *at, bool is_long)
{
    const struct rh_extension_ids *ids = header->ids;
    if (ids->mid != 0 && header->mid_bytes != 0) {
        at = put_head(at, is_long, ids->mid, header->mid_bytes);
        for (size_t i = 0; i < header->mid_bytes; i++)
            *at++ = (uint8_t)header->mid[i];
    }
    if (ids->abs_send_time != 0) {
        at = put_head(at, is_long, ids->abs_send_time, 3);
        rh_put24(at, header->abs_send_time);
        at += 3;
    }
    if (ids->transport_seq != 0) {
        at = put_head(at, is_long, ids->transport_seq, 2);
        rh_put16(at, header->transport_seq);
        at += 2;
    }
    const struct rh_element *element = &source->elements[RH_ELEMENT_AUDIO_LEVEL];
    if (ids->audio_level != 0 && element->offset != 0 && element->bytes != 0) {
        at = put_head(at, is_long, ids->audio_level, 1);
        *at++ = source_bytes[element->offset];
    }
    element = &source->elements[RH_ELEMENT_VIDEO_ORIENTATION];
    if (ids->video_orientation != 0 && element->offset != 0 && element->bytes != 0) {
        at = put_head(at, is_long, ids->video_orientation, 1);
        *at++ = source_bytes[element->offset];
    }
    element = &source->elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR];
    if (ids->dependency_descriptor != 0 && element->offset != 0 && element->bytes != 0) {
        at = put_head(at, is_long, ids->dependency_descriptor, element->bytes);
        at = put_dependency_descriptor(header, element, source_bytes, at);
    }
    return at;
}

size_t rh_packet_write_header(
    const struct rh_header *header, const struct rh_packet *source, const uint8_t *source_bytes,
    uint8_t *out)
{
    RH_ASSERT(header->mid_bytes <= RH_MID_BYTES_MAX);
    RH_ASSERT(header->payload_type < 128);
    out[0] = 0x80;
    out[1] = (uint8_t)(header->marker << 7 | header->payload_type);
    rh_put16(out + 2, header->seq);
    rh_put32(out + 4, header->timestamp);
    rh_put32(out + 8, header->ssrc);
    uint8_t *first = out + RH_RTP_HEADER_BYTES + 4;
    bool is_long = needs_long_form(header->ids, source);
    uint8_t *end = is_long ? put_elements(header, source, source_bytes, first, true)
                           : put_elements(header, source, source_bytes, first, false);
    if (end == first)
        return RH_RTP_HEADER_BYTES;
    rh_put32(end, 0);
    size_t words = ((size_t)(end - first) + 3) / 4;
    out[0] |= 0x10;
    rh_put16(first - 4, is_long ? TWO_BYTE_PROFILE : ONE_BYTE_PROFILE);
    rh_put16(first - 2, (uint16_t)words);
    return RH_RTP_HEADER_BYTES + 4 + 4 * words;
}

size_t rh_packet_measure_header(const struct rh_header *header, const struct rh_packet *source)
{
    const struct rh_extension_ids *ids = header->ids;
    const struct rh_element *elements = source->elements;
    uint16_t mask = source->element_mask;
    size_t count = 0, data_bytes = 0;
    if (ids->mid != 0 && header->mid_bytes != 0)
        count++, data_bytes += header->mid_bytes;
    if (ids->abs_send_time != 0)
        count++, data_bytes += 3;
    if (ids->transport_seq != 0)
        count++, data_bytes += 2;
    if (ids->audio_level != 0 && mask >> RH_ELEMENT_AUDIO_LEVEL & 1)
        count++, data_bytes++;
    if (ids->video_orientation != 0 && mask >> RH_ELEMENT_VIDEO_ORIENTATION & 1)
        count++, data_bytes++;
    size_t descriptor_bytes = elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR].bytes;
    if (ids->dependency_descriptor != 0 && descriptor_bytes != 0)
        count++, data_bytes += descriptor_bytes;
    if (count == 0)
        return RH_RTP_HEADER_BYTES;
    bool is_long = needs_long_form(ids, source);
    return RH_RTP_HEADER_BYTES + 4 + (data_bytes + count * (is_long ? 2 : 1) + 3) / 4 * 4;
}

/* ---- Headers made in advance ----------------------------------------------------------------- */

void rh_header_template_init(
    struct rh_header_template *template, const struct rh_header *header, bool with_level)
{
    *template = (struct rh_header_template){0};
    const struct rh_extension_ids *ids = header->ids;
    if (has_long_id(ids))
        return;
    struct rh_packet source = {0};
    const uint8_t level_byte[2] = {0};
    with_level = with_level && ids->audio_level != 0;
    if (with_level)
        source.elements[RH_ELEMENT_AUDIO_LEVEL] = (struct rh_element){.offset = 1, .bytes = 1};
    uint8_t written[RH_WRITTEN_HEADER_BYTES_MAX] = {0};
    size_t size = rh_packet_write_header(header, &source, level_byte, written);
    RH_ASSERT(size <= RH_HEADER_TEMPLATE_BYTES);
    memcpy(template->bytes, written, size);
    size_t at = RH_RTP_HEADER_BYTES + 4;
    if (ids->mid != 0 && header->mid_bytes != 0)
        at += 1u + header->mid_bytes;
    if (ids->abs_send_time != 0) {
        template->time_at = (uint8_t)(at + 1);
        at += 4;
    }
    if (ids->transport_seq != 0) {
        template->transport_at = (uint8_t)(at + 1);
        at += 3;
    }
    if (with_level)
        template->level_at = (uint8_t)(at + 1);
    template->size = (uint8_t)size;
    template->element_wanted = with_level ? 1u << RH_ELEMENT_AUDIO_LEVEL : 0;
    template->element_mask = (uint16_t)(
        (ids->audio_level != 0) << RH_ELEMENT_AUDIO_LEVEL
        | (ids->video_orientation != 0) << RH_ELEMENT_VIDEO_ORIENTATION
        | (ids->dependency_descriptor != 0) << RH_ELEMENT_DEPENDENCY_DESCRIPTOR);
}
