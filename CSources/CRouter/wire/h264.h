/* H.264 payloads (RFC 6184) as far as forwarding needs them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_WIRE_H264_H
#define RH_WIRE_H264_H

#include "wire/packet.h"

/* Finds out whether a payload begins a picture from which decoding can start: an SPS or an IDR
 * slice in a single NAL unit (section 5.6), in STAP-A (5.7.1) or beginning in FU-A (5.8). SPS,
 * PPS and IDR of one picture may come in packets of their own, so the first of them counts; later
 * ones of the same timestamp are reported too.
 *
 * payload, size  bytes after the RTP header, without padding
 * marker         of the RTP header: the picture's last packet
 * info           out; written only on RH_OK
 * Returns RH_TRUNCATED; RH_MALFORMED for a STAP-A without a unit or an FU-A with both S and E;
 * RH_UNSUPPORTED for types of the interleaved mode and undefined ones. Accepts any bytes. */
enum rh_result rh_h264_parse(
    const uint8_t *payload, size_t size, bool marker, struct rh_layer_info *info);

#endif
