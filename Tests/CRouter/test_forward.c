/* The packet path through a real worker, with libsrtp2 at both ends.
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "wire/bytes.h"
#include "worker_support.h"

enum { SUBSCRIBERS = 3 };

static const struct rh_target lowest = {0, 255, 255};

static void send_video(
    struct client *client, uint32_t ssrc, uint16_t seq, const char *rid, const struct vp8 *vp8)
{
    uint8_t payload[1400];
    struct packet packet = {
        .ssrc = ssrc, .seq = seq, .timestamp = 3000u * vp8->picture_id, .payload_type = PT_VIDEO,
        .marker = true, .mid = "v", .rid = rid, .payload = payload,
        .payload_bytes = vp8_payload(vp8, payload)};
    client_send(client, &packet);
}

/* The nth picture of a stream, one packet each. */
static struct vp8 picture(uint16_t id, bool key)
{
    return (struct vp8){
        .key = key, .start = true, .picture_id = id, .tl0 = (uint8_t)id, .fill = (uint8_t)id,
        .body_bytes = 40 + id % 1000};
}

static void expect_video(struct client *client, struct received *received)
{
    assert_true(client_receive(client, received, WAIT_MS));
    assert_int_equal(received->payload_type, PT_VIDEO_OUT);
    assert_true(received->payload_bytes >= 47);
}

struct room {
    struct host host;
    struct client publisher, subscribers[SUBSCRIBERS];
    rh_slot_id slots[SUBSCRIBERS];
    rh_track_id track;
};

/* One publisher with one video track and three subscribers bound to it. */
static void room_make(struct room *room, enum rh_srtp_profile profile, uint8_t encodings)
{
    host_make(&room->host, 0);
    host_start(&room->host);
    client_make(&room->publisher, &room->host, profile, 1);
    struct rh_track_config track = video_config("v", encodings);
    room->track = track_make(&room->host, room->publisher.peer, &track);
    for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
        client_make(&room->subscribers[i], &room->host, profile, 100 + i);
        struct rh_slot_config slot = slot_config(RH_VIDEO, 5000 + 10 * i, "s7");
        room->slots[i] = slot_make(&room->host, room->subscribers[i].peer, &slot);
        struct rh_slot_binding binding = {room->track, PT_VIDEO_OUT, PT_RTX_OUT, lowest};
        assert_int_equal(slot_bind(&room->host, room->slots[i], &binding), RH_OK);
    }
}

static void room_end(struct room *room)
{
    client_end(&room->publisher);
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        client_end(&room->subscribers[i]);
    host_end(&room->host);
}

static void forward_with(enum rh_srtp_profile profile)
{
    struct room room;
    room_make(&room, profile, 1);
    struct received received;
    uint16_t first_seq[SUBSCRIBERS] = {0};
    for (uint16_t n = 0; n < 200; n++) {
        struct vp8 vp8 = picture(1000 + n, n == 0);
        send_video(&room.publisher, 77, (uint16_t)(65500 + n), NULL, &vp8); /* over the wrap */
        for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
            expect_video(&room.subscribers[i], &received);
            if (n == 0)
                first_seq[i] = received.seq;
            assert_int_equal(received.seq, (uint16_t)(first_seq[i] + n));
            assert_int_equal(received.ssrc, 5000 + 10 * i);
            assert_string_equal(received.mid, "s7");
            assert_true(received.has_send_time && received.marker);
            assert_int_equal(received.payload_bytes, 7 + vp8.body_bytes);
            assert_int_equal(received.payload[received.payload_bytes - 1], (uint8_t)(1000 + n));
        }
    }
    struct rh_event event;
    assert_true(host_wait_event(&room.host, RH_EVENT_SOURCE_BOUND, 0, &event) > 0);
    assert_int_equal(event.ssrc, 77);
    assert_true(host_wait_event(&room.host, RH_EVENT_KEYFRAME_WANTED, 0, &event) > 0);
    assert_true(host_wait_event(&room.host, RH_EVENT_SWITCHED, 0, &event) > 0);
    assert_int_equal(host_counters(&room.host).forwarded_packets, 200 * SUBSCRIBERS);
    room_end(&room);
}

