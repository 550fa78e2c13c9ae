/* What the load tool's loop spends on a received packet. SPDX-License-Identifier: Apache-2.0
 *
 *   receive [PARTICIPANTS [SECONDS [DECRYPT_INTERVAL]]]
 *
 * A gallery over loopback: each of PARTICIPANTS (50) receives sound (50/s, 104 B) and a thumbnail
 * (15 frames/s of 3 packets, 300..700 B) of all the others, as SRTP (AEAD_AES_128_GCM), sent the
 * way the router does: what is due within 5 ms together, equal sizes in one UDP_SEGMENT message. A
 * thread makes and sends that; the loop under test has a thread of its own, whose CPU time is what
 * counts. DECRYPT_INTERVAL: 0 headers only (default), N one of N. Prints one JSON object. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/srtp.h"
#include "loop.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum {
    TICK_US = 5000,
    AUDIO_PERIOD = 4,     /* ticks: 50/s */
    VIDEO_PERIOD_X3 = 40, /* a third of a tick: 15/s */
    VIDEO_PACKETS = 3,
    RUN_MAX = 40,
    PARTICIPANTS_MAX = 200,
};

static const struct rh_srtp_keys key = {.key = "0123456789abcde", .salt = "ABCDEFGHIJKLM"};

struct stream {
    uint64_t seq64;
    uint32_t ssrc, timestamp, frame;
};

struct receiver {
    struct rh_srtp_send srtp;
    struct sockaddr_in to;
    struct stream *audio, *video; /* one of each other participant */
};

struct gallery {
    struct receiver receivers[PARTICIPANTS_MAX];
    uint32_t count, seconds;
    int fd;
    uint64_t sent, messages;
    atomic_bool is_done;
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "receive: %s failed\n", what);
    exit(1);
}

/* One message of equal datagrams, gathered. */
struct run {
    uint8_t bytes[RUN_MAX * 1500];
    size_t size, segment;
    uint32_t count;
};

static void flush(struct gallery *gallery, struct receiver *receiver, struct run *run)
{
    if (run->count == 0)
        return;
    struct iovec vector = {run->bytes, run->size};
    alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
    struct msghdr message = {
        .msg_name = &receiver->to, .msg_namelen = sizeof receiver->to, .msg_iov = &vector,
        .msg_iovlen = 1};
    if (run->count > 1) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT,
            .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
        uint16_t segment = (uint16_t)run->segment;
        memcpy(CMSG_DATA(header), &segment, sizeof segment);
    }
    require(sendmsg(gallery->fd, &message, 0) == (ssize_t)run->size, "sendmsg");
    gallery->sent += run->count;
    gallery->messages++;
    run->count = 0;
    run->size = 0;
}

/* size: payload bytes, the stamp's last */
static void add_packet(
    struct gallery *gallery, struct receiver *receiver, struct run *run, struct stream *stream,
    size_t size)
{
    size_t bytes = 12 + size + RH_GCM_TAG_BYTES;
    bool is_marked = (size & 1) != 0; /* odd sizes stand for the frame's last packet */
    if (run->count == RUN_MAX || (run->count != 0 && run->segment != (bytes & ~(size_t)1)))
        flush(gallery, receiver, run);
    bytes &= ~(size_t)1;
    size &= ~(size_t)1;
    uint8_t *out = run->bytes + run->size;
    memset(out, 0x5a, 12 + size);
    out[0] = 0x80;
    out[1] = (uint8_t)(is_marked ? 0xe0 : 0x60);
    rh_put16(out + 2, (uint16_t)stream->seq64);
    rh_put32(out + 4, stream->timestamp);
    rh_put32(out + 8, stream->ssrc);
    uint64_t now_ns = rh_load_now_ns();
    uint8_t *stamp = out + 12 + size - RH_LOAD_STAMP_BYTES;
    rh_put32(stamp, RH_LOAD_STAMP_MAGIC);
    rh_put32(stamp + 4, 1);
    rh_put32(stamp + 8, (uint32_t)(now_ns >> 32));
    rh_put32(stamp + 12, (uint32_t)now_ns);
    rh_srtp_protect_rtp(&receiver->srtp, &(struct rh_srtp_outgoing){
        .out = out, .header_bytes = 12, .payload = out + 12, .payload_bytes = size,
        .seq64 = stream->seq64++});
    run->segment = bytes;
    run->size += bytes;
    run->count++;
}

