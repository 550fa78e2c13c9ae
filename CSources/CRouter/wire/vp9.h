/* VP9 payload descriptors (RFC 9628 section 4.2). SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_WIRE_VP9_H
#define RH_WIRE_VP9_H

#include "wire/packet.h"

/* Reads one payload descriptor: flexible and non-flexible mode, reference indices and scalability
 * structure included. keyframe: B of spatial layer 0 with P = 0.
 *
 * payload, size  bytes after the RTP header, without padding
 * info           out; written only on RH_OK
 * Returns RH_TRUNCATED, or RH_MALFORMED for a fourth reference index. Accepts any bytes. */
enum rh_result rh_vp9_parse(const uint8_t *payload, size_t size, struct rh_layer_info *info);

#endif