static void forwardsToEverySlotWithGCM(void **state)
{
    (void)state;
    forward_with(RH_SRTP_AEAD_AES_128_GCM);
}

static void forwardsToEverySlotWithCM(void **state)
{
    (void)state;
    forward_with(RH_SRTP_AES128_CM_HMAC_SHA1_80);
}

static void longPayloadsPass(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received received;
    struct vp8 vp8 = picture(1, true);
    vp8.body_bytes = 1360;
    send_video(&room.publisher, 77, 10, NULL, &vp8);
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.payload_bytes, 1367);
    room_end(&room);
}

struct target_call {
    rh_slot_id slot;
    struct rh_target target;
};

static void set_target(struct host *host, void *argument)
{
    struct target_call *call = argument;
    assert_int_equal(rh_slot_set_target(host->worker, call->slot, call->target), RH_OK);
}

/* The higher encoding takes over at its keyframe; until then the lower one goes on. */
static void simulcastSwitchWaitsForKeyframe(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 2);
    struct received last, next;
    struct vp8 low = picture(100, true), high = picture(4000, true);
    send_video(&room.publisher, 11, 500, "q", &low);
    send_video(&room.publisher, 22, 9000, "h", &high);
    expect_video(&room.subscribers[0], &last);
    assert_int_equal(last.payload[last.payload_bytes - 1], (uint8_t)100);
    struct target_call call = {room.slots[0], {1, 255, 255}};
    host_run(&room.host, set_target, &call);
    for (uint16_t n = 1; n < 5; n++) { /* no keyframe of the higher one yet */
        low = picture(100 + n, false);
        high = picture(4000 + n, false);
        send_video(&room.publisher, 22, 9000 + n, "h", &high);
        send_video(&room.publisher, 11, 500 + n, "q", &low);
        expect_video(&room.subscribers[0], &next);
        assert_int_equal(next.payload[next.payload_bytes - 1], (uint8_t)(100 + n));
        assert_int_equal(next.seq, (uint16_t)(last.seq + 1));
        last = next;
    }
    uint16_t last_id = rh_get16(last.payload + 2) & 0x7fff;
    uint8_t last_tl0 = last.payload[4];
    high = picture(4010, true);
    send_video(&room.publisher, 22, 9005, "h", &high);
    expect_video(&room.subscribers[0], &next);
    assert_int_equal(next.payload[next.payload_bytes - 1], (uint8_t)4010);
    assert_int_equal(next.seq, (uint16_t)(last.seq + 1));
    assert_true((int32_t)(next.timestamp - last.timestamp) > 0);
    assert_int_equal(rh_get16(next.payload + 2) & 0x7fff, last_id + 1);
    assert_int_equal(next.payload[4], (uint8_t)(last_tl0 + 1));
    low = picture(120, false);
    send_video(&room.publisher, 11, 505, "q", &low);
    assert_false(client_receive(&room.subscribers[0], &next, 50));
    room_end(&room);
}

struct resend_call {
    rh_slot_id slot;
    uint16_t seqs[4];
    uint32_t count, rtt_us, resent;
};

static void resend(struct host *host, void *argument)
{
    struct resend_call *call = argument;
    call->resent =
        rh_slot_resend(host->worker, call->slot, call->seqs, call->count, call->rtt_us);
}

