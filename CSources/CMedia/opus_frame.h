/* What generated and read sound share: levels, and Opus packets as frames.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_MEDIA_OPUS_FRAME_H
#define RH_MEDIA_OPUS_FRAME_H

#include "builder.h"

/* The level of some samples as -dBov (RFC 6464): 0 is as loud as a full-scale square wave, 127 is
 * silence. */
uint8_t rh_clip_level(const int16_t *samples, size_t count);

/* One Opus packet and what is known of its sound. */
struct rh_clip_sound_frame {
    const uint8_t *packet;
    uint16_t size; /* 0: not sent */
    uint32_t timestamp;
    uint8_t level; /* of rh_clip_level */
    bool marker;
};

/* Appends a frame; its packet is padded by RH_CLIP_SPARE_BYTES where it can be. Returns false with
 * an error when there is no memory. */
bool rh_clip_append_sound(
    struct rh_clip_builder *builder, const struct rh_clip_sound_frame *sound,
    struct rh_clip_error *error);

#endif
