/* Ogg Opus files (RFC 3533, RFC 7845). SPDX-License-Identifier: Apache-2.0
 *
 * Pages are checked (CRC, order) and their segments joined into packets: an identification header,
 * a comment header, then one Opus packet each. Pages of other logical streams are passed over. */
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

#include "little.h"
#include "opus_frame.h"

enum {
    CLOCK_HZ = 48000,
    PAGE_HEADER_BYTES = 27, SEGMENT_BYTES_MAX = 255,
    IS_CONTINUED = 0x01, IS_FIRST = 0x02, /* header type, RFC 3533 section 6 */
    IDENTIFICATION_BYTES = 19,            /* RFC 7845 section 5.1 */
    PACKET_SAMPLES_MAX = 5760,            /* 120 ms */
    PACKET_BYTES_KEPT = RH_CLIP_PAYLOAD_BYTES_MAX,
};

/* A file being read. Owner: rh_clip_read_ogg_opus. */
struct ogg {
    const uint8_t *bytes;
    size_t size, at; /* at: the page being read */
    struct rh_clip_error *error;
    struct rh_clip_builder builder;
    OpusDecoder *decoder;
    uint32_t crc_table[256];
    uint32_t serial, next_page, packets; /* packets: complete ones */
    bool has_serial;
    bool is_inside;      /* a packet goes on in the next page */
    size_t packet_bytes; /* of the packet being joined, kept or not */
    uint8_t packet[PACKET_BYTES_KEPT];
    uint64_t timestamp;
    int16_t samples[PACKET_SAMPLES_MAX * 2];
};

/* A page header and the places of what follows it. */
struct page {
    uint32_t serial, sequence;
    uint8_t type, segments;
    const uint8_t *sizes, *data;
    size_t bytes;
};

static void fill_crc_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7 : 0);
        table[i] = crc;
    }
}

/* The CRC of a page with its own field taken as zero (RFC 3533 section 6). */
static uint32_t crc_of(const struct ogg *ogg, const uint8_t *page, size_t size)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = i >= 22 && i < 26 ? 0 : page[i];
        crc = crc << 8 ^ ogg->crc_table[crc >> 24 ^ byte];
    }
    return crc;
}

static bool read_page_header(const struct ogg *ogg, struct page *page)
{
    const uint8_t *header = ogg->bytes + ogg->at;
    size_t left = ogg->size - ogg->at;
    if (left < PAGE_HEADER_BYTES || memcmp(header, "OggS", 4) != 0 || header[4] != 0)
        return rh_clip_fail(ogg->error, "byte %zu: no Ogg page", ogg->at), false;
    *page = (struct page){
        .type = header[5], .serial = rh_little32(header + 14),
        .sequence = rh_little32(header + 18), .segments = header[26],
        .sizes = header + PAGE_HEADER_BYTES};
    page->bytes = PAGE_HEADER_BYTES + (size_t)page->segments;
    if (page->bytes <= left)
        for (int i = 0; i < page->segments; i++)
            page->bytes += page->sizes[i];
    if (page->bytes > left)
        return rh_clip_fail(ogg->error, "byte %zu: the file ends inside an Ogg page", ogg->at),
               false;
    page->data = page->sizes + page->segments;
    if (crc_of(ogg, header, page->bytes) != rh_little32(header + 22))
        return rh_clip_fail(ogg->error, "byte %zu: the Ogg page's checksum is wrong", ogg->at),
               false;
    return true;
}

static bool read_identification(struct ogg *ogg)
{
    const uint8_t *head = ogg->packet;
    if (ogg->packet_bytes < IDENTIFICATION_BYTES || memcmp(head, "OpusHead", 8) != 0
        || head[8] >> 4 != 0)
        return rh_clip_fail(ogg->error, "byte %zu: the first Ogg stream is not Opus", ogg->at),
               false;
    uint8_t channels = head[9], mapping = head[18];
    if (mapping != 0 || channels < 1 || channels > 2)
        return rh_clip_fail(ogg->error, "byte %zu: %u channels in mapping family %u: only mono and "
                            "stereo can be sent", ogg->at, channels, mapping), false;
    int status = OPUS_OK;
    ogg->decoder = opus_decoder_create(CLOCK_HZ, channels, &status);
    if (status != OPUS_OK)
        return rh_clip_fail(ogg->error, "libopus refused to open: %s", opus_strerror(status)),
               false;
    ogg->builder.clip = (struct rh_clip){
        .codec = RH_CLIP_OPUS, .spatial_layers = 1, .temporal_layers = 1, .channels = channels,
        .clock_hz = CLOCK_HZ};
    return true;
}

