/* H.264 byte streams (ITU-T H.264 annex B). SPDX-License-Identifier: Apache-2.0
 *
 * NAL units between start codes are grouped into access units (section 7.4.1.2.3): one a frame. */
#include <string.h>

#include "payload.h"

enum {
    CLOCK_HZ = 90000,
    FRAMES_PER_SECOND_DEFAULT = 30, FRAMES_PER_SECOND_MAX = 240,
    START_CODE_BYTES = 3,
    UNIT_TYPE = 0x1f, UNIT_FORBIDDEN = 0x80,
    SLICE = 1, IDR_SLICE = 5, EXTRA_INFORMATION = 6, SEQUENCE_SET = 7, PICTURE_SET = 8,
    DELIMITER = 9, FILLER = 12, LAST_DEFINED = 23,
    FIRST_SLICE = 0x80, /* first_mb_in_slice is 0 */
    UNITS_MAX = 128,    /* of a frame */
    SETS_MAX = 16,      /* parameter sets kept for keyframes that come without */
};

/* A file being read. Owner: rh_clip_read_h264. */
struct stream {
    const uint8_t *bytes;
    size_t size, at; /* at: behind a start code, or size */
    struct rh_clip_error *error;
    struct rh_clip_builder builder;
    uint16_t payload_bytes_max, frames_per_second;
    struct rh_clip_unit units[UNITS_MAX]; /* of the access unit being collected */
    struct rh_clip_unit sets[SETS_MAX];
    size_t unit_count, set_count;
    bool has_slice, has_idr, has_sequence_set;
};

/* Where the next 00 00 01 begins at or after `from`; size when there is none. */
static size_t find_start(const struct stream *stream, size_t from)
{
    for (size_t i = from; i + START_CODE_BYTES <= stream->size; i++)
        if (stream->bytes[i] == 0 && stream->bytes[i + 1] == 0 && stream->bytes[i + 2] == 1)
            return i;
    return stream->size;
}

static uint8_t type_of(const struct rh_clip_unit *unit)
{
    return unit->data[0] & UNIT_TYPE;
}

/* Whether a unit is the first of an access unit when a slice has come before it. */
static bool begins_frame(const struct rh_clip_unit *unit)
{
    uint8_t type = type_of(unit);
    if (type == SLICE || type == IDR_SLICE)
        return unit->size > 1 && (unit->data[1] & FIRST_SLICE);
    return (type >= EXTRA_INFORMATION && type <= DELIMITER) || (type >= 14 && type <= 18);
}

static void keep_sets(struct stream *stream)
{
    if (!stream->has_sequence_set)
        return;
    stream->set_count = 0;
    for (size_t i = 0; i < stream->unit_count && stream->set_count < SETS_MAX; i++) {
        uint8_t type = type_of(&stream->units[i]);
        if (type == SEQUENCE_SET || type == PICTURE_SET)
            stream->sets[stream->set_count++] = stream->units[i];
    }
}

/* Puts the parameter sets before a keyframe that comes without: decoding can begin there. */
static void complete_keyframe(struct stream *stream)
{
    if (!stream->has_idr || stream->has_sequence_set
        || stream->unit_count + stream->set_count > UNITS_MAX)
        return;
    memmove(stream->units + stream->set_count, stream->units,
            stream->unit_count * sizeof *stream->units);
    memcpy(stream->units, stream->sets, stream->set_count * sizeof *stream->sets);
    stream->unit_count += stream->set_count;
}

/* Turns the collected access unit into a frame. */
static bool end_frame(struct stream *stream)
{
    if (!stream->has_slice)
        return true; /* units behind the last slice: nothing to show */
    uint32_t index = stream->builder.clip.frame_count;
    if (index == 0 && !(stream->has_idr && stream->has_sequence_set))
        return rh_clip_fail(stream->error, "byte %zu: the first frame is no keyframe with its "
                            "parameter sets", stream->at), false;
    if (index == RH_CLIP_FRAMES_MAX)
        return rh_clip_fail(stream->error, "byte %zu: more than %d frames", stream->at,
                            RH_CLIP_FRAMES_MAX), false;
    keep_sets(stream);
    complete_keyframe(stream);
    struct rh_clip_frame *frame = rh_clip_builder_frame(&stream->builder);
    if (frame == NULL)
        return rh_clip_fail(stream->error, "not enough memory for the clip"), false;
    frame->timestamp = (uint32_t)((uint64_t)index * CLOCK_HZ / stream->frames_per_second);
    frame->is_keyframe = stream->has_idr;
    rh_clip_pack_h264(&stream->builder, stream->units, stream->unit_count,
                      stream->payload_bytes_max);
    stream->unit_count = 0;
    stream->has_slice = stream->has_idr = stream->has_sequence_set = false;
    return true;
}

