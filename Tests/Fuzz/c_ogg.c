/* Any bytes as pages of an Ogg Opus file. SPDX-License-Identifier: Apache-2.0
 *
 * Each input is read twice: as it is, and with the checksum of each page put right, so that more
 * than the first check is reached. */
// Fuzz-Sources: CSources/CMedia
// Fuzz-Libraries: vpx opus
#include <string.h>

#include "clip_target.h"

enum { HEADER_BYTES = 27, CRC_AT = 22 };

/* Corrects the checksum of the page at `at`. Returns where the next one begins. */
static size_t correct_page(uint8_t *bytes, size_t size, size_t at)
{
    uint8_t *page = bytes + at;
    if (size - at < HEADER_BYTES || memcmp(page, "OggS", 4) != 0)
        return size;
    size_t page_bytes = HEADER_BYTES + (size_t)page[26];
    if (page_bytes > size - at)
        return size;
    for (int i = 0; i < page[26]; i++)
        page_bytes += page[HEADER_BYTES + i];
    if (page_bytes > size - at)
        return size;
    memset(page + CRC_AT, 0, 4);
    uint32_t crc = 0;
    for (size_t i = 0; i < page_bytes; i++) {
        crc ^= (uint32_t)page[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
    }
    for (int i = 0; i < 4; i++)
        page[CRC_AT + i] = (uint8_t)(crc >> 8 * i);
    return at + page_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rh_clip_error error = {""};
    fuzz_clip(rh_clip_read_ogg_opus(bytes, size, &error), &error);
    if (size == 0)
        return 0;
    uint8_t *corrected = malloc(size);
    if (corrected == NULL)
        return 0;
    memcpy(corrected, bytes, size);
    for (size_t at = 0; at < size;)
        at = correct_page(corrected, size, at);
    error.text[0] = 0;
    fuzz_clip(rh_clip_read_ogg_opus(corrected, size, &error), &error);
    free(corrected);
    return 0;
}
