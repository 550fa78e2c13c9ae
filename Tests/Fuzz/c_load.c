/* Any datagrams to a synthetic participant of the load tool, in clear and behind right SRTP.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Input: records of a kind byte, a length byte and that many bytes: RTP or RTCP, as they are or
 * protected first. */
// Fuzz-Sources: CSources/CLoad CSources/CRouter CSources/CMedia
// Fuzz-Libraries: vpx opus
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum { SSRC = 0x1000, RTX_SSRC = 0x2000, PUBLISHED = 0x3000, DATAGRAM_MAX = 255 + 64 };

static struct rh_load_loop loop;
static struct rh_load_endpoint_place place;
static struct rh_srtp_send client_send, peer_send;
static struct rh_srtp_receive client_receive;

static const struct rh_load_stream_config stream_config = {
    .ssrc = PUBLISHED, .rtx_ssrc = PUBLISHED + 1, .clock_rate = 90000, .kind = RH_VIDEO,
    .codec = RH_CODEC_VP8, .payload_type = 96, .rtx_payload_type = 97, .stamp_on = true,
    .shape = {.frames_per_second = 30, .packets_per_frame = 2, .payload_bytes_min = 60,
              .payload_bytes_max = 200}};

static void begin(void)
{
    static const struct rh_srtp_keys keys = {.key = "0123456789abcde", .salt = "ABCDEFGHIJKLM"};
    enum rh_srtp_profile profile = RH_SRTP_AEAD_AES_128_GCM;
    const struct rh_cipher_backend *backend = rh_cipher_choose();
    if (rh_srtp_send_init(&client_send, backend, profile, &keys) != RH_OK
        || rh_srtp_send_init(&peer_send, backend, profile, &keys) != RH_OK
        || rh_srtp_receive_init(&client_receive, backend, profile, &keys) != RH_OK)
        abort();
    loop.endpoints = &place;
    loop.endpoint_end = 1;
    loop.tick_ns = RH_LOAD_MS;
    loop.outbox.arena = malloc(RH_LOAD_OUTBOX_BYTES + 2 * RH_LOAD_DATAGRAM_BYTES_MAX);
}

static void open_endpoint(struct rh_load_endpoint *endpoint)
{
    memset(&loop.totals, 0, sizeof loop.totals);
    loop.now_ns = loop.started_ns = RH_LOAD_SECOND;
    *endpoint = (struct rh_load_endpoint){
        .fd = -1, .has_keys = true, .has_remote = true, .send = client_send,
        .receive = client_receive, .missing_due_ns = RH_LOAD_NEVER,
        .config = {.decrypt = RH_LOAD_DECRYPT_SAMPLE, .decrypt_interval = 2, .nack_on = true,
                   .picture_loss_on = true, .rtcp_ssrc = 1, .ids = {.mid = 1, .rid = 2}}};
    rh_extension_map_init(&endpoint->extensions, &endpoint->config.ids);
    place = (struct rh_load_endpoint_place){endpoint, 0};
    for (uint32_t i = 0; i < 5; i++) {
        struct rh_load_slot_config slot = {
            .ssrc = SSRC + i, .rtx_ssrc = RTX_SSRC + i, .clock_rate = 90000, .kind = RH_VIDEO,
            .codec = (uint8_t)(RH_CODEC_OPUS + i)};
        if (!rh_load_slot_expect(&loop, endpoint, &slot))
            abort();
    }
    endpoint->streams[0] = rh_load_stream_create(&stream_config);
    endpoint->stream_count = 1;
    rh_load_streams_tick(&loop, endpoint);
}

static size_t protect_rtp(const uint8_t *bytes, size_t size, uint8_t *out)
{
    struct rh_packet packet;
    if (rh_packet_parse_header(bytes, size, &packet) != RH_OK)
        return 0;
    memcpy(out, bytes, packet.header_bytes);
    return rh_srtp_protect_rtp(&peer_send, &(struct rh_srtp_outgoing){
        .out = out, .header_bytes = packet.header_bytes, .payload = bytes + packet.header_bytes,
        .payload_bytes = size - packet.header_bytes,
        .seq64 = RH_SEQ64_FIRST + (uint64_t)packet.seq});
}

static void pass(
    struct rh_load_endpoint *endpoint, uint8_t kind, const uint8_t *bytes, size_t size)
{
    uint8_t datagram[DATAGRAM_MAX];
    bool is_rtcp = (kind & 1) != 0, is_protected = (kind & 2) != 0;
    if (!is_protected)
        memcpy(datagram, bytes, size);
    else if (!is_rtcp)
        size = protect_rtp(bytes, size, datagram);
    else
        size = size < 8 ? 0 : rh_srtp_protect_rtcp(&peer_send, bytes, size, datagram);
    uint8_t *copy = malloc(size != 0 ? size : 1); /* no byte more than the datagram has */
    memcpy(copy, datagram, size);
    struct rh_load_received received = {copy, size, loop.now_ns};
    if (is_rtcp)
        rh_load_on_rtcp(&loop, endpoint, &received);
    else
        rh_load_on_rtp(&loop, endpoint, &received);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (client_send.backend == NULL)
        begin();
    struct rh_load_endpoint endpoint;
    open_endpoint(&endpoint);
    for (size_t at = 0; at + 2 <= size;) {
        size_t length = bytes[at + 1] < size - at - 2 ? bytes[at + 1] : size - at - 2;
        pass(&endpoint, bytes[at], bytes + at + 2, length);
        at += 2 + length;
        loop.now_ns += 15 * RH_LOAD_MS;
        rh_load_streams_tick(&loop, &endpoint);
        rh_load_feedback_tick(&loop, &endpoint);
    }
    peer_send.rtcp_index = 0;
    rh_load_outbox_flush(&loop);
    rh_load_stream_destroy(endpoint.streams[0]);
    rh_load_slots_destroy(&loop, &endpoint);
    return 0;
}
