/* What this machine allows: the sends and cipher calls of a scenario, and no router.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   limit gallery|small|stage [--participants N] [--meetings M] [--window-us W] [--padding B]
 *         [--segmentation on|off] [--seconds S] [--rate max|realtime] [--network sink|loopback]
 *   limit send [--packet-bytes B] [--segments S] [--network sink|loopback]
 *   limit cipher [--packet-bytes B]
 *
 * A scenario's packets are known beforehand. Those that arrive within W of the first are written
 * for one subscriber after the other: a header of 24 bytes, AES-128-GCM out of place, and as few
 * messages as sizes allow, longest first, a packet padded by up to B to be as long as its run.
 * `send` and `cipher` print the single calls. Sizes are those of the RTP packet before SRTP, in
 * `send` those of the datagram. ROUNDHOUSE_CIPHER chooses the backend of the scenarios. */
#define _GNU_SOURCE
#include "../Common/scenario.h"
#include "../Common/sending.h"
#include "crypto/srtp.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum {
    HEADER_BYTES = 24, SOURCE_BUFFERS = 64, SOURCE_BYTES = 1536, SEGMENTS_MAX = 64,
    ROW_REPETITIONS = 31, ROW_PACKETS = 512,
};

static const int row_bytes[] = {100, 300, 1100};

struct subscriber {
    struct rh_srtp_send srtp;
    struct sockaddr_in to;
    uint64_t seq64;
};

/* Packets that one meeting's participants are sent together. */
struct group {
    size_t begin, end;
    uint32_t meeting;
};

struct limit {
    struct scenario scenario;
    struct sending *sending;
    struct subscriber *subscribers;
    struct shots shots;
    struct group *groups;
    size_t group_count;
    uint64_t window_us, padding_bytes;
    uint32_t padding_max;
    bool has_segmentation, is_realtime;
    uint8_t (*sources)[SOURCE_BYTES];
};

/* ---- A scenario ----------------------------------------------------------------------------- */

static const struct limit *sorted_limit; /* what group_compare compares by */

static int group_compare(const void *left, const void *right)
{
    const struct shot *a = left, *b = right;
    uint32_t meetings = sorted_limit->scenario.meetings;
    if (a->publisher % meetings != b->publisher % meetings)
        return a->publisher % meetings < b->publisher % meetings ? -1 : 1;
    return a->bytes != b->bytes ? b->bytes - a->bytes : shot_compare(left, right);
}

/* Sorts what falls into one window by meeting and size, and notes each meeting's part. */
static void make_groups(struct limit *limit)
{
    struct shot *all = limit->shots.all;
    size_t count = limit->shots.count;
    limit->groups = calloc(count, sizeof(struct group));
    bench_require(limit->groups != NULL, "memory");
    sorted_limit = limit;
    for (size_t begin = 0, end; begin < count; begin = end) {
        uint64_t until = all[begin].at_us + limit->window_us;
        for (end = begin + 1; end < count && all[end].at_us <= until; end++)
            continue;
        qsort(all + begin, end - begin, sizeof *all, group_compare);
        for (size_t from = begin, to; from < end; from = to) {
            uint32_t meeting = all[from].publisher % limit->scenario.meetings;
            for (to = from; to < end; to++)
                if (all[to].publisher % limit->scenario.meetings != meeting)
                    break;
            limit->groups[limit->group_count++] = (struct group){from, to, meeting};
        }
    }
}

/* Writes and seals one packet, bytes long with its padding. */
static void seal(
    struct limit *limit, struct subscriber *subscriber, const struct shot *shot, size_t bytes,
    uint8_t *out)
{
    static const uint8_t header[HEADER_BYTES] = {
        0x90, 96, [12] = 0xbe, 0xde, 0, 2, 0x40, '7', 0x22};
    uint64_t seq64 = subscriber->seq64++;
    memcpy(out, header, sizeof header);
    rh_put16(out + 2, (uint16_t)seq64);
    rh_put32(out + 4, (uint32_t)shot->at_us);
    rh_put32(out + 8, 0x1000 + shot->publisher);
    struct rh_srtp_outgoing packet = {
        .out = out, .header_bytes = HEADER_BYTES, .payload_bytes = bytes - HEADER_BYTES,
        .payload = limit->sources[(shot - limit->shots.all) % SOURCE_BUFFERS], .seq64 = seq64};
    rh_srtp_protect_rtp(&subscriber->srtp, &packet);
}

