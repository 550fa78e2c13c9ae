/* Files for the reader tests, written from clips. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TESTS_FILE_SUPPORT_H
#define RH_TESTS_FILE_SUPPORT_H

#include "clip_support.h"

enum { FILE_BYTES_MAX = 400000 };

struct file {
    uint8_t bytes[FILE_BYTES_MAX];
    size_t size;
};

void put(struct file *file, const void *bytes, size_t size);
void put_little(struct file *file, uint64_t value, size_t size);

/* A video clip without layers as IVF with a time base of 1/30 s, frame i at time i + 7. */
void write_ivf(const struct rh_clip *clip, struct file *file);

/* One Ogg page with a right checksum. segments: sizes of a lacing table. */
struct ogg_page {
    uint8_t type;
    uint32_t serial, sequence;
    const uint8_t *segments;
    uint8_t segment_count;
    const uint8_t *data;
};
void write_ogg_page(struct file *file, const struct ogg_page *page);

/* An Opus packet as the encoder made it, without a clip's spare bytes. out: room for packet->size
 * bytes. Returns its size. */
uint16_t unpad(const struct rh_clip_packet *packet, uint8_t *out);

/* An Opus clip as Ogg: both headers, then pages of up to 9 packets. */
void write_ogg(const struct rh_clip *clip, struct file *file);

#endif
