/* One packet to N subscribers through the engine, without sockets.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   fanout SUBSCRIBERS PACKETS PAYLOAD_BYTES
 *
 * Makes a publisher and SUBSCRIBERS peers with SRTP keys (AEAD_AES_128_GCM), protects PACKETS VP8
 * packets as the publisher would, and passes each through rh_receive and rh_forward. What would
 * be sent is counted and forgotten. Prints packets forwarded and CPU time; under callgrind,
 * tools/bench reads the instructions of rh_receive and rh_forward. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "forward/forward.h"
#include "wire/bytes.h"

enum { VIDEO_TYPE = 96, RTX_TYPE = 97, MID_ID = 4, TIME_ID = 2 };

static const uint32_t source_ssrc = 0x1234;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fanout: %s failed\n", what);
    exit(1);
}

static struct rh_srtp_keys keys_of(uint8_t number)
{
    struct rh_srtp_keys keys;
    memset(keys.key, number, sizeof keys.key);
    memset(keys.salt, number ^ 0x5a, sizeof keys.salt);
    return keys;
}

static struct rh_address address_of(uint16_t port)
{
    return (struct rh_address){.family = 4, .port = port, .ip = {127, 0, 0, 1}};
}

/* A peer with keys and a selected address. */
static rh_peer_id make_peer(struct rh_media *media, uint16_t port, uint8_t key)
{
    static const struct rh_extension_ids ids = {.mid = MID_ID, .abs_send_time = TIME_ID};
    rh_peer_id peer;
    struct rh_address address = address_of(port);
    struct rh_media_keys keys = {
        .profile = RH_SRTP_AEAD_AES_128_GCM, .receive = keys_of(key), .send = keys_of(key + 1)};
    require(rh_media_peer_create(media, &peer) == RH_OK, "peer");
    require(rh_media_peer_set_extensions(media, peer, &ids) == RH_OK, "extensions");
    require(rh_media_peer_select_address(media, peer, &address) == RH_OK, "address");
    require(rh_media_peer_set_srtp(media, peer, &keys) == RH_OK, "keys");
    return peer;
}

static rh_track_id make_track(struct rh_media *media, rh_peer_id peer)
{
    struct rh_track_config config = {
        .kind = RH_VIDEO, .codec = RH_CODEC_VP8, .payload_type = VIDEO_TYPE,
        .rtx_payload_type = RTX_TYPE, .encoding_count = 1, .clock_rate = 90000, .mid = "v",
        .ssrc = {source_ssrc}};
    rh_track_id track;
    require(rh_media_track_create(media, peer, &config, &track) == RH_OK, "track");
    return track;
}

static void make_subscriber(struct rh_media *media, rh_track_id track, uint32_t number)
{
    rh_peer_id peer = make_peer(media, (uint16_t)(2000 + number), (uint8_t)(3 + number % 200));
    struct rh_slot_config config = {
        .kind = RH_VIDEO, .ssrc = 0x10000 + number, .rtx_ssrc = 0x20000 + number,
        .clock_rate = 90000, .mid = "7"};
    struct rh_slot_binding binding = {
        .track = track, .payload_type = 98, .rtx_payload_type = 99,
        .target = {.encoding = 0, .spatial = 255, .temporal = 255}};
    rh_slot_id slot;
    require(rh_media_slot_create(media, peer, &config, &slot) == RH_OK, "slot");
    require(rh_media_slot_bind(media, slot, &binding, 1) == RH_OK, "bind");
}

