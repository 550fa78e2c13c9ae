/* Single calls of the packet path: time and allocations. SPDX-License-Identifier: Apache-2.0
 *
 *   micro [--seconds S]
 *
 * Each row is one call on VP8 packets of 1100 bytes (rows with a number in their name: of that
 * size), CALLS of them a repetition, as many repetitions as S seconds divided by the rows allow,
 * at least 15. allocations counts calls of malloc and its like over all repetitions. */
#define _GNU_SOURCE
#include "../Common/publisher.h"
#include "forward/forward.h"

enum { CALLS = 512, REPETITIONS_MIN = 15, START_US = 1000000, PACKET_BYTES = 1100 };

/* ---- Counting allocations ------------------------------------------------------------------- */

static uint64_t allocations;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t bytes)
{
    allocations++;
    return __libc_memalign(alignment, bytes);
}

/* ---- What the calls work on ----------------------------------------------------------------- */

struct micro {
    struct rh_forwarder forwarder;
    struct publisher publisher;
    struct rh_srtp_receive receive;
    struct rh_srtp_send senders[2]; /* GCM, CM */
    struct rh_srtp_source source;
    struct rh_extension_map map;
    rh_track_id tracks[2];
    rh_slot_id slot;
    struct rh_select select;
    struct rh_rewrite rewrite;
    struct rh_header header;
    struct rh_header_template template;
    struct rh_history history;
    struct rh_buffer *buffers[CALLS]; /* held by the history of the row alone */
    struct rh_packet packet;
    uint8_t clear[PUBLISHED_BYTES_MAX];
    size_t clear_bytes;
    uint8_t sealed[CALLS][PUBLISHED_BYTES_MAX], opened[CALLS][PUBLISHED_BYTES_MAX];
    uint8_t out[PUBLISHED_BYTES_MAX];
    size_t sealed_bytes;
    uint64_t seq64, now_us;
};

static struct micro micro;
static volatile uint64_t sink; /* results go there, so that no call is left out */

static const struct rh_extension_ids micro_ids = {
    .mid = MID_ID, .abs_send_time = SEND_TIME_ID, .transport_seq = TRANSPORT_ID};
static const struct rh_address from = {.family = 4, .port = 10000, .ip = {10, 0, 0, 1}};
static const struct rh_address to = {.family = 4, .port = 10001, .ip = {10, 0, 0, 2}};

static rh_peer_id make_peer(uint32_t number, const struct rh_address *address)
{
    struct rh_media *media = &micro.forwarder.media;
    struct rh_media_keys keys = {
        .profile = RH_SRTP_AEAD_AES_128_GCM, .receive = publisher_keys(number, 1),
        .send = publisher_keys(number, 2)};
    rh_peer_id peer;
    bool is_done = rh_media_peer_create(media, &peer) == RH_OK
        && rh_media_peer_set_extensions(media, peer, &micro_ids) == RH_OK
        && rh_media_peer_select_address(media, peer, address) == RH_OK
        && rh_media_peer_set_srtp(media, peer, &keys) == RH_OK;
    bench_require(is_done, "peer");
    return peer;
}

/* One publisher with two tracks and one subscriber; the first packet has been forwarded. */
static void make_meeting(void)
{
    struct rh_media *media = &micro.forwarder.media;
    struct rh_media_sizes sizes = {.peers_max = 16, .slots_max = 16, .seed = 1};
    bench_require(rh_forwarder_init(&micro.forwarder, &sizes) == RH_OK, "engine");
    rh_peer_id publisher = make_peer(0, &from), subscriber = make_peer(1, &to);
    for (int kind = 0; kind < KINDS; kind++) {
        struct rh_track_config config = publisher_track(0, VIDEO);
        config.ssrc[0] += (uint32_t)kind; /* a second video track beside it */
        config.mid[0] = (char)('1' + kind); /* the first has what packets say */
        bench_require(rh_media_track_create(media, publisher, &config, &micro.tracks[kind])
                          == RH_OK, "track");
    }
    struct rh_slot_config config = publisher_slot(0, VIDEO);
    struct rh_slot_binding binding = publisher_binding(micro.tracks[0], VIDEO);
    bool is_done = rh_media_slot_create(media, subscriber, &config, &micro.slot) == RH_OK
        && rh_media_slot_bind(media, micro.slot, &binding, START_US) == RH_OK
        && publisher_init(&micro.publisher, 0, RH_SRTP_AEAD_AES_128_GCM);
    bench_require(is_done, "slot");
    micro.publisher.has_transport_seq = true;
}

