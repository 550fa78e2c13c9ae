/* VP8 payload descriptors (RFC 7741 section 4.2). SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_WIRE_VP8_H
#define RH_WIRE_VP8_H

#include "wire/packet.h"

/* Reads one payload descriptor and, in a frame's first packet, the P bit of the VP8 payload header
 * (section 4.3).
 *
 * payload, size  bytes after the RTP header, without padding
 * marker         of the RTP header: the frame's last packet
 * info           out; written only on RH_OK
 * Returns RH_TRUNCATED. Reserved bits are ignored. Accepts any bytes. */
enum rh_result rh_vp8_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info);

#endif
