/* Ten thousand control operations in random order between random packets: no crash, no leak, no
 * stale object found. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker_support.h"

enum { OPERATIONS = 10000, KEPT = 24, CLIENTS = 6 };

/* Objects made and maybe gone again: names stay in the lists, so that stale ones are used too. */
struct chaos {
    struct dice dice;
    struct host *host;
    rh_peer_id peers[KEPT];
    rh_track_id tracks[KEPT];
    rh_slot_id slots[KEPT];
    struct client clients[CLIENTS];
    uint32_t fresh; /* the newest of them */
    bool is_joined; /* there was room for the last track, slot and binding */
};

static uint32_t any(struct chaos *chaos, const uint32_t *names)
{
    return roll_percent(&chaos->dice, 2) ? (uint32_t)roll(&chaos->dice)
                                         : names[roll_below(&chaos->dice, KEPT)];
}

static struct rh_address any_address(struct chaos *chaos)
{
    if (roll_percent(&chaos->dice, 50))
        return chaos->clients[roll_below(&chaos->dice, CLIENTS)].address;
    return (struct rh_address){
        .family = (uint8_t)(4 + roll_below(&chaos->dice, 3)), .ip = {127, 0, 0, 1},
        .port = (uint16_t)(1 + roll_below(&chaos->dice, 50))};
}

static void on_peer(struct chaos *chaos, struct rh_worker *worker)
{
    uint32_t place = roll_below(&chaos->dice, KEPT);
    rh_peer_id peer = any(chaos, chaos->peers);
    struct rh_address address = any_address(chaos);
    struct rh_srtp_keys keys[2];
    struct rh_extension_ids ids;
    struct rh_arrival arrivals[8];
    uint8_t rtcp[40] = {0x81, 201, 0, 7};
    struct rh_peer_report report;
    switch (roll_below(&chaos->dice, 9)) {
    case 0: rh_peer_create(worker, &chaos->peers[place]); break;
    case 1: rh_peer_add_address(worker, peer, &address); break;
    case 2: rh_peer_select_address(worker, peer, &address); break;
    case 3: rh_peer_clear_selection(worker, peer); break;
    case 4:
        if (!roll_percent(&chaos->dice, 10))
            break;
        roll_bytes(&chaos->dice, (uint8_t *)keys, sizeof keys);
        rh_peer_set_srtp(
            worker, peer, roll_percent(&chaos->dice, 50) ? RH_SRTP_AEAD_AES_128_GCM
                                                         : RH_SRTP_AES128_CM_HMAC_SHA1_80,
            &keys[0], &keys[1]);
        break;
    case 5:
        if (!roll_percent(&chaos->dice, 10))
            break;
        roll_bytes(&chaos->dice, (uint8_t *)&ids, sizeof ids);
        rh_peer_set_extensions(worker, peer, &ids);
        break;
    case 6: rh_peer_send_rtcp(worker, peer, rtcp, roll_below(&chaos->dice, 41)); break;
    case 7:
        rh_peer_take_arrivals(worker, peer, arrivals, 8);
        rh_peer_get_report(worker, peer, &report);
        break;
    default:
        if (roll_percent(&chaos->dice, 30))
            rh_peer_destroy(worker, peer);
    }
}

static void on_track(struct chaos *chaos, struct rh_worker *worker)
{
    uint32_t place = roll_below(&chaos->dice, KEPT);
    rh_track_id track = any(chaos, chaos->tracks);
    struct rh_track_config config = roll_percent(&chaos->dice, 30)
        ? audio_config("a") : video_config("v", (uint8_t)(1 + roll_below(&chaos->dice, 3)));
    if (roll_percent(&chaos->dice, 5))
        roll_bytes(&chaos->dice, (uint8_t *)&config, sizeof config);
    struct rh_encoding_report report;
    uint32_t encoding = roll_below(&chaos->dice, 4);
    switch (roll_below(&chaos->dice, 6)) {
    case 0:
    case 1:
        rh_track_create(worker, any(chaos, chaos->peers), &config, &chaos->tracks[place]);
        break;
    case 2: rh_track_set_muted(worker, track, roll_percent(&chaos->dice, 50)); break;
    case 3: rh_encoding_set_sender_report(worker, track, encoding, roll(&chaos->dice), 5); break;
    case 4:
        rh_encoding_get_report(worker, track, encoding, &report);
        rh_encoding_has(worker, track, encoding, roll(&chaos->dice));
        rh_mirror_create(worker, &config, &chaos->tracks[place]);
        break;
    default: rh_track_destroy(worker, track);
    }
}