static void nackIsAnsweredOnceARoundTrip(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received sent[10], again;
    for (uint16_t n = 0; n < 10; n++) {
        struct vp8 vp8 = picture(50 + n, n == 0);
        send_video(&room.publisher, 77, 300 + n, NULL, &vp8);
        expect_video(&room.subscribers[1], &sent[n]);
    }
    struct resend_call call = {
        .slot = room.slots[1], .seqs = {sent[3].seq, sent[7].seq, sent[9].seq + 5}, .count = 3,
        .rtt_us = 60000000};
    host_run(&room.host, resend, &call);
    assert_int_equal(call.resent, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct received *original = &sent[i == 0 ? 3 : 7];
        assert_true(client_receive(&room.subscribers[1], &again, WAIT_MS));
        assert_int_equal(again.ssrc, 5011);
        assert_int_equal(again.payload_type, PT_RTX_OUT);
        assert_int_equal(again.timestamp, original->timestamp);
        assert_int_equal(rh_get16(again.payload), original->seq);
        assert_int_equal(again.payload_bytes, original->payload_bytes + 2);
        assert_memory_equal(again.payload + 2, original->payload, original->payload_bytes);
    }
    host_run(&room.host, resend, &call);
    assert_int_equal(call.resent, 0);
    room_end(&room);
}

/* What is lost on the way in is told as a gap, and its RTX fills the hole that was left. */
static void rtxFillsTheGap(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received first, received;
    struct vp8 vp8 = picture(1, true);
    send_video(&room.publisher, 77, 1000, NULL, &vp8);
    expect_video(&room.subscribers[0], &first);
    vp8 = picture(3, false);
    send_video(&room.publisher, 77, 1002, NULL, &vp8);
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.seq, (uint16_t)(first.seq + 2));
    struct rh_event event;
    assert_true(host_wait_event(&room.host, RH_EVENT_GAP, 0, &event) > 0);
    assert_int_equal(event.count, 1);
    assert_int_equal((uint16_t)event.seq64, 1001);
    uint8_t payload[200];
    vp8 = picture(2, false);
    rh_put16(payload, 1001);
    struct packet packet = {
        .ssrc = 78, .seq = 4, .timestamp = 6000, .payload_type = PT_RTX, .marker = true, .mid = "v",
        .payload = payload, .payload_bytes = 2 + vp8_payload(&vp8, payload + 2)};
    client_send(&room.publisher, &packet);
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.seq, (uint16_t)(first.seq + 1));
    assert_int_equal(received.timestamp, first.timestamp + 3000);
    packet.seq = 5; /* the same once more */
    client_send(&room.publisher, &packet);
    assert_false(client_receive(&room.subscribers[0], &received, 50));
    room_end(&room);
}

/* Another track goes on with the numbers of the one before, beginning with its last keyframe when
 * that came a moment ago. */
static void remapContinuesTheNumbers(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AES128_CM_HMAC_SHA1_80, 1);
    struct client other;
    client_make(&other, &room.host, RH_SRTP_AEAD_AES_128_GCM, 7);
    struct rh_track_config config = video_config("v", 1);
    rh_track_id tracks[2] = {room.track, track_make(&room.host, other.peer, &config)};
    struct client *publishers[2] = {&room.publisher, &other};
    struct received last = {0}, received;
    for (uint16_t n = 0; n < 60; n++) {
        uint32_t from = n % 2;
        struct rh_slot_binding binding = {tracks[from], PT_VIDEO_OUT, PT_RTX_OUT, lowest};
        assert_int_equal(slot_bind(&room.host, room.slots[0], &binding), RH_OK);
        if (n >= 2) {
            expect_video(&room.subscribers[0], &received);
            assert_int_equal(
                received.payload[received.payload_bytes - 1], (uint8_t)(700 * from + n - 2));
            assert_int_equal(received.seq, (uint16_t)(last.seq + 1));
            assert_true((int32_t)(received.timestamp - last.timestamp) > 0);
            last = received;
        }
        struct vp8 vp8 = picture((uint16_t)(700 * from + n), true);
        send_video(publishers[from], 900 + from, (uint16_t)(40000 * from + n / 2), NULL, &vp8);
        expect_video(&room.subscribers[0], &received);
        assert_int_equal(received.payload[received.payload_bytes - 1], vp8.fill);
        if (n > 0) {
            assert_int_equal(received.seq, (uint16_t)(last.seq + 1));
            assert_true((int32_t)(received.timestamp - last.timestamp) > 0);
        }
        last = received;
    }
    client_end(&other);
    room_end(&room);
}

