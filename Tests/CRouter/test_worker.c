/* Workers, their job queues and the relay between them; clean under the thread sanitizer too.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker_support.h"

enum { PRODUCERS = 4, JOBS_EACH = 20000 };

/* ---- Jobs ----------------------------------------------------------------------- */

struct producer {
    struct rh_worker *worker;
    uint32_t next; /* job expected of this producer; the worker's thread */
    pthread_t thread;
    struct numbered {
        struct producer *producer;
        uint32_t number;
    } jobs[JOBS_EACH];
};

static void run_numbered(void *context, void *job)
{
    struct numbered *numbered = job;
    uint64_t *total = context;
    assert_int_equal(numbered->number, numbered->producer->next);
    numbered->producer->next++;
    (*total)++;
}

static void *produce(void *argument)
{
    struct producer *producer = argument;
    for (uint32_t i = 0; i < JOBS_EACH; i++) {
        producer->jobs[i] = (struct numbered){producer, i};
        rh_worker_enqueue(producer->worker, &producer->jobs[i]);
    }
    return NULL;
}

static void jobsOfEachThreadRunInOrder(void **state)
{
    (void)state;
    static uint64_t total;
    struct rh_worker_config config = {
        .calls = {.context = &total, .run_job = run_numbered},
        .bind = {.family = 4, .ip = {127, 0, 0, 1}}, .tick_us = 1000, .buffers_max = 1024};
    struct rh_worker *worker;
    assert_int_equal(rh_worker_create(&config, &worker), RH_OK);
    assert_int_equal(rh_worker_start(worker), RH_OK);
    assert_false(rh_worker_is_current(worker));
    struct producer *producers = calloc(PRODUCERS, sizeof *producers);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i].worker = worker;
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    for (uint32_t i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    rh_worker_stop(worker); /* runs what is enqueued */
    assert_int_equal(total, PRODUCERS * JOBS_EACH);
    struct rh_counters counters;
    rh_worker_counters(worker, &counters);
    assert_int_equal(counters.jobs_run, PRODUCERS * JOBS_EACH);
    free(producers);
    rh_worker_destroy(worker);
}

static void jobsLeftOverAreFreed(void **state)
{
    (void)state;
    static uint64_t total;
    struct rh_worker_config config = {
        .calls = {.context = &total, .run_job = run_numbered},
        .bind = {.family = 6, .ip = {[15] = 1}}, .tick_us = 1000, .buffers_max = 1024};
    struct rh_worker *worker;
    if (rh_worker_create(&config, &worker) == RH_SYSTEM)
        skip(); /* no IPv6 on this machine */
    struct numbered job = {0};
    rh_worker_enqueue(worker, &job);
    rh_worker_destroy(worker);
}

static void createRefusesAPortThatIsTaken(void **state)
{
    (void)state;
    struct host host;
    host_make(&host, 0);
    struct rh_worker_config config = {
        .bind = {.family = 4, .port = rh_worker_port(host.worker), .ip = {127, 0, 0, 1}},
        .tick_us = 1000};
    struct rh_worker *worker;
    assert_int_equal(rh_worker_create(&config, &worker), RH_SYSTEM);
    assert_null(worker);
    host_destroy(&host);
}

/* ---- Datagrams ------------------------------------------------------------------ */

static void answer(struct host *host, void *argument)
{
    (void)argument;
    pthread_mutex_lock(&host->lock);
    struct rh_address to = host->last_datagram.from;
    pthread_mutex_unlock(&host->lock);
    assert_int_equal(rh_worker_send(host->worker, &to, (const uint8_t *)"\1\1answer", 8), RH_OK);
    static const uint8_t too_long[4000];
    assert_int_equal(rh_worker_send(host->worker, &to, too_long, sizeof too_long), RH_FULL);
}