static void on_slot(struct chaos *chaos, struct rh_worker *worker)
{
    uint32_t place = roll_below(&chaos->dice, KEPT);
    rh_slot_id slot = any(chaos, chaos->slots);
    struct rh_slot_config config = slot_config(
        roll_percent(&chaos->dice, 30) ? RH_AUDIO : RH_VIDEO, roll_below(&chaos->dice, 9), "m");
    struct rh_target target = {
        (uint8_t)roll_below(&chaos->dice, 4), (uint8_t)roll(&chaos->dice),
        (uint8_t)roll(&chaos->dice)};
    struct rh_slot_binding binding = {any(chaos, chaos->tracks), PT_VIDEO_OUT, PT_RTX_OUT, target};
    uint16_t seqs[20];
    roll_bytes(&chaos->dice, (uint8_t *)seqs, sizeof seqs);
    struct rh_slot_report report;
    switch (roll_below(&chaos->dice, 8)) {
    case 0: rh_slot_create(worker, any(chaos, chaos->peers), &config, &chaos->slots[place]); break;
    case 1:
    case 2: rh_slot_bind(worker, slot, &binding); break;
    case 3: rh_slot_unbind(worker, slot); break;
    case 4: rh_slot_set_target(worker, slot, target); break;
    case 5: rh_slot_set_paused(worker, slot, roll_percent(&chaos->dice, 50)); break;
    case 6:
        if (rh_slot_get_report(worker, slot, &report) == RH_OK)
            for (uint16_t i = 0; i < 20; i++)
                seqs[i] = (uint16_t)(report.last_seq - i);
        rh_slot_resend(worker, slot, seqs, 20, roll_below(&chaos->dice, 100000));
        break;
    default: rh_slot_destroy(worker, slot);
    }
}

static void operate(struct host *host, void *argument)
{
    struct chaos *chaos = argument;
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t which = roll_below(&chaos->dice, 3);
        if (which == 0)
            on_peer(chaos, host->worker);
        else if (which == 1)
            on_track(chaos, host->worker);
        else
            on_slot(chaos, host->worker);
    }
}

/* Binds a new slot of one reachable peer to a new track of another. */
static void join_peers(
    struct chaos *chaos, struct rh_worker *worker, rh_peer_id publisher, rh_peer_id subscriber)
{
    struct rh_track_config track = video_config("v", (uint8_t)(1 + roll_below(&chaos->dice, 3)));
    struct rh_slot_config slot = slot_config(RH_VIDEO, 100 + roll_below(&chaos->dice, 50), "m");
    uint32_t place = roll_below(&chaos->dice, KEPT);
    enum rh_result tracked =
        rh_track_create(worker, publisher, &track, &chaos->tracks[place]);
    rh_slot_create(worker, subscriber, &slot, &chaos->slots[place]);
    struct rh_slot_binding binding = {
        chaos->tracks[place], PT_VIDEO_OUT, PT_RTX_OUT, {0, 255, 255}};
    enum rh_result bound = rh_slot_bind(worker, chaos->slots[place], &binding);
    chaos->is_joined = tracked == RH_OK && bound == RH_OK;
}

static void join(struct host *host, void *argument)
{
    struct chaos *chaos = argument;
    rh_peer_id publisher = chaos->clients[roll_below(&chaos->dice, CLIENTS)].peer;
    rh_peer_id subscriber = chaos->clients[roll_below(&chaos->dice, CLIENTS)].peer;
    join_peers(chaos, host->worker, publisher, subscriber);
}

/* A fresh peer subscribes to itself, so that something is forwarded for certain. */
static void join_itself(struct host *host, void *argument)
{
    struct chaos *chaos = argument;
    rh_peer_id peer = chaos->clients[chaos->fresh].peer;
    join_peers(chaos, host->worker, peer, peer);
}

