/* The socket: messages cut apart and put together by the kernel, and what happens when it refuses.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/udp.h"
#include "worker_support.h"

enum { SEGMENT_BYTES = 300, SEGMENTS = 4 };

/* Messages that sendmmsg may take before it says EAGAIN; negative: no limit. */
static int allowance = -1;

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (allowance == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (allowance > 0 && count > (unsigned)allowance)
        count = (unsigned)allowance;
    int taken = (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
    if (allowance > 0 && taken > 0)
        allowance -= taken;
    return taken;
}

struct pair {
    struct rh_udp from, to;
    struct rh_address address;
    struct rh_sendqueue queue;
};

static void pair_make(struct pair *pair)
{
    struct rh_address any_port = {.family = 4, .ip = {127, 0, 0, 1}};
    memset(pair, 0, sizeof *pair);
    assert_int_equal(rh_udp_init(&pair->from, &any_port, 1 << 20, false), RH_OK);
    assert_int_equal(rh_udp_init(&pair->to, &any_port, 4 << 20, true), RH_OK);
    assert_true(rh_sendqueue_init(&pair->queue));
    pair->address = any_port;
    pair->address.port = pair->to.port;
}

static void pair_end(struct pair *pair)
{
    rh_udp_deinit(&pair->from);
    rh_udp_deinit(&pair->to);
    rh_sendqueue_deinit(&pair->queue);
}

/* Queues a message of SEGMENTS segments, filled with a number each, the last 100 bytes short. */
static void queue_message(struct pair *pair, uint8_t number)
{
    uint8_t *place = rh_sendqueue_place(&pair->queue);
    size_t size = SEGMENTS * SEGMENT_BYTES - 100;
    for (size_t i = 0; i < size; i++)
        place[i] = (uint8_t)(number + i / SEGMENT_BYTES);
    rh_sendqueue_commit(
        &pair->queue, &pair->address,
        (struct rh_message){
            .size = size, .segment_bytes = SEGMENT_BYTES, .segments = SEGMENTS});
}

/* Reads datagrams until count came; checks that they hold from, from + 1 … in order. */
static void expect_datagrams(struct pair *pair, uint8_t from, uint32_t count)
{
    static uint8_t memory[RH_RECEIVE_BATCH][RH_PACKET_BYTES_MAX];
    uint8_t *places[RH_RECEIVE_BATCH];
    uint32_t sizes[RH_RECEIVE_BATCH];
    uint16_t segment_bytes[RH_RECEIVE_BATCH];
    struct rh_address senders[RH_RECEIVE_BATCH];
    for (uint32_t i = 0; i < RH_RECEIVE_BATCH; i++)
        places[i] = memory[i];
    struct rh_udp_read read = {
        .places = places, .sizes = sizes, .segment_bytes = segment_bytes, .from = senders,
        .count = RH_RECEIVE_BATCH};
    uint32_t seen = 0;
    for (uint32_t messages; seen < count && (messages = rh_udp_receive(&pair->to, &read)) > 0;)
        for (uint32_t m = 0; m < messages; m++) {
            assert_int_equal(senders[m].port, pair->from.port);
            uint8_t part[RH_PACKET_BYTES_MAX];
            uint16_t size;
            for (uint32_t p = 0; (size = rh_udp_copy_part(&pair->to, &read, m, p, part)) > 0; p++) {
                bool is_last = seen % SEGMENTS == SEGMENTS - 1;
                assert_int_equal(size, is_last ? SEGMENT_BYTES - 100 : SEGMENT_BYTES);
                for (uint16_t i = 0; i < size; i++)
                    assert_int_equal(part[i], (uint8_t)(from + seen / SEGMENTS * 10
                                                        + seen % SEGMENTS));
                seen++;
            }
        }
    assert_int_equal(seen, count);
}

static void messagesAreCutApartAndPutTogether(void **state)
{
    (void)state;
    struct pair pair;
    pair_make(&pair);
    for (uint8_t i = 0; i < 12; i++)
        queue_message(&pair, (uint8_t)(i * 10));
    struct rh_udp_sent sent = rh_udp_flush(&pair.from, &pair.queue, false);
    assert_int_equal(sent.packets, 12 * SEGMENTS);
    assert_int_equal(sent.messages, 12);
    assert_int_equal(sent.segmented_messages, 12);
    assert_int_equal(sent.segmented_packets, 12 * SEGMENTS);
    assert_int_equal(pair.queue.count, 0);
    expect_datagrams(&pair, 0, 12 * SEGMENTS);
    pair_end(&pair);
}

/* A socket that sends without checksums is one for which the kernel refuses to cut. */
static void refusedSegmentationFallsBackForGood(void **state)
{
    (void)state;
    struct pair pair;
    pair_make(&pair);
    int on = 1;
    assert_int_equal(setsockopt(pair.from.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    for (uint8_t i = 0; i < 3; i++)
        queue_message(&pair, (uint8_t)(i * 10));
    struct rh_udp_sent sent = rh_udp_flush(&pair.from, &pair.queue, false);
    assert_int_equal(sent.refused, 3);
    assert_int_equal(sent.packets, 3 * SEGMENTS);
    assert_int_equal(sent.messages, 3 * SEGMENTS);
    assert_int_equal(sent.segmented_messages, 0);
    assert_int_equal(sent.errors + sent.dropped, 0);
    assert_false(pair.from.segmentation_refused);
    expect_datagrams(&pair, 0, 3 * SEGMENTS);
    for (uint8_t i = 0; i < 14; i++)
        queue_message(&pair, (uint8_t)(i * 10));
    sent = rh_udp_flush(&pair.from, &pair.queue, false);
    assert_int_equal(sent.packets, 14 * SEGMENTS);
    assert_true(pair.from.segmentation_refused);
    expect_datagrams(&pair, 0, 14 * SEGMENTS);
    pair_end(&pair);
}

static void whatTheKernelHasNoRoomForWaits(void **state)
{
    (void)state;
    struct pair pair;
    pair_make(&pair);
    for (uint8_t i = 0; i < 9; i++)
        queue_message(&pair, (uint8_t)(i * 10));
    allowance = 4;
    struct rh_udp_sent sent = rh_udp_flush(&pair.from, &pair.queue, false);
    assert_int_equal(sent.packets, 4 * SEGMENTS);
    assert_int_equal(sent.dropped, 0);
    assert_true(pair.from.blocked);
    assert_int_equal(pair.queue.count - pair.queue.sent, 5);
    allowance = 2;
    sent = rh_udp_flush(&pair.from, &pair.queue, false);
    assert_int_equal(sent.packets, 2 * SEGMENTS);
    assert_true(pair.from.blocked);
    allowance = 1;
    sent = rh_udp_flush(&pair.from, &pair.queue, true);
    assert_int_equal(sent.packets, 1 * SEGMENTS);
    assert_int_equal(sent.dropped, 2 * SEGMENTS);
    assert_int_equal(pair.queue.count, 0);
    allowance = -1;
    expect_datagrams(&pair, 0, 7 * SEGMENTS);
    pair_end(&pair);
}

/* ---- The same through a worker ------------------------------------------------------ */

enum { TOGETHER = 20 };

static void packetsThatComeTogetherLeaveTogether(void **state)
{
    (void)state;
    struct host host;
    struct client publisher, subscriber;
    host_make(&host, 0);
    host_start(&host);
    client_make(&publisher, &host, RH_SRTP_AEAD_AES_128_GCM, 1);
    client_make(&subscriber, &host, RH_SRTP_AEAD_AES_128_GCM, 2);
    struct rh_track_config config = video_config("v", 1);
    rh_track_id track = track_make(&host, publisher.peer, &config);
    struct rh_slot_config slot_like = slot_config(RH_VIDEO, 5000, "s7");
    rh_slot_id slot = slot_make(&host, subscriber.peer, &slot_like);
    struct rh_slot_binding binding = {track, PT_VIDEO_OUT, PT_RTX_OUT, {0, 255, 255}};
    assert_int_equal(slot_bind(&host, slot, &binding), RH_OK);
    static uint8_t payloads[TOGETHER][1000];
    struct packet packets[TOGETHER];
    for (uint16_t n = 0; n < TOGETHER; n++) {
        struct vp8 vp8 = {.key = n == 0, .start = n == 0, .picture_id = 9,
            .fill = (uint8_t)n, .body_bytes = 700};
        packets[n] = (struct packet){
            .ssrc = 77, .seq = (uint16_t)(100 + n), .timestamp = 3000, .mid = "v",
            .payload_type = PT_VIDEO, .payload = payloads[n], .marker = n + 1 == TOGETHER,
            .payload_bytes = vp8_payload(&vp8, payloads[n])};
    }
    client_send_together(&publisher, packets, TOGETHER);
    struct received received;
    uint16_t first_seq = 0;
    for (uint16_t n = 0; n < TOGETHER; n++) {
        assert_true(client_receive(&subscriber, &received, WAIT_MS));
        if (n == 0)
            first_seq = received.seq;
        assert_int_equal(received.seq, (uint16_t)(first_seq + n));
        assert_int_equal(received.payload_bytes, packets[n].payload_bytes);
        assert_int_equal(received.payload[received.payload_bytes - 1], (uint8_t)n);
    }
    assert_true(host_wait_counter(
        &host, offsetof(struct rh_counters, segmented_packets), TOGETHER));
    struct rh_counters counters = host_counters(&host);
    assert_int_equal(counters.coalesced_packets, TOGETHER);
    assert_int_equal(counters.segmented_packets, TOGETHER);
    assert_int_equal(counters.segmented_messages, 1);
    uint64_t timed = 0;
    for (uint32_t i = 0; i < RH_LATENCY_BUCKETS; i++)
        timed += counters.forward_latency[i];
    assert_int_equal(timed, TOGETHER);
    client_end(&publisher);
    client_end(&subscriber);
    host_end(&host);
}

int main(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a worker of a failed test would go on running */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messagesAreCutApartAndPutTogether),
        cmocka_unit_test(refusedSegmentationFallsBackForGood),
        cmocka_unit_test(whatTheKernelHasNoRoomForWaits),
        cmocka_unit_test(packetsThatComeTogetherLeaveTogether),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