static void strangersReachTheOwnerOnlyWithSTUNAndDTLS(void **state)
{
    (void)state;
    struct host host;
    host_make(&host, 0);
    host_start(&host);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(rh_worker_port(host.worker)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    static const uint8_t stun[20] = {0, 1}, dtls[13] = {22}, rtp[40] = {0x80, 96};
    static const uint8_t quic[20] = {0xc0};
    static const uint8_t longer[1600] = {0, 1};
    send(fd, longer, sizeof longer, 0);
    send(fd, quic, sizeof quic, 0);
    send(fd, rtp, sizeof rtp, 0);
    send(fd, dtls, sizeof dtls, 0);
    send(fd, stun, sizeof stun, 0);
    assert_true(host_wait_counter(&host, offsetof(struct rh_counters, received_packets), 5));
    assert_true(host_wait_datagrams(&host, RH_DATAGRAM_STUN, 1));
    assert_true(host_wait_datagrams(&host, RH_DATAGRAM_DTLS, 1));
    host_run(&host, answer, NULL);
    struct rh_counters counters = host_counters(&host);
    assert_int_equal(counters.drop_unknown_address, 1);
    assert_int_equal(counters.drop_unhandled, 2);
    uint8_t reply[16];
    assert_int_equal(recv(fd, reply, sizeof reply, 0), 8);
    close(fd);
    host_end(&host);
}

/* ---- Relay ---------------------------------------------------------------------- */

struct branch {
    rh_track_id track, mirror;
};

static void add_branch(struct host *host, void *argument)
{
    struct branch *branch = argument;
    assert_int_equal(rh_track_add_branch(host->worker, branch->track, 1, branch->mirror), RH_OK);
    assert_int_equal(
        rh_track_add_branch(host->worker, branch->track, 5, branch->mirror), RH_UNSUPPORTED);
}

static void remove_mirror(struct host *host, void *argument)
{
    assert_int_equal(rh_track_destroy(host->worker, *(rh_track_id *)argument), RH_OK);
}

static void packetsReachSubscribersOfAnotherWorker(void **state)
{
    (void)state;
    struct host hosts[2];
    host_make(&hosts[0], 0);
    host_make(&hosts[1], 1);
    assert_int_equal(rh_worker_connect(hosts[0].worker, hosts[1].worker), RH_OK);
    host_start(&hosts[0]);
    host_start(&hosts[1]);
    struct client publisher, near, far;
    client_make(&publisher, &hosts[0], RH_SRTP_AEAD_AES_128_GCM, 1);
    client_make(&near, &hosts[0], RH_SRTP_AEAD_AES_128_GCM, 2);
    client_make(&far, &hosts[1], RH_SRTP_AES128_CM_HMAC_SHA1_80, 3);
    struct rh_track_config config = video_config("v", 1);
    struct branch branch = {
        track_make(&hosts[0], publisher.peer, &config), track_make(&hosts[1], 0, &config)};
    host_run(&hosts[0], add_branch, &branch);
    struct rh_slot_config slot = slot_config(RH_VIDEO, 600, "x");
    struct rh_slot_binding binding = {branch.track, PT_VIDEO_OUT, PT_RTX_OUT, {0, 255, 255}};
    assert_int_equal(
        slot_bind(&hosts[0], slot_make(&hosts[0], near.peer, &slot), &binding), RH_OK);
    binding.track = branch.mirror;
    assert_int_equal(
        slot_bind(&hosts[1], slot_make(&hosts[1], far.peer, &slot), &binding), RH_OK);
    struct received at_near, at_far;
    uint8_t payload[600];
    for (uint16_t n = 0; n < 2000; n++) {
        struct vp8 vp8 = {
            .key = n == 0, .start = true, .picture_id = n, .tl0 = (uint8_t)n,
            .fill = (uint8_t)n, .body_bytes = 300};
        struct packet packet = {
            .ssrc = 9, .seq = n, .timestamp = 3000u * n, .payload_type = PT_VIDEO, .marker = true,
            .mid = "v", .payload = payload, .payload_bytes = vp8_payload(&vp8, payload)};
        client_send(&publisher, &packet);
        assert_true(client_receive(&near, &at_near, WAIT_MS));
        assert_true(client_receive(&far, &at_far, WAIT_MS));
        assert_int_equal(at_near.payload_bytes, at_far.payload_bytes);
        assert_int_equal(at_far.payload[at_far.payload_bytes - 1], (uint8_t)n);
    }
    assert_int_equal(host_counters(&hosts[0]).relayed_packets, 2000);
    host_run(&hosts[1], remove_mirror, &branch.mirror); /* the branch is stale from now on */
    struct packet packet = {
        .ssrc = 9, .seq = 2000, .timestamp = 1, .payload_type = PT_VIDEO, .mid = "v",
        .payload = payload, .payload_bytes = 100};
    client_send(&publisher, &packet);
    assert_true(client_receive(&near, &at_near, WAIT_MS));
    assert_false(client_receive(&far, &at_far, 50));
    client_end(&publisher);
    client_end(&near);
    client_end(&far);
    host_stop(&hosts[0]);
    host_stop(&hosts[1]);
    host_destroy(&hosts[0]);
    host_destroy(&hosts[1]);
}

int main(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a worker of a failed test would go on running */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobsOfEachThreadRunInOrder),
        cmocka_unit_test(jobsLeftOverAreFreed),
        cmocka_unit_test(createRefusesAPortThatIsTaken),
        cmocka_unit_test(strangersReachTheOwnerOnlyWithSTUNAndDTLS),
        cmocka_unit_test(packetsReachSubscribersOfAnotherWorker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
