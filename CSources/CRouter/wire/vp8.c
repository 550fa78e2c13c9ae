/* VP8 payload descriptors. SPDX-License-Identifier: Apache-2.0 */
#include "wire/vp8.h"

#include "wire/bytes.h"

enum {
    /* First byte (RFC 7741 section 4.2). */
    HAS_EXTENSION = 0x80, IS_UNREFERENCED = 0x20, BEGINS_PARTITION = 0x10, PARTITION = 0x07,
    /* Extension byte. */
    HAS_PICTURE_ID = 0x80, HAS_TL0 = 0x40, HAS_TEMPORAL = 0x20, HAS_KEY_INDEX = 0x10,
    IS_LONG_ID = 0x80,
    IS_LAYER_SYNC = 0x20,
    IS_INTER_FRAME = 0x01, /* P of the payload header, section 4.3 */
};

/* Reads what follows the extension byte. Returns the descriptor's bytes, 0 when size ends first. */
static size_t parse_extension(const uint8_t *payload, size_t size, struct rh_layer_info *info)
{
    if (size < 2)
        return 0;
    uint8_t extension = payload[1];
    size_t at = 2;
    if (extension & HAS_PICTURE_ID) {
        if (at >= size)
            return 0;
        bool is_long = (payload[at] & IS_LONG_ID) != 0;
        if (is_long && at + 1 >= size)
            return 0;
        info->picture_id = is_long ? rh_get16(payload + at) & 0x7fff : payload[at];
        info->picture_id_offset = (uint8_t)at;
        info->picture_id_bytes = is_long ? 2 : 1;
        at += info->picture_id_bytes;
    }
    if (extension & HAS_TL0) {
        if (at >= size)
            return 0;
        info->tl0_offset = (uint8_t)at;
        info->tl0_pic_idx = payload[at++];
    }
    if (extension & (HAS_TEMPORAL | HAS_KEY_INDEX)) {
        if (at >= size)
            return 0;
        if (extension & HAS_TEMPORAL) {
            info->temporal = payload[at] >> 6;
            info->switch_up = (payload[at] & IS_LAYER_SYNC) != 0;
        }
        at++;
    }
    return at;
}

enum rh_result rh_vp8_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info)
{
    if (size == 0)
        return RH_TRUNCATED;
    struct rh_layer_info found = {
        .picture_id = -1,
        .frame_start = (payload[0] & (BEGINS_PARTITION | PARTITION)) == BEGINS_PARTITION,
        .frame_end = marker,
        .discardable = (payload[0] & IS_UNREFERENCED) != 0,
        .is_dense = true,
    };
    size_t at = payload[0] & HAS_EXTENSION ? parse_extension(payload, size, &found) : 1;
    if (at == 0 || at >= size)
        return RH_TRUNCATED;
    found.descriptor_bytes = (uint8_t)at;
    found.keyframe = found.frame_start && !(payload[at] & IS_INTER_FRAME);
    *info = found;
    return RH_OK;
}