static void send_keyframe(struct client *client, uint16_t seq)
{
    uint8_t bytes[100];
    struct vp8 vp8 = {.key = true, .start = true, .picture_id = seq, .body_bytes = 50};
    struct packet packet = {
        .ssrc = 1000 + seq, .seq = seq, .timestamp = 3000u * seq, .payload_type = PT_VIDEO,
        .mid = "v", .rid = "q", .payload = bytes,
        .payload_bytes = vp8_payload(&vp8, bytes)};
    client_send(client, &packet);
}

/* Random bytes, or a packet that authenticates unless keys were changed since. */
static void send_any(struct chaos *chaos, struct client *client, uint16_t *seq)
{
    uint8_t bytes[1500];
    if (roll_percent(&chaos->dice, 40)) {
        size_t size = roll_below(&chaos->dice, sizeof bytes);
        roll_bytes(&chaos->dice, bytes, size);
        if (size > 0 && roll_percent(&chaos->dice, 70))
            bytes[0] = 0x80 | (bytes[0] & 0x3f);
        send(client->fd, bytes, size, 0);
        return;
    }
    bool is_audio = roll_percent(&chaos->dice, 30);
    struct vp8 vp8 = {
        .key = roll_percent(&chaos->dice, 30), .start = true, .picture_id = *seq & 0x7fff,
        .body_bytes = 10 + roll_below(&chaos->dice, 1000)};
    size_t size = vp8_payload(&vp8, bytes);
    if (roll_percent(&chaos->dice, 20))
        roll_bytes(&chaos->dice, bytes, size);
    static const char *const rids[] = {"q", "h", "f", NULL};
    struct packet packet = {
        .ssrc = 1 + roll_below(&chaos->dice, 40), .seq = (*seq)++, .timestamp = 3000u * *seq,
        .payload_type = is_audio ? PT_AUDIO : roll_percent(&chaos->dice, 80) ? PT_VIDEO : PT_RTX,
        .mid = is_audio ? "a" : "v", .rid = rids[roll_below(&chaos->dice, 4)], .payload = bytes,
        .payload_bytes = size};
    client_send(client, &packet);
}

static void anyOrderOfControlIsSurvived(void **state)
{
    (void)state;
    struct host host;
    host_make(&host, 0);
    host_start(&host);
    struct chaos *chaos = calloc(1, sizeof *chaos);
    chaos->dice.state = 20;
    chaos->host = &host;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        client_make(&chaos->clients[i], &host, RH_SRTP_AEAD_AES_128_GCM, 50 + i);
        chaos->peers[i] = chaos->clients[i].peer;
    }
    uint16_t seq = 0;
    for (uint32_t i = 0; i < OPERATIONS / 10; i++) {
        for (uint32_t n = roll_below(&chaos->dice, 20); n > 0; n--)
            send_any(chaos, &chaos->clients[roll_below(&chaos->dice, CLIENTS)], &seq);
        host_run(&host, operate, chaos);
        host_run(&host, join, chaos);
        if (i % 50 == 49) { /* a fresh peer that can be reached */
            uint32_t place = i / 50 % CLIENTS;
            client_end(&chaos->clients[place]);
            client_make(&chaos->clients[place], &host, RH_SRTP_AEAD_AES_128_GCM, 90 + i);
            chaos->peers[place] = chaos->clients[place].peer;
            chaos->fresh = place;
            host_run(&host, join_itself, chaos);
            struct rh_counters before = host_counters(&host);
            send_keyframe(&chaos->clients[place], (uint16_t)(i + 1));
            size_t counter = offsetof(struct rh_counters, forwarded_packets);
            uint64_t more = before.forwarded_packets + 1;
            assert_true(!chaos->is_joined || host_wait_counter(&host, counter, more));
        }
    }
    struct rh_counters counters = host_counters(&host);
    assert_true(counters.received_packets > 1000);
    assert_true(counters.forwarded_packets >= 3);
    for (uint32_t i = 0; i < CLIENTS; i++)
        client_end(&chaos->clients[i]);
    free(chaos);
    host_end(&host);
}

int main(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a worker of a failed test would go on running */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anyOrderOfControlIsSurvived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
