/* IVF files with VP8 or VP9. SPDX-License-Identifier: Apache-2.0
 *
 * A header of 32 bytes ("DKIF", version, header size, fourcc, width, height, time base, frame
 * count), then frames: size (4 bytes), time (8), data. Numbers are little-endian. The frame count
 * of the header is often wrong and not used. */
#include <string.h>

#include "little.h"
#include "payload.h"

enum {
    CLOCK_HZ = 90000,
    HEADER_BYTES = 32, FRAME_HEADER_BYTES = 12,
    FRAMES_PER_SECOND_DEFAULT = 30, /* of a file with one frame */
    VP8_INTER_FRAME = 0x01, VP8_KEYFRAME_BYTES = 10,
    VP9_MARKER = 0x80, VP9_MARKER_MASK = 0xc0,
    STRUCTURE_HAS_SIZES = 0x10,
};

/* A file being read. Owner: rh_clip_read_ivf. */
struct ivf {
    const uint8_t *bytes;
    size_t size, at;
    struct rh_clip_builder builder;
    uint16_t payload_bytes_max;
    uint32_t rate, scale; /* times count scale / rate seconds */
    uint64_t first_time;
    struct rh_clip_error *error;
};

static bool read_header(struct ivf *ivf)
{
    if (ivf->size < HEADER_BYTES || memcmp(ivf->bytes, "DKIF", 4) != 0)
        return rh_clip_fail(ivf->error, "not an IVF file: it does not begin with \"DKIF\" and a "
                            "header of %d bytes", HEADER_BYTES), false;
    struct rh_clip *clip = &ivf->builder.clip;
    if (memcmp(ivf->bytes + 8, "VP80", 4) == 0)
        clip->codec = RH_CLIP_VP8;
    else if (memcmp(ivf->bytes + 8, "VP90", 4) == 0)
        clip->codec = RH_CLIP_VP9;
    else
        return rh_clip_fail(ivf->error, "byte 8: the IVF file holds neither VP8 nor VP9"), false;
    ivf->at = rh_little16(ivf->bytes + 6);
    if (ivf->at < HEADER_BYTES || ivf->at > ivf->size)
        return rh_clip_fail(ivf->error, "byte 6: an IVF header of %zu bytes", ivf->at), false;
    clip->width = rh_little16(ivf->bytes + 12);
    clip->height = rh_little16(ivf->bytes + 14);
    ivf->rate = rh_little32(ivf->bytes + 16);
    ivf->scale = rh_little32(ivf->bytes + 20);
    if (ivf->rate == 0 || ivf->scale == 0)
        return rh_clip_fail(ivf->error, "byte 16: a time base of %u/%u s", ivf->scale,
                            ivf->rate), false;
    clip->clock_hz = CLOCK_HZ;
    clip->spatial_layers = clip->temporal_layers = 1;
    return true;
}

static bool is_vp8(const uint8_t *data, size_t size, bool *is_keyframe)
{
    static const uint8_t start_code[] = {0x9d, 0x01, 0x2a};
    *is_keyframe = !(data[0] & VP8_INTER_FRAME);
    return !*is_keyframe
        || (size >= VP8_KEYFRAME_BYTES && memcmp(data + 3, start_code, sizeof start_code) == 0);
}

/* The first bits of the uncompressed header (VP9 bitstream specification section 6.2). */
static bool is_vp9(const uint8_t *data, bool *is_keyframe)
{
    uint32_t profile = (data[0] >> 5 & 1) | (data[0] >> 3 & 2);
    uint32_t rest = (uint32_t)data[0] << (profile == 3 ? 5 : 4); /* one reserved bit more */
    bool shows_existing = (rest & 0x80) != 0, is_inter = (rest & 0x40) != 0;
    *is_keyframe = !shows_existing && !is_inter;
    return (data[0] & VP9_MARKER_MASK) == VP9_MARKER;
}

/* Times become clock units since the first frame. Returns false when they do not ascend or last
 * longer than an RTP clock goes round. */
static bool timestamp_of(const struct ivf *ivf, uint64_t time, uint32_t *timestamp)
{
    const struct rh_clip *clip = &ivf->builder.clip;
    if (time < ivf->first_time)
        return false;
    unsigned __int128 units =
        (unsigned __int128)(time - ivf->first_time) * ivf->scale * CLOCK_HZ / ivf->rate;
    if (units > INT32_MAX)
        return false;
    *timestamp = (uint32_t)units;
    return clip->frame_count == 0
        || *timestamp > ivf->builder.frames[clip->frame_count - 1].timestamp;
}

static void write_structure(const struct rh_clip *clip, struct rh_clip_encoded *frame)
{
    const uint8_t structure[] = {
        STRUCTURE_HAS_SIZES, (uint8_t)(clip->width >> 8), (uint8_t)clip->width,
        (uint8_t)(clip->height >> 8), (uint8_t)clip->height};
    memcpy(frame->structure, structure, sizeof structure);
    frame->structure_bytes = sizeof structure;
}