static bool read_audio(struct ogg *ogg)
{
    uint32_t index = ogg->builder.clip.frame_count;
    if (ogg->packet_bytes == 0 || ogg->packet_bytes > RH_CLIP_PAYLOAD_BYTES_MAX)
        return rh_clip_fail(ogg->error, "byte %zu: Opus packet %u has %zu bytes, from 1 to %d can "
                            "be sent", ogg->at, index, ogg->packet_bytes,
                            RH_CLIP_PAYLOAD_BYTES_MAX), false;
    int samples = opus_decode(ogg->decoder, ogg->packet, (opus_int32)ogg->packet_bytes,
                              ogg->samples, PACKET_SAMPLES_MAX, 0);
    if (samples <= 0)
        return rh_clip_fail(ogg->error, "byte %zu: packet %u is not Opus: %s", ogg->at, index,
                            opus_strerror(samples)), false;
    if (index == RH_CLIP_FRAMES_MAX)
        return rh_clip_fail(ogg->error, "byte %zu: more than %d packets", ogg->at,
                            RH_CLIP_FRAMES_MAX), false;
    size_t values = (size_t)samples * ogg->builder.clip.channels;
    struct rh_clip_sound_frame sound = {
        .packet = ogg->packet, .size = (uint16_t)ogg->packet_bytes,
        .timestamp = (uint32_t)ogg->timestamp, .level = rh_clip_level(ogg->samples, values),
        .marker = index == 0};
    ogg->timestamp += (uint64_t)samples;
    return rh_clip_append_sound(&ogg->builder, &sound, ogg->error);
}

/* Takes a complete packet by its place in the stream (RFC 7845 section 3). */
static bool read_packet(struct ogg *ogg)
{
    uint32_t place = ogg->packets++;
    if (place == 0)
        return read_identification(ogg);
    if (place > 1)
        return read_audio(ogg);
    if (ogg->packet_bytes < 8 || memcmp(ogg->packet, "OpusTags", 8) != 0)
        return rh_clip_fail(ogg->error, "byte %zu: the second Ogg packet is no comment header",
                            ogg->at), false;
    return true;
}

/* Joins a page's segments: a packet ends with the first one below 255 bytes. */
static bool read_segments(struct ogg *ogg, const struct page *page)
{
    const uint8_t *data = page->data;
    for (int i = 0; i < page->segments; i++) {
        size_t bytes = page->sizes[i];
        if (ogg->packet_bytes + bytes <= PACKET_BYTES_KEPT)
            memcpy(ogg->packet + ogg->packet_bytes, data, bytes);
        ogg->packet_bytes += bytes;
        data += bytes;
        ogg->is_inside = bytes == SEGMENT_BYTES_MAX;
        if (ogg->is_inside)
            continue;
        if (!read_packet(ogg))
            return false;
        ogg->packet_bytes = 0;
    }
    return true;
}

static bool read_page(struct ogg *ogg)
{
    struct page page;
    if (!read_page_header(ogg, &page))
        return false;
    if (!ogg->has_serial) {
        if (!(page.type & IS_FIRST))
            return rh_clip_fail(ogg->error, "byte 0: the Ogg stream does not begin here"), false;
        ogg->serial = page.serial;
        ogg->next_page = page.sequence;
        ogg->has_serial = true;
    }
    if (page.serial == ogg->serial) {
        if (page.sequence != ogg->next_page++)
            return rh_clip_fail(ogg->error, "byte %zu: Ogg page %u where page %u belongs", ogg->at,
                                page.sequence, ogg->next_page - 1), false;
        if (((page.type & IS_CONTINUED) != 0) != ogg->is_inside)
            return rh_clip_fail(ogg->error, "byte %zu: the Ogg page does not continue the packet "
                                "before it", ogg->at), false;
        if (!read_segments(ogg, &page))
            return false;
    }
    ogg->at += page.bytes;
    return true;
}

struct rh_clip *rh_clip_read_ogg_opus(
    const uint8_t *bytes, size_t size, struct rh_clip_error *error)
{
    struct ogg *ogg = calloc(1, sizeof *ogg);
    if (ogg == NULL)
        return rh_clip_fail(error, "not enough memory to read the file");
    ogg->bytes = bytes;
    ogg->size = size;
    ogg->error = error;
    fill_crc_table(ogg->crc_table);
    bool is_good = size != 0;
    if (!is_good)
        rh_clip_fail(error, "byte 0: no Ogg page");
    while (is_good && ogg->at < size)
        is_good = read_page(ogg);
    if (is_good && ogg->is_inside)
        is_good = rh_clip_fail(error, "byte %zu: the file ends inside a packet", size) != NULL;
    struct rh_clip *clip = NULL;
    if (is_good) {
        ogg->builder.clip.duration = (uint32_t)ogg->timestamp;
        clip = rh_clip_builder_finish(&ogg->builder, error);
    }
    rh_clip_builder_discard(&ogg->builder);
    if (ogg->decoder != NULL)
        opus_decoder_destroy(ogg->decoder);
    free(ogg);
    return clip;
}
