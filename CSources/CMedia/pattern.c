/* The moving test pattern. SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <string.h>

enum {
    COUNTER_BITS = 16,
    CHECK_SALT = 5,
    WHITE = 235, BLACK = 16,
    WHITE_MIN = 150, BLACK_MAX = 100, /* of a cell's mean after coding */
    BACKGROUND = 70, TEXTURE_MASK = 63,
    CIRCLE_FRAMES = 128,               /* the disc's way around */
};

/* Counter and check bits, the first cell's in bit 19. */
static uint32_t cells_of(uint16_t counter)
{
    uint32_t check = CHECK_SALT;
    for (uint32_t bit = 0; bit < COUNTER_BITS; bit += 4)
        check = (check * 3 + (counter >> bit & 15)) & 15;
    return (uint32_t)counter << 4 | check;
}

/* Side of a counter cell: at least 4 pixels at the smallest size. */
static uint32_t cell_side(uint16_t width, uint16_t height)
{
    uint32_t across = width / RH_PATTERN_CELLS, down = height / 4;
    return across < down ? across : down;
}

void rh_pattern_init(struct rh_pattern *pattern)
{
    uint32_t state = 1;
    for (int y = 0; y < RH_PATTERN_TILE; y++) {
        for (int x = 0; x < RH_PATTERN_TILE; x++) {
            state = state * 1664525 + 1013904223;
            uint32_t noise = state >> 28;
            uint32_t weave = (uint32_t)((x * 3 ^ y * 5) & 31) + (uint32_t)((x + 2 * y) >> 4 & 15);
            pattern->tile[y][x] = (uint8_t)(BACKGROUND + ((weave + noise) & TEXTURE_MASK));
        }
    }
}

static void draw_background(
    const struct rh_pattern *pattern, uint32_t counter, const struct rh_pattern_planes *planes)
{
    uint32_t shift_x = counter * 2 % RH_PATTERN_TILE, shift_y = counter % RH_PATTERN_TILE;
    for (uint32_t y = 0; y < planes->height; y++) {
        const uint8_t *from = pattern->tile[(y + shift_y) % RH_PATTERN_TILE];
        uint8_t *row = planes->planes[0] + (size_t)y * planes->strides[0];
        uint32_t at = shift_x;
        for (uint32_t x = 0; x < planes->width;) {
            uint32_t run = RH_PATTERN_TILE - at;
            if (run > planes->width - x)
                run = planes->width - x;
            memcpy(row + x, from + at, run);
            x += run;
            at = 0;
        }
    }
    for (int plane = 1; plane < 3; plane++) {
        for (uint32_t y = 0; y < planes->height / 2u; y++) {
            uint32_t tint = (y * 64 / planes->height + counter * (uint32_t)plane) % 64;
            memset(planes->planes[plane] + (size_t)y * planes->strides[plane], (int)(96 + tint),
                   planes->width / 2u);
        }
    }
}

/* Where the disc is on its square way, 0..range each. */
static void disc_place(uint32_t counter, int32_t range_x, int32_t range_y, int32_t at[2])
{
    int32_t step = (int32_t)(counter % CIRCLE_FRAMES);
    int32_t quarter = CIRCLE_FRAMES / 4;
    int32_t along = step % quarter;
    const int32_t corners[5][2] = {
        {0, 0}, {range_x, 0}, {range_x, range_y}, {0, range_y}, {0, 0}};
    const int32_t *from = corners[step / quarter], *to = corners[step / quarter + 1];
    at[0] = from[0] + (to[0] - from[0]) * along / quarter;
    at[1] = from[1] + (to[1] - from[1]) * along / quarter;
}

static void draw_disc(uint32_t counter, const struct rh_pattern_planes *planes)
{
    int32_t side = planes->height < planes->width ? planes->height : planes->width;
    int32_t radius = side / 8, top = (int32_t)cell_side(planes->width, planes->height);
    int32_t at[2];
    disc_place(counter, planes->width - 2 * radius, planes->height - 2 * radius - top, at);
    for (int32_t y = -radius; y < radius; y++) {
        uint8_t *row = planes->planes[0]
            + (size_t)(at[1] + top + radius + y) * planes->strides[0] + at[0] + radius;
        for (int32_t x = -radius; x < radius; x++)
            if (x * x + y * y < radius * radius)
                row[x] = (uint8_t)(180 + (x + y + radius * 2) % 32);
    }
}

/* A strip along the bottom that no earlier frame predicts: the texture at another place each time,
 * coarse enough that a lower spatial layer shows it too. */
static void draw_unrest(
    const struct rh_pattern *pattern, uint32_t counter, const struct rh_pattern_planes *planes)
{
    uint32_t place = counter * 2654435761u, height = cell_side(planes->width, planes->height);
    for (uint32_t y = 0; y < height; y++) {
        uint8_t *row =
            planes->planes[0] + (size_t)(planes->height - 1u - y) * planes->strides[0];
        const uint8_t *from = pattern->tile[(y / 4 + (place >> 16)) % RH_PATTERN_TILE];
        for (uint32_t x = 0; x < planes->width; x++)
            row[x] = from[(x / 4 + (place >> 8)) % RH_PATTERN_TILE];
    }
}

static void draw_counter(uint16_t counter, const struct rh_pattern_planes *planes)
{
    uint32_t cells = cells_of(counter), cell = cell_side(planes->width, planes->height);
    for (uint32_t y = 0; y < cell; y++) {
        uint8_t *row = planes->planes[0] + (size_t)y * planes->strides[0];
        for (uint32_t i = 0; i < RH_PATTERN_CELLS; i++) {
            bool is_white = (cells >> (RH_PATTERN_CELLS - 1 - i) & 1) != 0;
            memset(row + i * cell, is_white ? WHITE : BLACK, cell);
        }
    }
}

void rh_pattern_draw(
    const struct rh_pattern *pattern, uint32_t counter, const struct rh_pattern_planes *planes)
{
    draw_background(pattern, counter, planes);
    draw_disc(counter, planes);
    draw_unrest(pattern, counter, planes);
    draw_counter((uint16_t)counter, planes);
}

/* The mean of a cell's inner half. */
static uint32_t cell_mean(const uint8_t *luma, uint32_t stride, uint32_t left, uint32_t cell)
{
    uint32_t sum = 0, count = 0;
    for (uint32_t y = cell / 4; y < cell - cell / 4; y++) {
        for (uint32_t x = left + cell / 4; x < left + cell - cell / 4; x++) {
            sum += luma[(size_t)y * stride + x];
            count++;
        }
    }
    return sum / count;
}

int32_t rh_pattern_read(const uint8_t *luma, uint32_t stride, uint16_t width, uint16_t height)
{
    if (width < RH_PATTERN_WIDTH_MIN || height < RH_PATTERN_HEIGHT_MIN)
        return -1;
    uint32_t cells = 0, cell = cell_side(width, height);
    for (uint32_t i = 0; i < RH_PATTERN_CELLS; i++) {
        uint32_t mean = cell_mean(luma, stride, i * cell, cell);
        if (mean > BLACK_MAX && mean < WHITE_MIN)
            return -1;
        cells = cells << 1 | (mean >= WHITE_MIN);
    }
    uint16_t counter = (uint16_t)(cells >> 4);
    return cells_of(counter) == cells ? counter : -1;
}