/* One message from the packets from `from` on. Returns the first one left. */
static size_t write_message(
    struct limit *limit, struct subscriber *subscriber, const struct group *group, size_t from)
{
    const struct shot *all = limit->shots.all;
    uint32_t participant = (uint32_t)(subscriber - limit->subscribers);
    uint8_t *out = sending_place(limit->sending);
    size_t size = 0, segments = 0, longest = 0, at = from;
    for (; at < group->end; at++) {
        if (!scenario_receives(&limit->scenario, participant, all[at].publisher))
            continue;
        size_t bytes = all[at].bytes;
        if (segments == 0)
            longest = bytes;
        bool is_full = segments == SEGMENTS_MAX
            || size + longest + RH_GCM_TAG_BYTES > MESSAGE_BYTES_MAX
            || (segments != 0 && !limit->has_segmentation);
        if (is_full)
            break;
        bool is_last = longest - bytes > limit->padding_max;
        if (!is_last) {
            limit->padding_bytes += longest - bytes;
            bytes = longest;
        }
        seal(limit, subscriber, &all[at], bytes, out + size);
        size += bytes + RH_GCM_TAG_BYTES;
        segments++;
        if (is_last) {
            at++;
            break;
        }
    }
    if (segments != 0)
        sending_commit(limit->sending, &subscriber->to, size, (uint32_t)longest + RH_GCM_TAG_BYTES);
    return at;
}

static void run_scenario(struct limit *limit)
{
    uint64_t start_ns = bench_clock_ns(CLOCK_MONOTONIC);
    uint32_t step = limit->scenario.is_stage ? 1 : limit->scenario.meetings;
    for (size_t g = 0; g < limit->group_count; g++) {
        const struct group *group = &limit->groups[g];
        bool begins_window = g == 0 || group->meeting <= group[-1].meeting;
        if (limit->is_realtime && begins_window)
            bench_sleep_until(start_ns + limit->shots.all[group->begin].at_us * 1000);
        for (uint32_t p = group->meeting; p < limit->scenario.participants; p += step)
            for (size_t at = group->begin; at < group->end;)
                at = write_message(limit, &limit->subscribers[p], group, at);
        bool is_window_over = g + 1 == limit->group_count || group[1].meeting <= group->meeting;
        if (is_window_over)
            sending_flush(limit->sending);
    }
}

static void make_subscribers(struct limit *limit, bool is_loopback)
{
    uint32_t count = limit->scenario.participants;
    limit->subscribers = calloc(count, sizeof(struct subscriber));
    limit->sources = aligned_alloc(64, SOURCE_BUFFERS * sizeof *limit->sources);
    bench_require(limit->subscribers != NULL && limit->sources != NULL, "memory");
    memset(limit->sources, 0x5a, SOURCE_BUFFERS * sizeof *limit->sources);
    bench_raise_descriptors();
    for (uint32_t i = 0; i < count; i++) {
        struct subscriber *subscriber = &limit->subscribers[i];
        struct rh_srtp_keys keys = {.key = {(uint8_t)i, (uint8_t)(i >> 8)}, .salt = {7}};
        bench_require(rh_srtp_send_init(&subscriber->srtp, rh_cipher_choose(),
                                        RH_SRTP_AEAD_AES_128_GCM, &keys) == RH_OK, "keys");
        subscriber->to = bench_target(is_loopback, i);
        subscriber->seq64 = RH_SEQ64_FIRST + 1;
    }
}

static int scenario_main(const char *name, char **arguments)
{
    bench_check_options(arguments, (const char *const[]){
        "--participants", "--meetings", "--window-us", "--padding", "--segmentation", "--seconds",
        "--rate", "--network", NULL});
    struct limit limit = {
        .scenario = scenario_read(name, arguments), .sending = sending_make(),
        .window_us = (uint64_t)bench_number(arguments, "--window-us", 5000),
        .padding_max = (uint32_t)bench_number(arguments, "--padding", 32),
        .has_segmentation = bench_switch(arguments, "--segmentation", true),
        .is_realtime = strcmp(bench_word(arguments, "--rate", "max"), "realtime") == 0};
    bool is_loopback = bench_is_loopback(arguments);
    if (!limit.has_segmentation)
        limit.padding_max = 0;
    make_subscribers(&limit, is_loopback);
    double seconds = bench_number(arguments, "--seconds", 2);
    limit.shots = shots_make(&limit.scenario, (uint64_t)(seconds * 1e6));
    make_groups(&limit);
    struct bench_usage before = bench_usage(RUSAGE_SELF);
    uint64_t wall_ns = bench_clock_ns(CLOCK_MONOTONIC);
    run_scenario(&limit);
    wall_ns = bench_clock_ns(CLOCK_MONOTONIC) - wall_ns;
    struct bench_usage after = bench_usage(RUSAGE_SELF);
    const struct sending *sent = limit.sending;
    const char *segmentation = !limit.has_segmentation ? "off"
        : sent->refused != 0                           ? "refused"
                                                       : "on";
    printf("{\"scenario\": \"%s\", \"network\": \"%s\", \"participants\": %u, \"packets\": %lu, "
           "\"messages\": %lu, \"segmented_packets\": %lu, \"padding_bytes\": %lu, "
           "\"bytes\": %lu, \"cpu_user_ns\": %lu, \"cpu_system_ns\": %lu, \"wall_ns\": %lu, "
           "\"cipher\": \"%s\", \"segmentation\": \"%s\"}\n",
           name, is_loopback ? "loopback" : "sink", limit.scenario.participants, sent->packets,
           sent->messages, sent->segmented_packets, limit.padding_bytes, sent->bytes,
           after.user_ns - before.user_ns, after.system_ns - before.system_ns, wall_ns,
           rh_cipher_choose()->name, segmentation);
    return 0;
}

