/* Payloads of published packets: clips, shapes, and the stamp. SPDX-License-Identifier: Apache-2.0
 *
 * A payload is a function of the stream's config and of struct rh_load_sent alone, so a resend
 * writes the same bytes again. */
#include <string.h>

#include "loop.h"
#include "wire/assert.h"
#include "wire/bytes.h"

enum {
    /* VP8 (RFC 7741 section 4.2): X and S; I, L and T; picture id; TL0PICIDX; TID. */
    VP8_DESCRIPTOR_BYTES = 6,
    VP8_HAS_EXTENSION = 0x80,
    VP8_BEGINS_PARTITION = 0x10,
    VP8_HAS_PICTURE_ID = 0x80,
    VP8_HAS_TL0 = 0x40,
    VP8_HAS_TID = 0x20,
    VP8_IS_INTER_FRAME = 0x01,
    OPUS_FULL_BAND_20_MS = 0x78, /* RFC 6716 section 3.1 */
    FILLING = 0x5a,
};

/* In a keyframe the frame tag is followed by the start code (RFC 6386 section 9.1). */
static const uint8_t vp8_key_start[6] = {0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a};

static void write_vp8(const struct rh_load_sent *sent, uint8_t *out)
{
    out[0] = VP8_HAS_EXTENSION | (sent->packet == 0 ? VP8_BEGINS_PARTITION : 0);
    out[1] = VP8_HAS_PICTURE_ID | VP8_HAS_TL0 | VP8_HAS_TID;
    rh_put16(out + 2, 0x8000 | (sent->picture_id & 0x7fff));
    out[4] = sent->tl0;
    out[5] = 0;
    if (sent->packet == 0 && sent->is_keyframe)
        memcpy(out + VP8_DESCRIPTOR_BYTES, vp8_key_start, sizeof vp8_key_start);
    else
        out[VP8_DESCRIPTOR_BYTES] = FILLING | VP8_IS_INTER_FRAME;
}

static size_t write_shape(
    const struct rh_load_stream_config *config, const struct rh_load_sent *sent, uint8_t *out)
{
    RH_ASSERT(sent->frame <= RH_LOAD_DATAGRAM_BYTES_MAX);
    memset(out, FILLING, sent->frame);
    if (config->codec == RH_CODEC_VP8)
        write_vp8(sent, out);
    else
        out[0] = OPUS_FULL_BAND_20_MS;
    return sent->frame;
}

static const struct rh_clip_packet *clip_packet(
    const struct rh_clip *clip, const struct rh_load_sent *sent)
{
    RH_ASSERT(sent->frame < clip->frame_count);
    RH_ASSERT(sent->packet < clip->frames[sent->frame].packet_count);
    return &clip->frames[sent->frame].packets[sent->packet];
}

static size_t write_clip(
    const struct rh_clip *clip, const struct rh_load_sent *sent, uint8_t *out)
{
    struct rh_clip_cursor cursor = {
        .frame = sent->frame, .picture_id_offset = sent->picture_id, .tl0_offset = sent->tl0};
    return rh_clip_write(&clip->frames[sent->frame], clip_packet(clip, sent), &cursor, out);
}

static void write_stamp(uint32_t source_id, uint64_t sent_ns, uint8_t *out)
{
    rh_put32(out, RH_LOAD_STAMP_MAGIC);
    rh_put32(out + 4, source_id);
    rh_put32(out + 8, (uint32_t)(sent_ns >> 32));
    rh_put32(out + 12, (uint32_t)sent_ns);
}

size_t rh_load_payload_write(
    const struct rh_load_stream_config *config, const struct rh_load_sent *sent, uint8_t *out)
{
    size_t bytes = config->clip != NULL ? write_clip(config->clip, sent, out)
                                        : write_shape(config, sent, out);
    bool has_room = config->clip == NULL
        || clip_packet(config->clip, sent)->spare_bytes >= RH_LOAD_STAMP_BYTES;
    if (config->stamp_on && has_room)
        write_stamp(config->source_id, sent->sent_ns, out + bytes - RH_LOAD_STAMP_BYTES);
    return bytes;
}

bool rh_load_payload_marker(
    const struct rh_load_stream_config *config, const struct rh_load_sent *sent)
{
    if (config->clip != NULL)
        return clip_packet(config->clip, sent)->marker;
    return config->kind == RH_VIDEO && sent->packet + 1 == sent->packets;
}

bool rh_load_stamp_read(
    const uint8_t *payload, size_t bytes, uint32_t *source_id, uint64_t *sent_ns)
{
    if (bytes < RH_LOAD_STAMP_BYTES)
        return false;
    const uint8_t *stamp = payload + bytes - RH_LOAD_STAMP_BYTES;
    if (rh_get32(stamp) != RH_LOAD_STAMP_MAGIC)
        return false;
    *source_id = rh_get32(stamp + 4);
    *sent_ns = (uint64_t)rh_get32(stamp + 8) << 32 | rh_get32(stamp + 12);
    return true;
}
