/* Layers and picture numbers of a payload, whatever its codec.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_WIRE_PAYLOAD_H
#define RH_WIRE_PAYLOAD_H

#include "wire/packet.h"

/* Reads the payload descriptor (VP8, VP9), the NAL headers (H.264) or the aggregation header and
 * the dependency descriptor (AV1) of a parsed packet into packet->layer. A dependency descriptor
 * of another codec is struck from packet->elements: its frame numbers are not kept continuous, so
 * it must not be forwarded.
 *
 * bytes   the packet's, in clear; any payload is accepted
 * packet  of rh_packet_parse_rest; layer is changed only on RH_OK
 * Returns RH_OK at once for Opus and for an empty payload (padding only: layer as for a codec
 * without layers); RH_TRUNCATED, RH_MALFORMED or RH_UNSUPPORTED of the codec's parser. */
enum rh_result rh_payload_parse(
    enum rh_codec codec, const uint8_t *bytes, struct rh_packet *packet);

/* Makes 7-bit picture ids of one stream continue to 15 bits, so that all that comes after sees
 * one width. 15-bit ids and the numbers of other codecs pass. Owner: an encoding. */
struct rh_picture_ids {
    uint16_t highest; /* 15 bits */
    bool started;
};

/* Replaces a 7-bit layer->picture_id by the 15-bit number nearest to the highest of this stream.
 * Call once a packet, right after rh_payload_parse. picture_id_bytes still says what the payload
 * has. */
void rh_picture_ids_extend(struct rh_picture_ids *ids, struct rh_layer_info *layer);

#endif
