/* What the payload targets share. SPDX-License-Identifier: Apache-2.0
 *
 * The first byte chooses marker (bit 0) and the bytes of a dependency descriptor before the payload
 * (bits 1 to 7, 0: none); the rest is descriptor and payload. */
#ifndef RH_FUZZ_PAYLOAD_TARGET_H
#define RH_FUZZ_PAYLOAD_TARGET_H

#include <string.h>

#include "select/rewrite.h"
#include "wire/assert.h"
#include "wire/payload.h"

static inline void fuzz_payload(enum rh_codec codec, const uint8_t *bytes, size_t size)
{
    if (size == 0 || size > UINT16_MAX)
        return;
    size_t descriptor_bytes = bytes[0] >> 1;
    size_t offset = 1 + descriptor_bytes;
    if (offset > size)
        return;
    struct rh_packet packet = {
        .marker = bytes[0] & 1, .header_bytes = (uint16_t)offset,
        .payload_offset = (uint16_t)offset, .payload_bytes = (uint16_t)(size - offset),
        .layer.picture_id = -1};
    if (descriptor_bytes != 0)
        packet.elements[RH_ELEMENT_DEPENDENCY_DESCRIPTOR] =
            (struct rh_element){1, (uint16_t)descriptor_bytes};
    struct rh_picture_ids ids = {.highest = 77, .started = true};
    if (rh_payload_parse(codec, bytes, &packet) != RH_OK)
        return;
    const struct rh_layer_info *layer = &packet.layer;
    RH_ASSERT(layer->picture_id >= -1 && layer->picture_id <= UINT16_MAX);
    RH_ASSERT(layer->picture_id_offset + layer->picture_id_bytes <= packet.payload_bytes);
    RH_ASSERT(layer->tl0_offset <= packet.payload_bytes);
    RH_ASSERT(layer->spatial < 8 && layer->temporal < 8);
    rh_picture_ids_extend(&ids, &packet.layer);
    struct rh_rewrite_run run = {.picture_id_offset = 300, .tl0_offset = 9};
    static uint8_t payload[UINT16_MAX + 8], out[UINT16_MAX + 1];
    memcpy(payload, bytes + offset, packet.payload_bytes);
    struct rh_patch patch = rh_rewrite_patch(&run, layer, payload);
    size_t written = rh_patch_apply(&patch, payload, packet.payload_bytes, out);
    RH_ASSERT(written == packet.payload_bytes + (size_t)patch.count - patch.skip);
    if (patch.skip == 0)
        return;
    struct rh_packet again = packet;
    again.payload_offset = 0;
    again.payload_bytes = (uint16_t)written;
    RH_ASSERT(rh_payload_parse(codec, out, &again) == RH_OK);
    RH_ASSERT(again.layer.temporal == layer->temporal);
    RH_ASSERT(again.layer.keyframe == layer->keyframe);
    if (layer->picture_id_bytes != 0)
        RH_ASSERT(again.layer.picture_id == ((layer->picture_id + 300) & 0x7fff));
}

#endif
