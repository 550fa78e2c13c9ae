/* Clips: building and releasing. SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "builder.h"

enum { FIRST_ROOM = 64 };

void *rh_clip_fail(struct rh_clip_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return NULL;
}

bool rh_clip_check_payload_bytes(uint16_t payload_bytes_max, struct rh_clip_error *error)
{
    if (payload_bytes_max >= RH_CLIP_PAYLOAD_BYTES_MIN
        && payload_bytes_max <= RH_CLIP_PAYLOAD_BYTES_MAX)
        return true;
    rh_clip_fail(error, "payloads of %u bytes: from %d to %d", payload_bytes_max,
                 RH_CLIP_PAYLOAD_BYTES_MIN, RH_CLIP_PAYLOAD_BYTES_MAX);
    return false;
}

/* Makes room for `more` items behind `used`. Returns the array, moved or not, or NULL. */
static void *grow(void *array, size_t *room, size_t used, size_t more, size_t item_bytes)
{
    if (more <= *room - used)
        return array;
    size_t wanted = *room != 0 ? *room : FIRST_ROOM;
    while (wanted - used < more) {
        if (wanted > SIZE_MAX / 2 / item_bytes)
            return NULL;
        wanted *= 2;
    }
    void *grown = realloc(array, wanted * item_bytes);
    if (grown != NULL)
        *room = wanted;
    return grown;
}

struct rh_clip_frame *rh_clip_builder_frame(struct rh_clip_builder *builder)
{
    if (builder->is_failed)
        return NULL;
    struct rh_clip_frame *frames = grow(
        builder->frames, &builder->frames_room, builder->clip.frame_count, 1, sizeof *frames);
    if (frames == NULL) {
        builder->is_failed = true;
        return NULL;
    }
    builder->frames = frames;
    struct rh_clip_frame *frame = &frames[builder->clip.frame_count++];
    *frame = (struct rh_clip_frame){0};
    return frame;
}

uint8_t *rh_clip_builder_packet(
    struct rh_clip_builder *builder, const struct rh_clip_packet *packet)
{
    if (builder->is_failed || builder->clip.frame_count == 0)
        return NULL;
    struct rh_clip_packet *packets = grow(
        builder->packets, &builder->packets_room, builder->clip.packet_count, 1, sizeof *packets);
    if (packets != NULL)
        builder->packets = packets;
    uint8_t *bytes = grow(
        builder->bytes, &builder->bytes_room, builder->bytes_used, packet->size, 1);
    if (bytes != NULL)
        builder->bytes = bytes;
    if (packets == NULL || bytes == NULL) {
        builder->is_failed = true;
        return NULL;
    }
    packets[builder->clip.packet_count++] = *packet;
    struct rh_clip_frame *frame = &builder->frames[builder->clip.frame_count - 1];
    frame->packet_count++;
    frame->bytes += packet->size;
    uint8_t *payload = bytes + builder->bytes_used;
    builder->bytes_used += packet->size;
    return payload;
}

struct rh_clip_frame *rh_clip_builder_last(struct rh_clip_builder *builder)
{
    if (builder->is_failed || builder->clip.frame_count == 0)
        return NULL;
    return &builder->frames[builder->clip.frame_count - 1];
}

void rh_clip_builder_mark(struct rh_clip_builder *builder)
{
    if (!builder->is_failed && builder->clip.packet_count != 0)
        builder->packets[builder->clip.packet_count - 1].marker = true;
}

/* Packets and bytes were appended in order, so running sums find them. */
static void set_pointers(struct rh_clip_builder *builder)
{
    const uint8_t *payload = builder->bytes;
    for (uint32_t i = 0; i < builder->clip.packet_count; i++) {
        builder->packets[i].payload = payload;
        payload += builder->packets[i].size;
    }
    const struct rh_clip_packet *packets = builder->packets;
    for (uint32_t i = 0; i < builder->clip.frame_count; i++) {
        builder->frames[i].packets = packets;
        packets += builder->frames[i].packet_count;
    }
    uint32_t next = 0;
    for (uint32_t i = builder->clip.frame_count; i-- > 0;) {
        builder->frames[i].next_keyframe = next;
        if (builder->frames[i].is_keyframe)
            next = i;
    }
}

struct rh_clip *rh_clip_builder_finish(
    struct rh_clip_builder *builder, struct rh_clip_error *error)
{
    struct rh_clip *clip = builder->is_failed ? NULL : malloc(sizeof *clip);
    if (clip == NULL) {
        rh_clip_builder_discard(builder);
        return rh_clip_fail(error, "not enough memory for the clip");
    }
    if (builder->clip.packet_count == 0 || builder->clip.duration == 0) {
        free(clip);
        rh_clip_builder_discard(builder);
        return rh_clip_fail(error, "the clip has nothing to send");
    }
    set_pointers(builder);
    *clip = builder->clip;
    clip->frames = builder->frames;
    clip->bitrate_bps =
        (uint32_t)((uint64_t)builder->bytes_used * 8 * clip->clock_hz / clip->duration);
    clip->memory_bytes = sizeof *clip + builder->frames_room * sizeof *builder->frames
        + builder->packets_room * sizeof *builder->packets + builder->bytes_room;
    *builder = (struct rh_clip_builder){0};
    return clip;
}

void rh_clip_builder_discard(struct rh_clip_builder *builder)
{
    free(builder->frames);
    free(builder->packets);
    free(builder->bytes);
    *builder = (struct rh_clip_builder){0};
}

/* The first frame's packets are the packet array, the first packet's payload the bytes. */
void rh_clip_free(struct rh_clip *clip)
{
    if (clip == NULL)
        return;
    free((void *)clip->frames[0].packets[0].payload);
    free((void *)clip->frames[0].packets);
    free((void *)clip->frames);
    free(clip);
}