/* Writes packet number as the publisher sends it. Returns its size. */
static size_t write_packet(
    const struct rh_srtp_send *send, uint32_t number, size_t payload_bytes, uint8_t *out)
{
    static uint8_t payload[RH_PACKET_BYTES_MAX];
    /* VP8 descriptor with 15-bit picture id and TL0PICIDX; 10 packets a picture, one keyframe. */
    uint32_t picture = number / 10;
    bool starts = number % 10 == 0;
    uint8_t head[7] = {(uint8_t)(0x80 | (starts ? 0x10 : 0)), 0xc0,
                       (uint8_t)(0x80 | picture >> 8), (uint8_t)picture, (uint8_t)picture,
                       picture == 0 ? 0x00 : 0x01};
    memcpy(payload, head, sizeof head);
    out[0] = 0x80;
    out[1] = (uint8_t)(VIDEO_TYPE | (number % 10 == 9 ? 0x80 : 0));
    rh_put16(out + 2, (uint16_t)(1000 + number));
    rh_put32(out + 4, 3000 * picture);
    rh_put32(out + 8, source_ssrc);
    struct rh_srtp_outgoing packet = {
        .out = out, .header_bytes = 12, .payload = payload, .payload_bytes = payload_bytes,
        .seq64 = (1u << 16) + 1000 + number};
    return rh_srtp_protect_rtp(send, &packet);
}

/* Writes what waits for subscribers and forgets it. */
static void write_all(struct rh_forwarder *forwarder, uint64_t now_us)
{
    enum rh_result result;
    do {
        result = rh_forwarder_write_pending(forwarder, now_us);
        rh_sendqueue_clear(&forwarder->queue);
    } while (result == RH_FULL);
}

static void pass(struct rh_forwarder *forwarder, struct rh_buffer *buffer, uint64_t now_us)
{
    struct rh_address from = address_of(1000);
    struct rh_received received = rh_receive(forwarder, buffer, &from);
    require(received.step == RH_RECEIVE_FORWARD, "receive");
    while (rh_forward(forwarder, &received.job, now_us) == RH_FULL)
        write_all(forwarder, now_us);
    write_all(forwarder, now_us);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: fanout SUBSCRIBERS PACKETS PAYLOAD_BYTES\n");
        return 2;
    }
    uint32_t subscribers = (uint32_t)atoi(argv[1]), packets = (uint32_t)atoi(argv[2]);
    size_t payload_bytes = (size_t)atoi(argv[3]);
    require(payload_bytes >= 16 && payload_bytes <= 1200, "payload size");
    static struct rh_forwarder forwarder;
    struct rh_media_sizes sizes = {.peers_max = 8192, .slots_max = 8192, .seed = 1};
    require(rh_forwarder_init(&forwarder, &sizes) == RH_OK, "init");
    struct rh_media *media = &forwarder.media;
    rh_track_id track = make_track(media, make_peer(media, 1000, 1));
    for (uint32_t i = 0; i < subscribers; i++)
        make_subscriber(media, track, i);
    struct rh_srtp_send publisher = {0};
    struct rh_srtp_keys keys = keys_of(1);
    require(rh_srtp_send_init(&publisher, rh_cipher_choose(), RH_SRTP_AEAD_AES_128_GCM, &keys)
                == RH_OK, "publisher");
    double spent = 0;
    for (uint32_t i = 0; i < packets; i++) {
        uint64_t now_us = 1000000 + i * 3333ull;
        struct rh_buffer *buffer = rh_media_take_buffer(media);
        require(buffer != NULL, "buffer");
        buffer->size = (uint16_t)write_packet(&publisher, i, payload_bytes, buffer->bytes);
        buffer->arrival_us = now_us;
        double begin = cpu_seconds();
        pass(&forwarder, buffer, now_us);
        spent += cpu_seconds() - begin;
        rh_buffers_release(&media->buffers, buffer);
        rh_sendqueue_clear(&forwarder.queue);
        media->events.count = 0;
    }
    uint64_t forwarded = media->counters.forwarded_packets;
    printf("{\"subscribers\": %u, \"packets\": %u, \"payload_bytes\": %zu, \"forwarded\": %llu, "
           "\"cpu_ns_per_packet\": %.1f, \"cipher\": \"%s\"}\n",
           subscribers, packets, payload_bytes, (unsigned long long)forwarded,
           spent * 1e9 / (double)forwarded, rh_cipher_choose()->name);
    require(forwarded == (uint64_t)subscribers * packets, "forwarding");
    rh_srtp_send_deinit(&publisher);
    rh_forwarder_deinit(&forwarder);
    return 0;
}
