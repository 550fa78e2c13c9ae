/* RTP headers of published packets (RFC 3550 section 5.1, RFC 8285).
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "loop.h"
#include "wire/bytes.h"
#include "wire/packet.h"

enum {
    ONE_BYTE_PROFILE = 0xbede,
    TWO_BYTE_PROFILE = 0x1000,
    ONE_BYTE_ID_MAX = 14,
    AUDIO_LEVEL_VOICE = 0x80, /* RFC 6464 section 3 */
};

/* An extension block while it is written. */
struct block {
    uint8_t *at;
    bool is_two_byte;
};

static void add_element(struct block *block, uint8_t id, const uint8_t *data, size_t bytes)
{
    if (block->is_two_byte) {
        *block->at++ = id;
        *block->at++ = (uint8_t)bytes;
    } else {
        *block->at++ = (uint8_t)(id << 4 | (bytes - 1));
    }
    memcpy(block->at, data, bytes);
    block->at += bytes;
}

static void add_text(struct block *block, uint8_t id, const char *text)
{
    if (id != 0 && text[0] != 0)
        add_element(block, id, (const uint8_t *)text, strlen(text));
}

static bool needs_two_bytes(const struct rh_extension_ids *ids)
{
    return ids->mid > ONE_BYTE_ID_MAX || ids->rid > ONE_BYTE_ID_MAX
        || ids->repaired_rid > ONE_BYTE_ID_MAX || ids->abs_send_time > ONE_BYTE_ID_MAX
        || ids->transport_seq > ONE_BYTE_ID_MAX || ids->audio_level > ONE_BYTE_ID_MAX;
}

static void add_elements(struct block *block, const struct rh_load_header *header)
{
    const struct rh_extension_ids *ids = header->ids;
    add_text(block, ids->mid, header->mid);
    add_text(block, ids->rid, header->rid);
    add_text(block, ids->repaired_rid, header->repaired_rid);
    uint8_t data[3];
    if (ids->abs_send_time != 0) {
        rh_put24(data, header->abs_send_time);
        add_element(block, ids->abs_send_time, data, 3);
    }
    if (ids->transport_seq != 0) {
        rh_put16(data, header->transport_seq);
        add_element(block, ids->transport_seq, data, 2);
    }
    if (ids->audio_level != 0 && header->has_audio_level) {
        data[0] = (uint8_t)((header->has_voice ? AUDIO_LEVEL_VOICE : 0) | header->audio_level);
        add_element(block, ids->audio_level, data, 1);
    }
}

size_t rh_load_header_write(const struct rh_load_header *header, uint8_t *out)
{
    uint8_t *elements = out + RH_RTP_HEADER_BYTES + 4;
    struct block block = {elements, needs_two_bytes(header->ids)};
    add_elements(&block, header);
    bool has_block = block.at != elements;
    out[0] = has_block ? 0x90 : 0x80;
    out[1] = (uint8_t)((header->marker ? 0x80 : 0) | header->payload_type);
    rh_put16(out + 2, header->seq);
    rh_put32(out + 4, header->timestamp);
    rh_put32(out + 8, header->ssrc);
    if (!has_block)
        return RH_RTP_HEADER_BYTES;
    while ((block.at - elements) % 4 != 0)
        *block.at++ = 0;
    rh_put16(out + 12, block.is_two_byte ? TWO_BYTE_PROFILE : ONE_BYTE_PROFILE);
    rh_put16(out + 14, (uint16_t)((block.at - elements) / 4));
    return (size_t)(block.at - out);
}
