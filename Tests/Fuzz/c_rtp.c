/* Any datagram as an RTP packet; what was parsed is written for a subscriber and parsed again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/assert.h"
#include "wire/demux.h"
#include "wire/packet.h"

static const struct rh_extension_ids ids = {
    .mid = 4, .rid = 10, .repaired_rid = 11, .abs_send_time = 2, .transport_seq = 3,
    .audio_level = 1, .dependency_descriptor = 12, .video_orientation = 13,
};

static void check_bounds(const struct rh_packet *packet, size_t size)
{
    RH_ASSERT(packet->header_bytes <= size);
    RH_ASSERT((size_t)packet->payload_offset + packet->payload_bytes + packet->padding_bytes
              == size);
    for (int kind = 1; kind < RH_ELEMENT_KINDS; kind++)
        RH_ASSERT(packet->elements[kind].offset + packet->elements[kind].bytes
                  <= packet->header_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rh_extension_map map;
    struct rh_packet packet, again;
    uint8_t out[RH_WRITTEN_HEADER_BYTES_MAX];
    rh_demux_classify(bytes, size);
    rh_extension_map_init(&map, &ids);
    if (rh_packet_parse_header(bytes, size, &packet) != RH_OK
        || rh_packet_parse_rest(bytes, size, &map, &packet) != RH_OK)
        return 0;
    check_bounds(&packet, size);
    struct rh_header header = {
        .ids = &ids, .mid = "m", .mid_bytes = 1, .timestamp = packet.timestamp,
        .ssrc = packet.ssrc, .seq = packet.seq, .payload_type = packet.payload_type};
    size_t written = rh_packet_write_header(&header, &packet, bytes, out);
    RH_ASSERT(rh_packet_parse_header(out, written, &again) == RH_OK);
    RH_ASSERT(rh_packet_parse_rest(out, written, &map, &again) == RH_OK);
    RH_ASSERT(again.header_bytes == written);
    RH_ASSERT(rh_packet_audio_level(&again, out) == rh_packet_audio_level(&packet, bytes));
    rh_packet_unwrap_rtx(bytes, 1, 96, &packet);
    return 0;
}