/* A restarted publisher's new SSRC replaces the old one, whose numbers are not used again. */
static void newSSRCOfTheSameSectionReplaces(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received last, received;
    struct vp8 vp8 = picture(1, true);
    send_video(&room.publisher, 77, 1000, NULL, &vp8);
    expect_video(&room.subscribers[0], &last);
    vp8 = picture(500, false); /* no keyframe: not decodable after the old stream */
    send_video(&room.publisher, 88, 999, NULL, &vp8);
    vp8 = picture(501, true);
    send_video(&room.publisher, 88, 1000, NULL, &vp8);
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.payload[received.payload_bytes - 1], (uint8_t)501);
    assert_int_equal(received.seq, (uint16_t)(last.seq + 1));
    vp8 = picture(2, false); /* late, of the old stream */
    send_video(&room.publisher, 77, 1001, NULL, &vp8);
    vp8 = picture(502, false);
    send_video(&room.publisher, 88, 1001, NULL, &vp8);
    last = received;
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.payload[received.payload_bytes - 1], (uint8_t)502);
    assert_int_equal(received.seq, (uint16_t)(last.seq + 1));
    struct resend_call call = { /* what the old stream sent is not found in the new one */
        .slot = room.slots[0], .seqs = {(uint16_t)(last.seq - 1)}, .count = 1};
    host_run(&room.host, resend, &call);
    assert_int_equal(call.resent, 0);
    room_end(&room);
}

static void destroy_track(struct host *host, void *argument)
{
    assert_int_equal(rh_track_destroy(host->worker, *(rh_track_id *)argument), RH_OK);
}

/* A section that stops and starts again keeps its SSRC, also after its numbers wrapped. */
static void trackMadeAnewKeepsItsSource(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received received;
    for (uint16_t n = 0; n < 20; n++) {
        struct vp8 vp8 = picture(n, n == 0);
        send_video(&room.publisher, 77, (uint16_t)(65526 + n), NULL, &vp8);
        expect_video(&room.subscribers[0], &received);
    }
    host_run(&room.host, destroy_track, &room.track);
    struct rh_track_config config = video_config("v", 1);
    room.track = track_make(&room.host, room.publisher.peer, &config);
    struct rh_slot_binding binding = {room.track, PT_VIDEO_OUT, PT_RTX_OUT, lowest};
    assert_int_equal(slot_bind(&room.host, room.slots[0], &binding), RH_OK);
    uint16_t last = received.seq;
    struct vp8 vp8 = picture(40, true);
    send_video(&room.publisher, 77, 20, NULL, &vp8);
    expect_video(&room.subscribers[0], &received);
    assert_int_equal(received.seq, (uint16_t)(last + 1));
    room_end(&room);
}

static void unbind_and_mute(struct host *host, void *argument)
{
    struct room *room = argument;
    assert_int_equal(rh_slot_unbind(host->worker, room->slots[0]), RH_OK);
    assert_int_equal(rh_slot_set_paused(host->worker, room->slots[1], true), RH_OK);
}

static void mute(struct host *host, void *argument)
{
    struct room *room = argument;
    assert_int_equal(rh_track_set_muted(host->worker, room->track, true), RH_OK);
}

static void unboundPausedAndMutedGetNothing(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received received;
    struct vp8 vp8 = picture(1, true);
    send_video(&room.publisher, 77, 1, NULL, &vp8);
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        expect_video(&room.subscribers[i], &received);
    host_run(&room.host, unbind_and_mute, &room);
    vp8 = picture(2, true);
    send_video(&room.publisher, 77, 2, NULL, &vp8);
    expect_video(&room.subscribers[2], &received);
    host_run(&room.host, mute, &room);
    vp8 = picture(3, true);
    send_video(&room.publisher, 77, 3, NULL, &vp8);
    assert_true(host_wait_counter(
        &room.host, offsetof(struct rh_counters, drop_muted), 1));
    for (uint32_t i = 0; i < SUBSCRIBERS; i++)
        assert_false(client_receive(&room.subscribers[i], &received, 20));
    room_end(&room);
}