static bool add_unit(struct stream *stream, const struct rh_clip_unit *unit)
{
    uint8_t type = type_of(unit);
    if ((unit->data[0] & UNIT_FORBIDDEN) || type == 0 || type > LAST_DEFINED)
        return rh_clip_fail(stream->error, "byte %zu: no H.264 unit", stream->at), false;
    if (type > SLICE && type < IDR_SLICE)
        return rh_clip_fail(stream->error, "byte %zu: data partitioning cannot be sent",
                            stream->at), false;
    if (stream->has_slice && begins_frame(unit) && !end_frame(stream))
        return false;
    if (type >= DELIMITER && type <= FILLER)
        return true; /* delimiters, ends and filler say nothing that RTP does not */
    if (stream->unit_count == UNITS_MAX)
        return rh_clip_fail(stream->error, "byte %zu: more than %d units in a frame", stream->at,
                            UNITS_MAX), false;
    stream->units[stream->unit_count++] = *unit;
    stream->has_slice |= type == SLICE || type == IDR_SLICE;
    stream->has_idr |= type == IDR_SLICE;
    stream->has_sequence_set |= type == SEQUENCE_SET;
    return true;
}

/* The unit at stream->at ends before the next start code; zeros there belong to the code. */
static bool read_unit(struct stream *stream)
{
    size_t next = find_start(stream, stream->at), end = next;
    while (end > stream->at && stream->bytes[end - 1] == 0)
        end--;
    if (end == stream->at)
        return rh_clip_fail(stream->error, "byte %zu: an empty H.264 unit", stream->at), false;
    struct rh_clip_unit unit = {stream->bytes + stream->at, end - stream->at};
    if (!add_unit(stream, &unit))
        return false;
    stream->at = next < stream->size ? next + START_CODE_BYTES : stream->size;
    return true;
}

static bool open_stream(struct stream *stream, const struct rh_clip_video_options *options)
{
    stream->frames_per_second = options->frames_per_second != 0
        ? options->frames_per_second : FRAMES_PER_SECOND_DEFAULT;
    stream->payload_bytes_max = options->payload_bytes_max != 0
        ? options->payload_bytes_max : RH_CLIP_PAYLOAD_BYTES_DEFAULT;
    if (!rh_clip_check_payload_bytes(stream->payload_bytes_max, stream->error))
        return false;
    if (stream->frames_per_second > FRAMES_PER_SECOND_MAX)
        return rh_clip_fail(stream->error, "%u frames a second: at most %d",
                            stream->frames_per_second, FRAMES_PER_SECOND_MAX), false;
    size_t start = find_start(stream, 0);
    for (size_t i = 0; i < start; i++)
        if (stream->bytes[i] != 0)
            return rh_clip_fail(stream->error, "byte %zu: not an H.264 byte stream: no start code",
                                i), false;
    if (start == stream->size)
        return rh_clip_fail(stream->error, "byte 0: not an H.264 byte stream: no start code"),
               false;
    stream->at = start + START_CODE_BYTES;
    stream->builder.clip = (struct rh_clip){
        .codec = RH_CLIP_H264, .spatial_layers = 1, .temporal_layers = 1,
        .width = options->width, .height = options->height, .clock_hz = CLOCK_HZ};
    return true;
}

struct rh_clip *rh_clip_read_h264(
    const uint8_t *bytes, size_t size, const struct rh_clip_video_options *options,
    struct rh_clip_error *error)
{
    struct stream stream = {.bytes = bytes, .size = size, .error = error};
    bool is_good = open_stream(&stream, options);
    while (is_good && stream.at < size)
        is_good = read_unit(&stream);
    is_good = is_good && end_frame(&stream);
    if (!is_good) {
        rh_clip_builder_discard(&stream.builder);
        return NULL;
    }
    stream.builder.clip.duration =
        (uint32_t)((uint64_t)stream.builder.clip.frame_count * CLOCK_HZ / stream.frames_per_second);
    return rh_clip_builder_finish(&stream.builder, error);
}
