/* AV1 payloads and the dependency descriptor. SPDX-License-Identifier: Apache-2.0
 *
 * RTP Payload Format For AV1 version 1.0: aggregation header (section 4.4), dependency descriptor
 * header extension (appendix A.8). Templates are not evaluated: every packet has layer 0. */
#ifndef RH_WIRE_AV1_H
#define RH_WIRE_AV1_H

#include "wire/packet.h"

/* The mandatory fields of a dependency descriptor and whether a structure follows. */
struct rh_dependency_descriptor {
    uint16_t frame_number;
    uint8_t template_id; /* 6 bits */
    bool start_of_frame, end_of_frame;
    bool has_structure;  /* template_dependency_structure_present_flag: a key picture */
};

/* Reads the fields of a dependency descriptor element.
 *
 * out is written only on RH_OK. Returns RH_TRUNCATED below 3 bytes, RH_MALFORMED when a structure
 * begins anywhere but in a frame's first packet. Accepts any bytes. */
enum rh_result rh_dependency_descriptor_parse(
    const uint8_t *bytes, size_t size, struct rh_dependency_descriptor *out);

/* Reads the aggregation header. keyframe: N, a coded video sequence begins.
 *
 * payload, size  bytes after the RTP header, without padding
 * marker         of the RTP header: the temporal unit's last packet
 * info           out; written only on RH_OK
 * Returns RH_TRUNCATED; RH_MALFORMED when N and Z are both set (section 4.4). Accepts any bytes. */
enum rh_result rh_av1_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info);

#endif
