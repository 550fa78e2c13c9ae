/* What the targets of the clip readers share. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_FUZZ_CLIP_TARGET_H
#define RH_FUZZ_CLIP_TARGET_H

#include <stdlib.h>

#include "rh_media_clip.h"

/* Walks a clip as a sender does and checks what its header promises. Takes no clip, too. */
static inline void fuzz_clip(struct rh_clip *clip, const struct rh_clip_error *error)
{
    if (clip == NULL) {
        if (error->text[0] == 0)
            abort();
        return;
    }
    struct rh_clip_cursor at = rh_clip_start(clip, 0);
    uint64_t due = 0;
    for (uint32_t i = 0; i < clip->frame_count + 2; i++) {
        const struct rh_clip_frame *frame = &clip->frames[at.frame];
        if (rh_clip_next_keyframe(clip, at.frame) >= clip->frame_count)
            abort();
        for (uint32_t p = 0; p < frame->packet_count; p++) {
            uint8_t out[RH_CLIP_PAYLOAD_BYTES_MAX];
            size_t size = rh_clip_write(frame, &frame->packets[p], &at, out);
            if (size == 0 || size > RH_CLIP_PAYLOAD_BYTES_MAX)
                abort();
        }
        rh_clip_advance(clip, &at);
        if (rh_clip_due(clip, &at) <= due)
            abort();
        due = rh_clip_due(clip, &at);
    }
    rh_clip_free(clip);
}

#endif
