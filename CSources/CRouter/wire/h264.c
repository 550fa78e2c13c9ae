/* H.264 payloads: where decoding can start. SPDX-License-Identifier: Apache-2.0 */
#include "wire/h264.h"

#include "wire/bytes.h"

enum {
    UNIT_TYPE = 0x1f,
    IDR_SLICE = 5, PARAMETER_SET = 7, SINGLE_LAST = 23, STAP_A = 24, FU_A = 28,
    BEGINS_UNIT = 0x80, ENDS_UNIT = 0x40, /* FU header, section 5.8 */
    FIRST_SLICE = 0x80, /* first_mb_in_slice is 0: ue(v) of one bit (ITU-T H.264 section 7.3.3) */
};

/* An SPS or the first slice of an IDR picture. after: the byte behind the unit's header. */
static bool begins_keyframe(uint8_t type, uint8_t after)
{
    return type == PARAMETER_SET || (type == IDR_SLICE && (after & FIRST_SLICE));
}

static enum rh_result parse_aggregate(const uint8_t *payload, size_t size, bool *is_keyframe)
{
    size_t at = 1;
    if (at == size)
        return RH_MALFORMED;
    while (at < size) {
        if (size - at < 2)
            return RH_TRUNCATED;
        size_t unit_bytes = rh_get16(payload + at);
        at += 2;
        if (unit_bytes == 0)
            return RH_MALFORMED;
        if (unit_bytes > size - at)
            return RH_TRUNCATED;
        uint8_t after = unit_bytes > 1 ? payload[at + 1] : 0;
        *is_keyframe = *is_keyframe || begins_keyframe(payload[at] & UNIT_TYPE, after);
        at += unit_bytes;
    }
    return RH_OK;
}

static enum rh_result parse_fragment(const uint8_t *payload, size_t size, bool *is_keyframe)
{
    if (size < 3)
        return RH_TRUNCATED;
    uint8_t head = payload[1];
    if ((head & BEGINS_UNIT) && (head & ENDS_UNIT))
        return RH_MALFORMED;
    *is_keyframe = (head & BEGINS_UNIT) && begins_keyframe(head & UNIT_TYPE, payload[2]);
    return RH_OK;
}

enum rh_result rh_h264_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info)
{
    if (size == 0)
        return RH_TRUNCATED;
    uint8_t type = payload[0] & UNIT_TYPE;
    bool is_keyframe = false;
    enum rh_result result = RH_OK;
    if (type >= 1 && type <= SINGLE_LAST)
        is_keyframe = begins_keyframe(type, size > 1 ? payload[1] : 0);
    else if (type == STAP_A)
        result = parse_aggregate(payload, size, &is_keyframe);
    else if (type == FU_A)
        result = parse_fragment(payload, size, &is_keyframe);
    else
        result = RH_UNSUPPORTED;
    if (result != RH_OK)
        return result;
    *info = (struct rh_layer_info){
        .picture_id = -1,
        .keyframe = is_keyframe,
        .frame_start = is_keyframe,
        .frame_end = marker,
    };
    return RH_OK;
}