static size_t write_next(uint8_t *out)
{
    static const struct shot shot = {.bytes = PACKET_BYTES, .count = 1};
    return publisher_write(&micro.publisher, &shot, out);
}

/* The path for one packet, but for the kernel. */
static void pass_one(void)
{
    struct rh_forwarder *forwarder = &micro.forwarder;
    struct rh_buffer *buffer = rh_media_take_buffer(&forwarder->media);
    bench_require(buffer != NULL, "a packet buffer");
    uint8_t bytes[PUBLISHED_BYTES_MAX];
    buffer->size = (uint16_t)write_next(bytes);
    memcpy(buffer->bytes, bytes, buffer->size);
    buffer->arrival_us = micro.now_us += 1000;
    struct rh_received received = rh_receive(forwarder, buffer, &from);
    bench_require(received.step == RH_RECEIVE_FORWARD, "receiving");
    bench_require(rh_forward(forwarder, &received.job, micro.now_us) == RH_OK, "forwarding");
    bench_require(rh_forwarder_write_pending(forwarder, micro.now_us) == RH_OK, "writing");
    bench_require(forwarder->queue.count == 1, "a message");
    rh_sendqueue_clear(&forwarder->queue);
    rh_buffers_release(&forwarder->media.buffers, buffer);
    forwarder->media.events.count = 0;
}

/* A packet in clear with what the parser makes of it, for the calls that have no state of media. */
static void make_packet(void)
{
    static const struct shot shot = {.bytes = PACKET_BYTES, .count = 1};
    rh_extension_map_init(&micro.map, &micro_ids);
    struct rh_srtp_keys keys = publisher_keys(0, 1);
    struct publisher publisher;
    bool is_done = publisher_init(&publisher, 0, RH_SRTP_AEAD_AES_128_GCM)
        && rh_srtp_receive_init(
               &micro.receive, rh_cipher_choose(), RH_SRTP_AEAD_AES_128_GCM, &keys) == RH_OK
        && rh_srtp_send_init(
               &micro.senders[0], rh_cipher_choose(), RH_SRTP_AEAD_AES_128_GCM, &keys) == RH_OK
        && rh_srtp_send_init(
               &micro.senders[1], rh_cipher_choose(), RH_SRTP_AES128_CM_HMAC_SHA1_80, &keys)
            == RH_OK;
    bench_require(is_done, "keys");
    publisher.has_transport_seq = true;
    for (size_t i = 0; i < CALLS; i++)
        micro.sealed_bytes = publisher_write(&publisher, &shot, micro.sealed[i]);
    memcpy(micro.clear, micro.sealed[0], micro.sealed_bytes);
    struct rh_srtp_packet srtp = {.bytes = micro.clear, .size = micro.sealed_bytes};
    is_done = rh_packet_parse_header(micro.clear, srtp.size, &micro.packet) == RH_OK
        && rh_srtp_unprotect_rtp(&micro.receive, &micro.source, &micro.packet, &srtp) == RH_OK
        && rh_packet_parse_rest(micro.clear, srtp.size, &micro.map, &micro.packet) == RH_OK
        && rh_payload_parse(RH_CODEC_VP8, micro.clear, &micro.packet) == RH_OK;
    bench_require(is_done, "packet");
    micro.clear_bytes = srtp.size;
    struct rh_target all = {.encoding = 0, .spatial = 255, .temporal = 255};
    rh_select_init(&micro.select, RH_CODEC_VP8, all);
    rh_select_decide(&micro.select, 0, &micro.packet);
    rh_rewrite_init(&micro.rewrite, RH_SEQ64_FIRST + 9, 77);
    micro.seq64 = RH_SEQ64_FIRST + 1;
    struct rh_rewrite_source source = {
        .seq64 = micro.seq64, .arrival_us = START_US, .clock_rate = 90000, .step = 3000};
    rh_rewrite_switch(&micro.rewrite, &micro.packet, &source);
    micro.header = (struct rh_header){
        .ids = &micro_ids, .mid = "12", .mid_bytes = 2, .ssrc = 5, .payload_type = 100};
    rh_header_template_init(&micro.template, &micro.header, false);
}