/* ---- Single calls --------------------------------------------------------------------------- */

struct row {
    const char *name;
    int bytes, segments; /* segments 0: not of this row */
    void (*run)(struct row *row); /* passes ROW_PACKETS packets */
    struct sending *sending;
    struct sockaddr_in to[ROW_PACKETS];
    const struct rh_cipher_backend *backend;
    void *ciphers[ROW_PACKETS];
    struct rh_hmac_state hmac;
    int reader; /* descriptor */
    struct sockaddr_in reader_address;
};

static bool is_first_row = true;

static void print_row(struct row *row, void (*before)(struct row *row))
{
    static struct bench_samples samples;
    samples.count = 0;
    for (int i = 0; i <= ROW_REPETITIONS; i++) {
        if (before != NULL)
            before(row);
        uint64_t began = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        row->run(row);
        uint64_t spent = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
        if (i > 0) /* the first is to warm up */
            bench_add(&samples, (double)spent / ROW_PACKETS);
    }
    bench_sort(&samples);
    printf("%s{\"name\": \"%s\", \"packet_bytes\": %d, ", is_first_row ? "" : ",\n  ", row->name,
           row->bytes);
    if (row->segments != 0)
        printf("\"segments\": %d, ", row->segments);
    printf("\"ns_per_packet_min\": %.1f, \"ns_per_packet_median\": %.1f}", samples.values[0],
           samples.values[samples.count / 2]);
    is_first_row = false;
}

static void send_each(struct row *row)
{
    for (int i = 0; i < ROW_PACKETS; i++) {
        ssize_t sent = sendto(row->sending->fd, row->sending->arena, (size_t)row->bytes, 0,
                              (struct sockaddr *)&row->to[i], sizeof row->to[i]);
        bench_require(sent == row->bytes, "sendto (is there a route to 10.100.0.0/16?)");
    }
}

static void send_many(struct row *row)
{
    size_t segments = row->segments == 0 ? 1 : (size_t)row->segments;
    for (size_t i = 0; i < ROW_PACKETS; i += segments) {
        sending_commit(row->sending, &row->to[i], segments * (size_t)row->bytes,
                       (uint32_t)row->bytes);
        if (row->sending->count == 64)
            sending_flush(row->sending);
    }
    sending_flush(row->sending);
}

/* Puts ROW_PACKETS packets into the reader's socket, or as many as it holds. */
static void fill_reader(struct row *row)
{
    for (int i = 0; i < ROW_PACKETS; i++)
        row->to[i] = row->reader_address;
    send_many(row);
}

static void receive_many(struct row *row)
{
    enum { BATCH = 32, ROOM = 65536 };
    static uint8_t room[BATCH][ROOM];
    struct mmsghdr headers[BATCH] = {0};
    struct iovec vectors[BATCH];
    size_t wanted = (size_t)ROW_PACKETS * (size_t)row->bytes, bytes = 0;
    while (bytes < wanted) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){room[i], ROOM};
            headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
        }
        int got = recvmmsg(row->reader, headers, BATCH, MSG_DONTWAIT, NULL);
        bench_require(got > 0, "recvmmsg: the socket buffer holds too little");
        for (int i = 0; i < got; i++)
            bytes += headers[i].msg_len;
    }
}

static void print_receiving(struct row *row)
{
    static const int segments[] = {0, 2, 4, 8, 16};
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        row->reader = bench_loopback_socket(&row->reader_address, 16 << 20);
        int on = segments[i] != 0;
        setsockopt(row->reader, SOL_UDP, UDP_GRO, &on, sizeof on);
        row->name = on ? "UDP_GRO" : "recvmmsg";
        row->segments = segments[i];
        row->run = receive_many;
        print_row(row, fill_reader);
        close(row->reader);
    }
}

