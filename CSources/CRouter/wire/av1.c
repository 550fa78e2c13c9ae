/* AV1 aggregation header and dependency descriptor. SPDX-License-Identifier: Apache-2.0 */
#include "wire/av1.h"

#include "wire/bytes.h"

enum {
    CONTINUES_UNIT = 0x80, BEGINS_SEQUENCE = 0x08, /* Z, N: section 4.4 */
    MANDATORY_BYTES = 3,
    STARTS_FRAME = 0x80, ENDS_FRAME = 0x40, TEMPLATE = 0x3f, /* appendix A.8.2 */
    HAS_STRUCTURE = 0x80, /* first bit of the extended fields */
};

enum rh_result rh_dependency_descriptor_parse(
    const uint8_t *bytes, size_t size, struct rh_dependency_descriptor *out)
{
    if (size < MANDATORY_BYTES)
        return RH_TRUNCATED;
    bool has_structure = size > MANDATORY_BYTES && (bytes[3] & HAS_STRUCTURE);
    if (has_structure && !(bytes[0] & STARTS_FRAME))
        return RH_MALFORMED;
    *out = (struct rh_dependency_descriptor){
        .frame_number = rh_get16(bytes + 1),
        .template_id = bytes[0] & TEMPLATE,
        .start_of_frame = (bytes[0] & STARTS_FRAME) != 0,
        .end_of_frame = (bytes[0] & ENDS_FRAME) != 0,
        .has_structure = has_structure,
    };
    return RH_OK;
}

enum rh_result rh_av1_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info)
{
    if (size < 2)
        return RH_TRUNCATED;
    bool is_continued = (payload[0] & CONTINUES_UNIT) != 0;
    bool begins_sequence = (payload[0] & BEGINS_SEQUENCE) != 0;
    if (begins_sequence && is_continued)
        return RH_MALFORMED;
    *info = (struct rh_layer_info){
        .picture_id = -1,
        .keyframe = begins_sequence,
        .frame_start = !is_continued,
        .frame_end = marker,
        .descriptor_bytes = 1,
    };
    return RH_OK;
}