/* Packets for the row's own history, in buffers of the worker. */
static void make_history(void)
{
    static uint32_t ring[RH_HISTORY_PACKETS];
    micro.history = (struct rh_history){.ring = ring};
    for (size_t i = 0; i < CALLS; i++) {
        micro.buffers[i] = rh_media_take_buffer(&micro.forwarder.media);
        bench_require(micro.buffers[i] != NULL, "a packet buffer");
    }
}

/* ---- The calls, CALLS of them --------------------------------------------------------------- */

static void parse(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        struct rh_packet packet;
        rh_packet_parse_header(micro.clear, micro.clear_bytes, &packet);
        rh_packet_parse_rest(micro.clear, micro.clear_bytes, &micro.map, &packet);
        rh_payload_parse(RH_CODEC_VP8, micro.clear, &packet);
        sink += packet.payload_bytes;
    }
}

static void select_layers(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        micro.packet.timestamp += 3000;
        sink += rh_select_decide(&micro.select, 0, &micro.packet).action;
    }
}

static void rewrite(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        micro.packet.layer.picture_id = (micro.packet.layer.picture_id + 1) & 0x7fff;
        sink += rh_rewrite_forward(
            &micro.rewrite, &micro.packet, ++micro.seq64, START_US + micro.seq64).seq64;
    }
}

static void patch(void)
{
    const uint8_t *payload = micro.clear + micro.packet.payload_offset;
    for (size_t i = 0; i < CALLS; i++)
        sink += rh_rewrite_patch(&micro.rewrite.run, &micro.packet.layer, payload).count;
}

static void header_template(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        micro.header.seq++;
        sink += rh_header_template_write(
            &micro.template, &micro.header, &micro.packet, micro.clear, micro.out);
    }
}

static void header_full(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        micro.header.seq++;
        sink += rh_packet_write_header(&micro.header, &micro.packet, micro.clear, micro.out);
    }
}

static void protect(const struct rh_srtp_send *send, size_t bytes)
{
    for (size_t i = 0; i < CALLS; i++) {
        uint64_t seq64 = ++micro.seq64;
        rh_put16(micro.out + 2, (uint16_t)seq64);
        struct rh_srtp_outgoing packet = {
            .out = micro.out, .header_bytes = 28, .payload = micro.clear + 28,
            .payload_bytes = bytes - 28, .seq64 = seq64};
        sink += rh_srtp_protect_rtp(send, &packet);
    }
}

static void protect_100(void)
{
    protect(&micro.senders[0], 100);
}

static void protect_300(void)
{
    protect(&micro.senders[0], 300);
}

static void protect_1100(void)
{
    protect(&micro.senders[0], 1100);
}

static void protect_cm_1100(void)
{
    protect(&micro.senders[1], 1100);
}

static void seal_again(void)
{
    memcpy(micro.opened, micro.sealed, sizeof micro.opened);
    micro.source = (struct rh_srtp_source){0};
}

static void unprotect(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        struct rh_packet packet;
        rh_packet_parse_header(micro.opened[i], micro.sealed_bytes, &packet);
        struct rh_srtp_packet srtp = {.bytes = micro.opened[i], .size = micro.sealed_bytes};
        enum rh_result result =
            rh_srtp_unprotect_rtp(&micro.receive, &micro.source, &packet, &srtp);
        bench_require(result == RH_OK, "unprotecting");
    }
}

static void history_keep(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        struct rh_buffer *buffer = micro.buffers[i];
        buffer->seq64 = ++micro.seq64;
        buffer->arrival_us = micro.now_us += 100;
        rh_history_keep(&micro.history, &micro.forwarder.media.buffers, buffer);
    }
}

static void history_find(void)
{
    for (size_t i = 0; i < CALLS; i++) {
        const struct rh_buffer *found = rh_history_find(
            &micro.history, &micro.forwarder.media.buffers, micro.history.newest_seq64 - i % 256);
        bench_require(found != NULL, "finding");
    }
}

