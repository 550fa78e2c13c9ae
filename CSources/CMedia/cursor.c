/* Sending from a clip: loops and jumps that stay one stream. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rh_media_clip.h"

enum { PICTURE_ID_MASK = 0x7fff, IS_LONG_ID = 0x80 };

struct rh_clip_cursor rh_clip_start(const struct rh_clip *clip, uint32_t frame)
{
    const struct rh_clip_frame *first = &clip->frames[frame];
    return (struct rh_clip_cursor){
        .frame = frame,
        .timestamp_offset = 0 - (uint64_t)first->timestamp,
        .picture_id_offset = (0u - first->picture_id) & PICTURE_ID_MASK,
        .tl0_offset = (uint8_t)(0u - first->tl0_pic_idx),
    };
}

void rh_clip_advance(const struct rh_clip *clip, struct rh_clip_cursor *cursor)
{
    if (++cursor->frame < clip->frame_count)
        return;
    cursor->frame = 0;
    cursor->timestamp_offset += clip->duration;
    cursor->picture_id_offset = (cursor->picture_id_offset + clip->picture_ids) & PICTURE_ID_MASK;
    cursor->tl0_offset = (uint8_t)(cursor->tl0_offset + clip->tl0s);
}

/* TL0PICIDX counts base-layer frames. A base-layer frame in the place of one that is not begins
 * the next number; the other way round it stays. */
static int base_layer_step(const struct rh_clip_frame *from, const struct rh_clip_frame *to)
{
    return (to->temporal == 0) - (from->temporal == 0);
}

void rh_clip_jump(const struct rh_clip *clip, struct rh_clip_cursor *cursor, uint32_t frame)
{
    const struct rh_clip_frame *from = &clip->frames[cursor->frame];
    const struct rh_clip_frame *to = &clip->frames[frame];
    cursor->frame = frame;
    cursor->timestamp_offset += (uint64_t)from->timestamp - to->timestamp;
    cursor->picture_id_offset =
        (cursor->picture_id_offset + from->picture_id - to->picture_id) & PICTURE_ID_MASK;
    cursor->tl0_offset = (uint8_t)(cursor->tl0_offset + from->tl0_pic_idx - to->tl0_pic_idx
                                   + base_layer_step(from, to));
}

uint32_t rh_clip_next_keyframe(const struct rh_clip *clip, uint32_t frame)
{
    return clip->frames[frame].is_keyframe ? frame : clip->frames[frame].next_keyframe;
}

uint64_t rh_clip_due(const struct rh_clip *clip, const struct rh_clip_cursor *cursor)
{
    return clip->frames[cursor->frame].timestamp + cursor->timestamp_offset;
}

void rh_clip_patch(
    const struct rh_clip_frame *frame, const struct rh_clip_packet *packet,
    const struct rh_clip_cursor *cursor, uint8_t *payload)
{
    if (packet->picture_id_offset != 0) {
        uint32_t id = (frame->picture_id + cursor->picture_id_offset) & PICTURE_ID_MASK;
        payload[packet->picture_id_offset] = (uint8_t)(IS_LONG_ID | id >> 8);
        payload[packet->picture_id_offset + 1] = (uint8_t)id;
    }
    if (packet->tl0_offset != 0)
        payload[packet->tl0_offset] = (uint8_t)(frame->tl0_pic_idx + cursor->tl0_offset);
}

size_t rh_clip_write(
    const struct rh_clip_frame *frame, const struct rh_clip_packet *packet,
    const struct rh_clip_cursor *cursor, uint8_t *out)
{
    memcpy(out, packet->payload, packet->size);
    rh_clip_patch(frame, packet, cursor, out);
    return packet->size;
}