static bool append(
    struct ivf *ivf, const uint8_t *data, size_t size, uint32_t timestamp, bool is_keyframe)
{
    struct rh_clip *clip = &ivf->builder.clip;
    uint32_t index = clip->frame_count;
    struct rh_clip_frame *frame = rh_clip_builder_frame(&ivf->builder);
    if (frame == NULL)
        return rh_clip_fail(ivf->error, "not enough memory for the clip"), false;
    frame->timestamp = timestamp;
    frame->picture_id = index & 0x7fff;
    frame->is_keyframe = is_keyframe;
    struct rh_clip_encoded encoded = {
        .data = data, .size = size, .payload_bytes_max = ivf->payload_bytes_max,
        .picture_id = index & 0x7fff, .is_predicted = !is_keyframe, .ends_picture = true};
    if (clip->codec == RH_CLIP_VP8) {
        encoded.spare_bytes = RH_CLIP_SPARE_BYTES;
        rh_clip_pack_vp8(&ivf->builder, &encoded);
        return true;
    }
    encoded.is_unreferenced = true; /* by upper layers: there are none */
    if (is_keyframe)
        write_structure(clip, &encoded);
    rh_clip_pack_vp9(&ivf->builder, &encoded);
    return true;
}

static bool read_frame(struct ivf *ivf)
{
    struct rh_clip *clip = &ivf->builder.clip;
    if (ivf->size - ivf->at < FRAME_HEADER_BYTES)
        return rh_clip_fail(ivf->error, "byte %zu: the file ends inside the header of frame %u",
                            ivf->at, clip->frame_count), false;
    const uint8_t *header = ivf->bytes + ivf->at, *data = header + FRAME_HEADER_BYTES;
    size_t size = rh_little32(header);
    uint64_t time = rh_little64(header + 4);
    if (size == 0 || size > ivf->size - ivf->at - FRAME_HEADER_BYTES)
        return rh_clip_fail(ivf->error, "byte %zu: frame %u has %zu bytes, the file %zu more",
                            ivf->at, clip->frame_count, size,
                            ivf->size - ivf->at - FRAME_HEADER_BYTES), false;
    bool is_keyframe = false;
    if (clip->codec == RH_CLIP_VP8 ? !is_vp8(data, size, &is_keyframe)
                                   : !is_vp9(data, &is_keyframe))
        return rh_clip_fail(ivf->error, "byte %zu: frame %u is not %s",
                            ivf->at + FRAME_HEADER_BYTES, clip->frame_count,
                            clip->codec == RH_CLIP_VP8 ? "VP8" : "VP9"), false;
    if (clip->frame_count == 0 && !is_keyframe)
        return rh_clip_fail(ivf->error, "byte %zu: the first frame is no keyframe", ivf->at),
               false;
    if (clip->frame_count == 0)
        ivf->first_time = time;
    uint32_t timestamp = 0;
    if (!timestamp_of(ivf, time, &timestamp))
        return rh_clip_fail(ivf->error, "byte %zu: frame %u is not later than the one before, or "
                            "hours after the first", ivf->at + 4, clip->frame_count), false;
    if (clip->frame_count == RH_CLIP_FRAMES_MAX)
        return rh_clip_fail(ivf->error, "byte %zu: more than %d frames", ivf->at,
                            RH_CLIP_FRAMES_MAX), false;
    ivf->at += FRAME_HEADER_BYTES + size;
    return append(ivf, data, size, timestamp, is_keyframe);
}

/* The loop ends one frame after the last: as far behind it as it is behind the one before. */
static uint32_t duration_of(const struct rh_clip_builder *builder)
{
    uint32_t count = builder->clip.frame_count;
    if (count < 2)
        return count == 0 ? 0 : CLOCK_HZ / FRAMES_PER_SECOND_DEFAULT;
    uint32_t last = builder->frames[count - 1].timestamp;
    return last + (last - builder->frames[count - 2].timestamp);
}

struct rh_clip *rh_clip_read_ivf(
    const uint8_t *bytes, size_t size, uint16_t payload_bytes_max, struct rh_clip_error *error)
{
    struct ivf ivf = {
        .bytes = bytes, .size = size, .error = error,
        .payload_bytes_max =
            payload_bytes_max != 0 ? payload_bytes_max : RH_CLIP_PAYLOAD_BYTES_DEFAULT};
    bool is_good = rh_clip_check_payload_bytes(ivf.payload_bytes_max, error)
        && read_header(&ivf);
    while (is_good && ivf.at < size)
        is_good = read_frame(&ivf);
    if (!is_good) {
        rh_clip_builder_discard(&ivf.builder);
        return NULL;
    }
    ivf.builder.clip.duration = duration_of(&ivf.builder);
    ivf.builder.clip.picture_ids = ivf.builder.clip.frame_count & 0x7fff;
    return rh_clip_builder_finish(&ivf.builder, error);
}