static void send_tick(
    struct gallery *gallery, struct receiver *receiver, uint32_t tick, struct run *run)
{
    for (uint32_t i = 0; i + 1 < gallery->count; i++) {
        struct stream *audio = &receiver->audio[i];
        if ((tick + i) % AUDIO_PERIOD != 0)
            continue;
        audio->timestamp += 960;
        add_packet(gallery, receiver, run, audio, 105);
    }
    for (uint32_t i = 0; i + 1 < gallery->count; i++) {
        struct stream *video = &receiver->video[i];
        if ((tick * 3 + i * 7) % VIDEO_PERIOD_X3 >= 3)
            continue;
        video->timestamp += 6000;
        size_t size = 300 + video->frame++ * 37 % 400 / 2 * 2;
        for (uint32_t packet = 0; packet < VIDEO_PACKETS; packet++)
            add_packet(gallery, receiver, run, video, size | (packet + 1 == VIDEO_PACKETS));
    }
    flush(gallery, receiver, run);
}

static void *send_all(void *argument)
{
    struct gallery *gallery = argument;
    static struct run run;
    uint64_t next_ns = rh_load_now_ns();
    for (uint32_t tick = 0; tick < gallery->seconds * (1000000 / TICK_US); tick++) {
        for (uint32_t i = 0; i < gallery->count; i++)
            send_tick(gallery, &gallery->receivers[i], tick, &run);
        next_ns += (uint64_t)TICK_US * 1000;
        struct timespec until = {
            .tv_sec = (time_t)(next_ns / 1000000000), .tv_nsec = (long)(next_ns % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    atomic_store(&gallery->is_done, true);
    return NULL;
}

/* Streams of one kind, known to the loop as slots. */
static struct stream *open_streams(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t count, uint8_t kind)
{
    struct stream *streams = calloc(count, sizeof *streams);
    struct rh_load_slot_config *slots = calloc(count, sizeof *slots);
    require(streams != NULL && slots != NULL, "calloc");
    uint64_t random = endpoint * 2u + kind;
    for (uint32_t i = 0; i < count; i++) {
        streams[i].ssrc = (uint32_t)rh_load_random(&random) | 1;
        streams[i].seq64 = RH_SEQ64_FIRST + 1000;
        slots[i] = (struct rh_load_slot_config){
            .ssrc = streams[i].ssrc, .clock_rate = kind == RH_AUDIO ? 48000 : 90000,
            .kind = kind};
    }
    require(rh_load_slots_expect(loop, endpoint, slots, count) == RH_OK, "slots");
    free(slots);
    return streams;
}

static void open_receiver(
    struct gallery *gallery, struct rh_load_loop *loop, uint32_t index, uint32_t interval)
{
    struct rh_load_endpoint_config config = {
        .bind = {.family = 4, .ip = {127, 0, 0, 1}},
        .decrypt = interval == 0 ? RH_LOAD_DECRYPT_NONE : RH_LOAD_DECRYPT_SAMPLE,
        .decrypt_interval = interval};
    rh_load_endpoint_id endpoint;
    struct rh_address local;
    require(rh_load_endpoint_create(loop, &config, &endpoint, &local) == RH_OK, "endpoint");
    struct receiver *receiver = &gallery->receivers[index];
    enum rh_srtp_profile profile = RH_SRTP_AEAD_AES_128_GCM;
    require(rh_srtp_send_init(&receiver->srtp, rh_cipher_choose(), profile, &key) == RH_OK, "keys");
    require(rh_load_endpoint_set_srtp(loop, endpoint, profile, &key, &key) == RH_OK, "keys");
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    getsockname(gallery->fd, (struct sockaddr *)&own, &size);
    struct rh_address remote = {.family = 4, .port = ntohs(own.sin_port), .ip = {127, 0, 0, 1}};
    rh_load_endpoint_set_remote(loop, endpoint, &remote);
    receiver->to = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(local.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    receiver->audio = open_streams(loop, endpoint, gallery->count - 1, RH_AUDIO);
    receiver->video = open_streams(loop, endpoint, gallery->count - 1, RH_VIDEO);
}

static uint64_t quantile(struct rh_load_loop *loop, enum rh_load_histogram_kind kind, double part)
{
    uint64_t buckets[RH_LOAD_BUCKETS] = {0};
    rh_load_loop_add_histogram(loop, kind, buckets);
    return rh_load_histogram_quantile_ns(buckets, part) / 1000;
}

int main(int count, char **words)
{
    static struct gallery gallery;
    gallery.count = count > 1 ? (uint32_t)atoi(words[1]) : 50;
    gallery.seconds = count > 2 ? (uint32_t)atoi(words[2]) : 5;
    uint32_t interval = count > 3 ? (uint32_t)atoi(words[3]) : 0;
    require(gallery.count >= 2 && gallery.count <= PARTICIPANTS_MAX, "PARTICIPANTS");
    gallery.fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    require(bind(gallery.fd, (struct sockaddr *)&any, sizeof any) == 0, "bind");
    struct rh_load_loop *loop;
    struct rh_load_loop_config config = {0};
    require(rh_load_loop_create(&config, &loop) == RH_OK, "loop");
    for (uint32_t i = 0; i < gallery.count; i++)
        open_receiver(&gallery, loop, i, interval);
    struct rh_load_loop_report before, after;
    rh_load_loop_get_report(loop, &before);
    pthread_t sender;
    require(pthread_create(&sender, NULL, send_all, &gallery) == 0, "thread");
    pthread_join(sender, NULL);
    do
        rh_load_loop_get_report(loop, &after);
    while (after.received_packets < gallery.sent && after.kernel_drops == 0
           && after.now_ns - before.now_ns < (gallery.seconds + 5) * UINT64_C(1000000000));
    double packets = (double)(after.received_packets - before.received_packets);
    double cpu_ns = (double)(after.cpu_ns - before.cpu_ns);
    printf("{\"participants\": %u, \"streams\": %u, \"decrypt_interval\": %u, \"sent\": %lu, "
           "\"received\": %lu, \"lost\": %lu, \"kernel_drops\": %lu, \"packets_per_second\": %.0f, "
           "\"packets_per_message\": %.1f, \"cpu_ns_per_packet\": %.1f, \"cores\": %.3f, "
           "\"decrypted\": %lu, \"unauthentic\": %lu, \"delay_p99_us\": %lu, "
           "\"tick_lag_p99_us\": %lu, \"tick_lag_max_us\": %lu, \"receive_lag_p99_us\": %lu}\n",
           gallery.count, after.slots, interval, gallery.sent, after.received_packets,
           after.audio.lost + after.video.lost, after.kernel_drops, packets / gallery.seconds,
           packets / (double)gallery.messages, cpu_ns / packets,
           cpu_ns / 1e9 / gallery.seconds, after.decrypted, after.unauthentic,
           quantile(loop, RH_LOAD_DELAY_VIDEO, 0.99), quantile(loop, RH_LOAD_TICK_LAG, 0.99),
           after.tick_lag_max_ns / 1000, quantile(loop, RH_LOAD_RECEIVE_LAG, 0.99));
    rh_load_loop_destroy(loop);
    return 0;
}
