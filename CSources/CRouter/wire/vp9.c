/* VP9 payload descriptors. SPDX-License-Identifier: Apache-2.0 */
#include "wire/vp9.h"

#include "wire/bytes.h"

enum {
    /* First byte (RFC 9628 section 4.2). */
    HAS_PICTURE_ID = 0x80, IS_PREDICTED = 0x40, HAS_LAYERS = 0x20, IS_FLEXIBLE = 0x10,
    BEGINS_FRAME = 0x08, ENDS_FRAME = 0x04, HAS_STRUCTURE = 0x02, IS_NOT_UPPER_REFERENCE = 0x01,
    IS_LONG_ID = 0x80,
    IS_SWITCHING_POINT = 0x10, IS_INTER_LAYER = 0x01, /* layer indices */
    HAS_MORE_REFERENCES = 0x01,                       /* N of a reference index */
    HAS_SIZES = 0x10, HAS_GROUP = 0x08,               /* scalability structure */
    REFERENCES_MAX = 3,
};

/* The functions below read the part that begins at *at and advance it. */

static enum rh_result parse_picture_id(
    const uint8_t *payload, size_t size, size_t *at, struct rh_layer_info *info)
{
    if (*at >= size)
        return RH_TRUNCATED;
    bool is_long = (payload[*at] & IS_LONG_ID) != 0;
    if (is_long && *at + 1 >= size)
        return RH_TRUNCATED;
    info->picture_id = is_long ? rh_get16(payload + *at) & 0x7fff : payload[*at];
    info->picture_id_offset = (uint8_t)*at;
    info->picture_id_bytes = is_long ? 2 : 1;
    *at += info->picture_id_bytes;
    return RH_OK;
}

static enum rh_result parse_layers(
    const uint8_t *payload, size_t size, size_t *at, struct rh_layer_info *info)
{
    bool is_flexible = (payload[0] & IS_FLEXIBLE) != 0;
    if (*at + (is_flexible ? 1 : 2) > size)
        return RH_TRUNCATED;
    uint8_t indices = payload[(*at)++];
    info->temporal = indices >> 5;
    info->spatial = indices >> 1 & 7;
    info->switch_up = (indices & IS_SWITCHING_POINT) != 0;
    info->inter_layer = (indices & IS_INTER_LAYER) != 0;
    if (!is_flexible) {
        info->tl0_offset = (uint8_t)*at;
        info->tl0_pic_idx = payload[(*at)++];
    }
    return RH_OK;
}

static enum rh_result skip_references(const uint8_t *payload, size_t size, size_t *at)
{
    for (int count = 0; count < REFERENCES_MAX; count++) {
        if (*at >= size)
            return RH_TRUNCATED;
        if (!(payload[(*at)++] & HAS_MORE_REFERENCES))
            return RH_OK;
    }
    return RH_MALFORMED;
}

static enum rh_result parse_structure(
    const uint8_t *payload, size_t size, size_t *at, struct rh_layer_info *info)
{
    if (*at >= size)
        return RH_TRUNCATED;
    uint8_t head = payload[(*at)++];
    info->spatial_count = (uint8_t)((head >> 5) + 1);
    if (head & HAS_SIZES)
        *at += 4u * info->spatial_count;
    if (head & HAS_GROUP) {
        if (*at >= size)
            return RH_TRUNCATED;
        for (uint8_t pictures = payload[(*at)++]; pictures > 0; pictures--) {
            if (*at >= size)
                return RH_TRUNCATED;
            *at += 1u + (payload[*at] >> 2 & 3);
        }
    }
    return *at <= size ? RH_OK : RH_TRUNCATED;
}

enum rh_result rh_vp9_parse(const uint8_t *payload, size_t size, struct rh_layer_info *info)
{
    if (size == 0)
        return RH_TRUNCATED;
    uint8_t head = payload[0];
    struct rh_layer_info found = {
        .picture_id = -1,
        .frame_start = (head & BEGINS_FRAME) != 0,
        .frame_end = (head & ENDS_FRAME) != 0,
        .independent = !(head & IS_PREDICTED),
        .discardable = (head & IS_NOT_UPPER_REFERENCE) != 0,
    };
    size_t at = 1;
    enum rh_result result = RH_OK;
    if (head & HAS_PICTURE_ID)
        result = parse_picture_id(payload, size, &at, &found);
    if (result == RH_OK && (head & HAS_LAYERS))
        result = parse_layers(payload, size, &at, &found);
    if (result == RH_OK && (head & IS_FLEXIBLE) && (head & IS_PREDICTED))
        result = skip_references(payload, size, &at);
    if (result == RH_OK && (head & HAS_STRUCTURE))
        result = parse_structure(payload, size, &at, &found);
    if (result != RH_OK)
        return result;
    if (at >= size)
        return RH_TRUNCATED;
    found.descriptor_bytes = at < 255 ? (uint8_t)at : 255;
    found.keyframe = found.frame_start && found.independent && found.spatial == 0;
    *info = found;
    return RH_OK;
}