static void resend(void)
{
    struct rh_forwarder *forwarder = &micro.forwarder;
    struct rh_slot_report report;
    bench_require(rh_media_slot_report(&forwarder->media, micro.slot, &report) == RH_OK, "report");
    for (size_t i = 0; i < CALLS; i++) {
        micro.now_us += 2000;
        struct rh_resend_request request = {
            .slot_index = rh_handle_place(micro.slot), .seq = report.last_seq, .rtt_us = 1000,
            .now_us = micro.now_us};
        bench_require(rh_resend(forwarder, &request) == RH_OK, "resending");
        if (i % 32 != 31)
            continue;
        bench_require(rh_forwarder_write_pending(forwarder, micro.now_us) == RH_OK, "writing");
        rh_sendqueue_clear(&forwarder->queue);
    }
}

static void bind_slot(void)
{
    struct rh_media *media = &micro.forwarder.media;
    for (size_t i = 0; i < CALLS; i++) {
        struct rh_slot_binding binding = publisher_binding(micro.tracks[(i + 1) % 2], VIDEO);
        bench_require(rh_media_slot_bind(media, micro.slot, &binding, micro.now_us) == RH_OK,
                      "binding");
        media->events.count = 0;
    }
}

static void bind_back(void)
{
    struct rh_slot_binding binding = publisher_binding(micro.tracks[0], VIDEO);
    rh_media_slot_bind(&micro.forwarder.media, micro.slot, &binding, micro.now_us);
    atomic_store(&micro.publisher.wants_keyframe, true);
}

static void pass(void)
{
    for (size_t i = 0; i < CALLS; i++)
        pass_one();
}

static void keep_going(void)
{
    bind_back();
    pass_one();
}

static const struct row {
    const char *name;
    void (*run)(void);
    void (*before)(void); /* not measured */
} rows[] = {
    {"parse", parse, NULL},
    {"select", select_layers, NULL},
    {"rewrite", rewrite, NULL},
    {"patch_descriptor", patch, NULL},
    {"header_template", header_template, NULL},
    {"header_full", header_full, NULL},
    {"protect_gcm_100", protect_100, NULL},
    {"protect_gcm_300", protect_300, NULL},
    {"protect_gcm_1100", protect_1100, NULL},
    {"protect_cm_1100", protect_cm_1100, NULL},
    {"unprotect_gcm_1100", unprotect, seal_again},
    {"history_keep", history_keep, NULL},
    {"history_find", history_find, NULL},
    {"resend_1100", resend, keep_going},
    {"bind", bind_slot, NULL},
    {"publish_receive_forward_write_1100", pass, keep_going},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void print_row(const struct row *row, uint64_t budget_ns)
{
    static struct bench_samples samples;
    samples.count = 0;
    uint64_t allocated = 0, until_ns = bench_clock_ns(CLOCK_MONOTONIC) + budget_ns;
    while (samples.count < BENCH_REPETITIONS_MAX
           && (samples.count < REPETITIONS_MIN
               || bench_clock_ns(CLOCK_MONOTONIC) < until_ns)) {
        if (row->before != NULL)
            row->before();
        uint64_t before = allocations;
        uint64_t began_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        row->run();
        uint64_t spent_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
        allocated += allocations - before;
        bench_add(&samples, (double)spent_ns / CALLS);
    }
    bench_sort(&samples);
    printf("%s{\"name\": \"%s\", \"ns_min\": %.1f, \"ns_median\": %.1f, \"allocations\": %lu}",
           row == rows ? "" : ",\n  ", row->name, samples.values[0],
           samples.values[samples.count / 2], allocated);
}

int main(int argc, char **argv)
{
    (void)argc;
    bench_check_options(argv + 1, (const char *const[]){"--seconds", NULL});
    double seconds = bench_number(argv + 1, "--seconds", 1);
    micro.now_us = START_US;
    make_meeting();
    make_packet();
    make_history();
    pass_one();
    uint64_t before = allocations;
    free(malloc(1));
    bench_require(allocations > before, "counting allocations");
    printf("{\"cipher\": \"%s\", \"rows\": [", rh_cipher_choose()->name);
    for (size_t i = 0; i < ROWS; i++)
        print_row(&rows[i], (uint64_t)(seconds * 1e9) / ROWS);
    printf("]}\n");
    return 0;
}
