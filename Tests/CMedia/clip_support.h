/* What the clip tests share: decoders, and a receiver of RTP payloads.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TESTS_CLIP_SUPPORT_H
#define RH_TESTS_CLIP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include "rh_media_clip.h"

enum { FRAME_BYTES_MAX = 400000 };

struct decoder {
    vpx_codec_ctx_t codec;
};

/* What a decoder shows for one picture. */
struct shown {
    int32_t counter;  /* -1: no readable counter */
    uint16_t width, height;
    uint64_t digest;  /* of the luma */
    bool is_decoded;
};

void decoder_open(struct decoder *decoder, uint8_t codec);
void decoder_close(struct decoder *decoder);

/* Decodes one picture's bytes, with all its layer frames; the last frame shown counts. */
struct shown decoder_show(struct decoder *decoder, const uint8_t *bytes, size_t size);

/* A picture being put together from payloads by the engine's own parsers, which check that they
 * follow each other. */
struct assembly {
    uint8_t bytes[FRAME_BYTES_MAX];
    size_t size;
    int32_t picture_id;
    int32_t tl0; /* -1: none */
    uint8_t temporal, spatial_frames;
    bool is_keyframe;
};

/* Reads all packets of a frame as a stream at `cursor` sends them, up to a spatial layer. Fails the
 * test when descriptors, sizes or markers are wrong. */
void assemble(const struct rh_clip *clip, const struct rh_clip_cursor *cursor,
              uint8_t spatial_max, struct assembly *out);

/* A clip or a failed test that prints the error. */
struct rh_clip *made(struct rh_clip *clip, const struct rh_clip_error *error);

/* 320x192 with these layers; 24 frames, a keyframe every 8. */
struct rh_clip_video_options video_options(uint8_t codec, uint8_t spatial, uint8_t temporal);

#endif