static int send_main(char **arguments)
{
    static struct row row;
    bench_check_options(
        arguments, (const char *const[]){"--packet-bytes", "--segments", "--network", NULL});
    int only_bytes = (int)bench_number(arguments, "--packet-bytes", 0);
    int only_segments = (int)bench_number(arguments, "--segments", 0);
    bool is_loopback = bench_is_loopback(arguments);
    row.sending = sending_make();
    bench_require(only_bytes <= 1472 && only_segments <= SEGMENTS_MAX, "sizes");
    printf("{\"network\": \"%s\", \"rows\": [", is_loopback ? "loopback" : "sink");
    for (size_t b = 0; b < 3; b++) {
        row.bytes = only_bytes != 0 ? only_bytes : row_bytes[b];
        for (uint32_t i = 0; i < ROW_PACKETS; i++) /* 32 sockets are enough of loopback */
            row.to[i] = is_loopback && i >= 32 ? row.to[i % 32] : bench_target(is_loopback, i);
        row.segments = 0;
        row.name = "sendto";
        row.run = send_each;
        print_row(&row, NULL);
        row.name = "sendmmsg";
        row.run = send_many;
        print_row(&row, NULL);
        row.name = "UDP_SEGMENT";
        for (row.segments = only_segments != 0 ? only_segments : 2; row.segments <= 16;
             row.segments *= 2) {
            print_row(&row, NULL);
            if (only_segments != 0)
                break;
        }
        print_receiving(&row);
        if (only_bytes != 0)
            break;
    }
    printf("]}\n");
    return 0;
}

static void seal_gcm(struct row *row)
{
    static uint8_t in[SOURCE_BYTES], out[64][SOURCE_BYTES], iv[RH_GCM_IV_BYTES];
    for (size_t i = 0; i < ROW_PACKETS; i++) {
        uint8_t *to = out[i % 64];
        rh_put32(iv + 8, (uint32_t)i);
        struct rh_gcm_job job = {
            .iv = iv, .aad = {.first = to, .first_bytes = HEADER_BYTES}, .in = in,
            .bytes = (size_t)row->bytes - HEADER_BYTES, .out = to + HEADER_BYTES,
            .tag = to + row->bytes};
        row->backend->gcm_seal(row->ciphers[i], &job);
    }
}

static void seal_cm(struct row *row)
{
    static uint8_t in[SOURCE_BYTES], out[64][SOURCE_BYTES], iv[RH_CTR_IV_BYTES], rollover[4];
    for (size_t i = 0; i < ROW_PACKETS; i++) {
        uint8_t *to = out[i % 64], tag[RH_HMAC_TAG_BYTES];
        rh_put32(iv + 8, (uint32_t)i);
        row->backend->ctr_xor(row->ciphers[i], iv, in, (size_t)row->bytes - HEADER_BYTES,
                              to + HEADER_BYTES);
        struct rh_pieces pieces = {to, (size_t)row->bytes, rollover, sizeof rollover};
        row->backend->hmac_sign(&row->hmac, &pieces, tag);
        memcpy(to + row->bytes, tag, 10);
    }
}

static int cipher_main(char **arguments)
{
    static struct row row;
    static const struct {
        const char *suffix;
        void (*run)(struct row *row);
    } profiles[] = {{"GCM", seal_gcm}, {"CM-SHA1", seal_cm}};
    bench_check_options(arguments, (const char *const[]){"--packet-bytes", NULL});
    int only_bytes = (int)bench_number(arguments, "--packet-bytes", 0);
    bench_require(only_bytes == 0 || (only_bytes > HEADER_BYTES && only_bytes <= 1472), "sizes");
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    printf("{\"cipher\": \"%s\", \"rows\": [", rh_cipher_choose()->name);
    for (size_t c = 0; c < count; c++) {
        row.backend = list[c];
        row.backend->hmac_init(&row.hmac, (const uint8_t[RH_HMAC_KEY_BYTES]){1});
        for (size_t p = 0; p < 2; p++) {
            for (size_t i = 0; i < ROW_PACKETS; i++) {
                uint8_t key[RH_CIPHER_KEY_BYTES] = {(uint8_t)i, (uint8_t)(i >> 8)};
                row.ciphers[i] = p == 0 ? row.backend->gcm_init(key, true)
                                        : row.backend->ctr_init(key);
                bench_require(row.ciphers[i] != NULL, "memory");
            }
            char name[64];
            snprintf(name, sizeof name, "%s %s", row.backend->name, profiles[p].suffix);
            row.name = name;
            row.run = profiles[p].run;
            for (size_t b = 0; b < (only_bytes != 0 ? 1 : 3); b++) {
                row.bytes = only_bytes != 0 ? only_bytes : row_bytes[b];
                print_row(&row, NULL);
            }
        }
    }
    printf("]}\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "send") == 0)
        return send_main(argv + 2);
    if (strcmp(name, "cipher") == 0)
        return cipher_main(argv + 2);
    bool is_scenario = strcmp(name, "gallery") == 0 || strcmp(name, "small") == 0
        || strcmp(name, "stage") == 0;
    if (is_scenario)
        return scenario_main(name, argv + 2);
    fprintf(stderr, "usage: limit gallery|small|stage|send|cipher [OPTIONS]\n");
    return 2;
}
