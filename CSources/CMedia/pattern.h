/* The moving test pattern. SPDX-License-Identifier: Apache-2.0
 *
 * A textured background that pans, a disc that circles, a strip along the bottom that is new in
 * each frame, and along the top 20 cells, black or white: 16 bits of a frame counter, the highest
 * first, and 4 check bits. What a frame shows depends on its counter and size alone. */
#ifndef RH_MEDIA_PATTERN_H
#define RH_MEDIA_PATTERN_H

#include "rh_media_clip.h"

enum {
    RH_PATTERN_CELLS = 20,
    RH_PATTERN_WIDTH_MIN = 80,
    RH_PATTERN_HEIGHT_MIN = 44,
    RH_PATTERN_TILE = 256,
};

/* The texture that all frames pan over; 64 KiB. Owner: the maker of a clip. */
struct rh_pattern {
    uint8_t tile[RH_PATTERN_TILE][RH_PATTERN_TILE];
};

/* Three planes of a 4:2:0 picture; chroma planes have half the size. */
struct rh_pattern_planes {
    uint8_t *planes[3];
    uint32_t strides[3];
    uint16_t width, height; /* even, at least RH_PATTERN_..._MIN */
};

void rh_pattern_init(struct rh_pattern *pattern);

/* Draws the frame that shows the low 16 bits of counter. */
void rh_pattern_draw(
    const struct rh_pattern *pattern, uint32_t counter, const struct rh_pattern_planes *planes);

#endif
