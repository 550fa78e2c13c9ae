/* What the VP8 and VP9 generators share. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_MEDIA_ENCODER_H
#define RH_MEDIA_ENCODER_H

#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

#include "builder.h"
#include "pattern.h"

enum { RH_CLIP_VIDEO_HZ = 90000 };

/* One encoding in progress. Owner: rh_clip_make_video. */
struct rh_clip_encoder {
    struct rh_clip_video_options options; /* completed: no field is 0 where 0 means a default */
    uint32_t period;                      /* frames after which the temporal layers repeat */
    struct rh_clip_builder builder;
    struct rh_pattern pattern;
    vpx_codec_enc_cfg_t config;
    vpx_codec_ctx_t codec;
    vpx_image_t image;
    uint32_t frame; /* index of the frame being encoded */
    bool has_codec, has_image;
    /* VP9: what its eight reference buffers hold, for flexible mode's P_DIFF */
    uint32_t buffer_frames[8];
    bool was_too_far; /* a reference lies more than 127 pictures back */
};

/* Each opens libvpx for encoder->options and sets its controls. Returns false with an error. */
bool rh_clip_vp8_open(struct rh_clip_encoder *encoder, struct rh_clip_error *error);
bool rh_clip_vp9_open(struct rh_clip_encoder *encoder, struct rh_clip_error *error);

/* Each encodes encoder->image as frame encoder->frame and appends its packets to the builder's last
 * frame. Returns false with an error. */
bool rh_clip_vp8_encode(struct rh_clip_encoder *encoder, struct rh_clip_error *error);
bool rh_clip_vp9_encode(struct rh_clip_encoder *encoder, struct rh_clip_error *error);

/* The temporal layer of the frame at a place of the period: 0 1, or 0 2 1 2. */
uint8_t rh_clip_temporal_at(uint8_t temporal_layers, uint32_t place);

/* The current frame's temporal layer and whether it is a keyframe, from its place alone. */
uint8_t rh_clip_temporal_of(const struct rh_clip_encoder *encoder);
bool rh_clip_is_keyframe(const struct rh_clip_encoder *encoder);

/* Picture ids and TL0PICIDX of the clip's frames count from 0: this frame's. */
uint16_t rh_clip_picture_id(const struct rh_clip_encoder *encoder);
uint8_t rh_clip_tl0(const struct rh_clip_encoder *encoder);

/* The share of the bit rate, in thousandths, that the temporal layers up to `temporal` have. */
uint32_t rh_clip_temporal_share(uint8_t temporal_layers, uint8_t temporal);

/* Says what libvpx refused. Always returns false. */
bool rh_clip_vpx_failed(
    struct rh_clip_encoder *encoder, const char *what, struct rh_clip_error *error);

#endif