static void audioNeedsNoKeyframe(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct rh_track_config config = audio_config("a");
    rh_track_id track = track_make(&room.host, room.publisher.peer, &config);
    struct rh_slot_config slot = slot_config(RH_AUDIO, 8000, "a1");
    rh_slot_id id = slot_make(&room.host, room.subscribers[0].peer, &slot);
    struct rh_slot_binding binding = {track, 109, 0, lowest};
    assert_int_equal(slot_bind(&room.host, id, &binding), RH_OK);
    binding.track = room.track;
    assert_int_equal(slot_bind(&room.host, id, &binding), RH_UNSUPPORTED); /* video */
    struct received received;
    static const uint8_t opus[60] = {0xfc, 1, 2, 3};
    for (uint16_t n = 0; n < 10; n++) {
        struct packet packet = {
            .ssrc = 4, .seq = n, .timestamp = 960u * n, .payload_type = PT_AUDIO, .mid = "a",
            .payload = opus, .payload_bytes = sizeof opus};
        client_send(&room.publisher, &packet);
        assert_true(client_receive(&room.subscribers[0], &received, WAIT_MS));
        assert_int_equal(received.payload_type, 109);
        assert_memory_equal(received.payload, opus, sizeof opus);
    }
    room_end(&room);
}

/* The SRTP index of a number is never used twice under one key: the same keys change nothing,
 * new keys begin at the numbers reached, where the receiver's rollover counter is 0. */
static void set_keys(struct host *host, void *argument)
{
    struct client *client = argument;
    assert_int_equal(
        rh_peer_set_srtp(host->worker, client->peer, RH_SRTP_AEAD_AES_128_GCM,
                         &client->send_keys, &client->receive_keys), RH_OK);
}

static void sameKeysChangeNothing(void **state)
{
    (void)state;
    struct room room;
    room_make(&room, RH_SRTP_AEAD_AES_128_GCM, 1);
    struct received received;
    uint16_t last = 0;
    for (uint32_t n = 0; n < 70000; n++) { /* over a rollover of what is sent */
        struct vp8 vp8 = picture((uint16_t)(n & 0x7fff), n == 0);
        vp8.body_bytes = 40;
        send_video(&room.publisher, 77, (uint16_t)n, NULL, &vp8);
        for (uint32_t i = 0; i < SUBSCRIBERS; i++)
            expect_video(&room.subscribers[i], &received);
        last = received.seq;
    }
    host_run(&room.host, set_keys, &room.subscribers[SUBSCRIBERS - 1]);
    struct vp8 vp8 = picture(1, false);
    send_video(&room.publisher, 77, (uint16_t)70000, NULL, &vp8);
    expect_video(&room.subscribers[SUBSCRIBERS - 1], &received);
    assert_int_equal(received.seq, (uint16_t)(last + 1));
    room_end(&room);
}

int main(void)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a worker of a failed test would go on running */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwardsToEverySlotWithGCM),
        cmocka_unit_test(forwardsToEverySlotWithCM),
        cmocka_unit_test(longPayloadsPass),
        cmocka_unit_test(simulcastSwitchWaitsForKeyframe),
        cmocka_unit_test(nackIsAnsweredOnceARoundTrip),
        cmocka_unit_test(rtxFillsTheGap),
        cmocka_unit_test(remapContinuesTheNumbers),
        cmocka_unit_test(newSSRCOfTheSameSectionReplaces),
        cmocka_unit_test(trackMadeAnewKeepsItsSource),
        cmocka_unit_test(unboundPausedAndMutedGetNothing),
        cmocka_unit_test(audioNeedsNoKeyframe),
        cmocka_unit_test(sameKeysChangeNothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
