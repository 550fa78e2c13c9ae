/* One parser for each codec, and picture ids of one width. SPDX-License-Identifier: Apache-2.0 */
#include "wire/payload.h"

#include "wire/av1.h"
#include "wire/h264.h"
#include "wire/vp8.h"
#include "wire/vp9.h"

/* The descriptor tells more than the payload does, and tells it for encrypted payloads too. */
static enum rh_result parse_av1(const uint8_t *bytes, struct rh_packet *packet)
{
    const struct rh_element *element = &packet->elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR];
    if (element->offset == 0)
        return rh_av1_parse(
            bytes + packet->payload_offset, packet->payload_bytes, packet->marker, &packet->layer);
    struct rh_dependency_descriptor descriptor;
    enum rh_result result =
        rh_dependency_descriptor_parse(bytes + element->offset, element->bytes, &descriptor);
    if (result != RH_OK)
        return result;
    packet->layer = (struct rh_layer_info){
        .picture_id = descriptor.frame_number,
        .keyframe = descriptor.has_structure,
        .frame_start = descriptor.start_of_frame,
        .frame_end = descriptor.end_of_frame,
    };
    return RH_OK;
}

enum rh_result rh_payload_parse(
    enum rh_codec codec, const uint8_t *bytes, struct rh_packet *packet)
{
    if (codec != RH_CODEC_AV1)
        packet->elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR] = (struct rh_element){0};
    if (packet->payload_bytes == 0)
        return RH_OK;
    const uint8_t *payload = bytes + packet->payload_offset;
    size_t size = packet->payload_bytes;
    switch (codec) {
    case RH_CODEC_VP8:
        return rh_vp8_parse(payload, size, packet->marker, &packet->layer);
    case RH_CODEC_VP9:
        return rh_vp9_parse(payload, size, &packet->layer);
    case RH_CODEC_H264:
        return rh_h264_parse(payload, size, packet->marker, &packet->layer);
    case RH_CODEC_AV1:
        return parse_av1(bytes, packet);
    case RH_CODEC_OPUS:
        return RH_OK;
    case RH_CODEC_NONE:
        break;
    }
    return RH_UNSUPPORTED;
}

void rh_picture_ids_extend(struct rh_picture_ids *ids, struct rh_layer_info *layer)
{
    if (layer->picture_id_bytes == 0)
        return;
    uint16_t id = (uint16_t)layer->picture_id;
    if (!ids->started) {
        *ids = (struct rh_picture_ids){.highest = id, .started = true};
        return;
    }
    if (layer->picture_id_bytes == 1) {
        int step = (int8_t)(uint8_t)((uint32_t)(id - ids->highest) << 1) / 2;
        id = (uint16_t)(ids->highest + step) & 0x7fff;
        layer->picture_id = id;
    }
    int16_t step = (int16_t)(uint16_t)((uint32_t)(id - ids->highest) << 1);
    if (step > 0)
        ids->highest = id;
}
