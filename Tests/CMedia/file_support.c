/* Files for the reader tests. SPDX-License-Identifier: Apache-2.0 */
#include "file_support.h"

#include <opus/opus.h>
#include <string.h>

enum { OGG_HEADER_BYTES = 27, PACKETS_A_PAGE = 9, SERIAL = 77 };

void put(struct file *file, const void *bytes, size_t size)
{
    assert_true(file->size + size <= FILE_BYTES_MAX);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

void put_little(struct file *file, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put(file, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

void write_ivf(const struct rh_clip *clip, struct file *file)
{
    static struct assembly assembly;
    file->size = 0;
    put(file, "DKIF", 4);
    put_little(file, 0, 2);
    put_little(file, 32, 2);
    put(file, clip->codec == RH_CLIP_VP8 ? "VP80" : "VP90", 4);
    put_little(file, clip->width, 2);
    put_little(file, clip->height, 2);
    put_little(file, 30, 4);
    put_little(file, 1, 4);
    put_little(file, clip->frame_count, 4);
    put_little(file, 0, 4);
    struct rh_clip_cursor at = rh_clip_start(clip, 0);
    for (uint32_t i = 0; i < clip->frame_count; i++, rh_clip_advance(clip, &at)) {
        assemble(clip, &at, 0, &assembly);
        const struct rh_clip_frame *frame = &clip->frames[i];
        size_t size = assembly.size - frame->packets[frame->packet_count - 1].spare_bytes;
        put_little(file, size, 4);
        put_little(file, i + 7, 8);
        put(file, assembly.bytes, size);
    }
}

/* Bit by bit, unlike the reader's table. */
static uint32_t ogg_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)bytes[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
    }
    return crc;
}

void write_ogg_page(struct file *file, const struct ogg_page *page)
{
    size_t start = file->size, data_bytes = 0;
    put(file, "OggS", 5); /* with its zero: version 0 */
    put(file, &page->type, 1);
    put_little(file, 0, 8);
    put_little(file, page->serial, 4);
    put_little(file, page->sequence, 4);
    put_little(file, 0, 4);
    put(file, &page->segment_count, 1);
    put(file, page->segments, page->segment_count);
    for (int i = 0; i < page->segment_count; i++)
        data_bytes += page->segments[i];
    put(file, page->data, data_bytes);
    uint32_t crc = ogg_crc(file->bytes + start, file->size - start);
    for (int i = 0; i < 4; i++)
        file->bytes[start + 22 + (size_t)i] = (uint8_t)(crc >> 8 * i);
}

uint16_t unpad(const struct rh_clip_packet *packet, uint8_t *out)
{
    memcpy(out, packet->payload, packet->size);
    opus_int32 size = opus_packet_unpad(out, packet->size);
    assert_in_range(size, 1, packet->size);
    return (uint16_t)size;
}

static void write_headers(const struct rh_clip *clip, struct file *file)
{
    uint8_t head[19] = {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, clip->channels, 0x38, 1,
                        0x80, 0xbb};
    uint8_t head_size = sizeof head, tags_size = 16;
    write_ogg_page(file, &(struct ogg_page){2, SERIAL, 0, &head_size, 1, head});
    write_ogg_page(file, &(struct ogg_page){
        0, SERIAL, 1, &tags_size, 1, (const uint8_t *)"OpusTags\0\0\0\0\0\0\0"});
}

void write_ogg(const struct rh_clip *clip, struct file *file)
{
    file->size = 0;
    write_headers(clip, file);
    uint8_t segments[255], data[255 * 255];
    uint8_t count = 0;
    size_t size = 0;
    uint32_t sequence = 2;
    for (uint32_t i = 0; i < clip->packet_count; i++) {
        uint16_t bytes = unpad(&clip->frames[0].packets[i], data + size);
        for (uint32_t left = bytes + 1u; left > 0;) {
            uint8_t segment = left > 255 ? 255 : (uint8_t)(left - 1);
            segments[count++] = segment;
            left = left > 255 ? left - 255 : 0;
        }
        size += bytes;
        if (i % PACKETS_A_PAGE == PACKETS_A_PAGE - 1 || i + 1 == clip->packet_count) {
            write_ogg_page(file, &(struct ogg_page){0, SERIAL, sequence++, segments, count, data});
            count = 0;
            size = 0;
        }
    }
}
