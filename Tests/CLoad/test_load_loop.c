/* Loops with real sockets: publishing, counting, feedback. SPDX-License-Identifier: Apache-2.0 */
#include "load_support.h"

#include <pthread.h>
#include <string.h>

#define SLOT(field) offsetof(struct rh_load_slot_report, field)
#define LOOP(field) offsetof(struct rh_load_loop_report, field)

static const struct rh_extension_ids all_ids = {
    .mid = 1, .rid = 2, .repaired_rid = 3, .abs_send_time = 4, .transport_seq = 5,
    .audio_level = 6};

static void start_both(struct pair *pair, uint32_t source_id)
{
    struct rh_load_stream_config audio = audio_config(source_id), video = video_config(source_id);
    assert_int_equal(
        rh_load_stream_start(pair->loops[0], pair->endpoints[0], &audio), RH_OK);
    assert_int_equal(
        rh_load_stream_start(pair->loops[0], pair->endpoints[0], &video), RH_OK);
}

static uint64_t histogram_count(struct rh_load_loop *loop, enum rh_load_histogram_kind kind)
{
    uint64_t buckets[RH_LOAD_BUCKETS] = {0};
    rh_load_loop_add_histogram(loop, kind, buckets);
    return rh_load_histogram_count(buckets);
}

static void publish_and_check(const struct pair_config *config)
{
    struct pair pair;
    pair_open(&pair, config);
    expect_both(&pair, 1);
    start_both(&pair, 77);
    struct rh_load_slot_report video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 120);
    struct rh_load_slot_report audio = wait_slot(&pair, 1, SSRC_AUDIO, SLOT(packets), 60);
    assert_int_equal(video.lost + video.reordered + video.duplicates + video.unauthentic, 0);
    assert_int_equal(audio.lost + audio.reordered + audio.duplicates + audio.unauthentic, 0);
    assert_int_equal(video.source_id, 77);
    assert_int_equal(video.user, 2);
    assert_in_range(video.frames, 39, video.packets / 3 + 1);
    assert_int_equal(audio.frames, audio.packets);
    assert_true(video.keyframes >= 1);
    assert_int_not_equal(video.source_frame_ns, 0);
    struct rh_load_loop_report report = loop_report(pair.loops[1]);
    assert_int_equal(report.unknown_ssrc + report.malformed + report.commands_refused, 0);
    assert_int_equal(report.video.lost, 0);
    assert_true(report.received_packets >= 180);
    bool is_opened = config->endpoint.decrypt != RH_LOAD_DECRYPT_NONE;
    assert_int_equal(histogram_count(pair.loops[1], RH_LOAD_DELAY_VIDEO) > 0, is_opened);
    assert_int_equal(histogram_count(pair.loops[1], RH_LOAD_DELAY_AUDIO) > 0, is_opened);
    report = loop_report(pair.loops[0]);
    assert_int_equal(report.send_errors + report.send_would_block, 0);
    assert_true(report.sent_messages <= report.sent_packets + report.sent_rtcp);
    pair_close(&pair);
}

static void allOfAStreamIsCountedWithEveryPacketOpened(void **state)
{
    (void)state;
    publish_and_check(&(struct pair_config){
        .endpoint = {.decrypt = RH_LOAD_DECRYPT_ALL, .ids = all_ids}});
}

static void headersAloneAreEnoughToCount(void **state)
{
    (void)state;
    publish_and_check(&(struct pair_config){
        .endpoint = {.decrypt = RH_LOAD_DECRYPT_SAMPLE, .decrypt_interval = 8}});
    publish_and_check(&(struct pair_config){.endpoint = {.ids = all_ids}});
}

static void olderProfileAndNoSegmentationCountTheSame(void **state)
{
    (void)state;
    publish_and_check(&(struct pair_config){
        .loop = {.segmentation_off = true, .coalescing_off = true},
        .endpoint = {.decrypt = RH_LOAD_DECRYPT_ALL, .ids = {.mid = 15, .audio_level = 200}},
        .profile = RH_SRTP_AES128_CM_HMAC_SHA1_80});
}

static void lostPacketsComeBackByResends(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){
        .loop = {.impairment = {.loss_out = 0.1, .seed = 5}},
        .endpoint = {.nack_on = true, .ids = all_ids}});
    struct rh_load_impairment none = {0};
    rh_load_loop_set_impairment(pair.loops[1], &none); /* NACKs all come through */
    expect_both(&pair, 1);
    start_both(&pair, 1);
    struct rh_load_slot_report video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(recovered), 30);
    assert_true(video.gaps >= 10);
    assert_true(video.nacked >= video.recovered);
    rh_load_loop_set_impairment(pair.loops[0], &none);
    uint64_t packets = video.packets;
    video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), packets + 60);
    assert_int_equal(video.lost, 0);
    assert_int_equal(video.reordered, 0);
    struct rh_load_stream_report stream = stream_report(&pair, 0, SSRC_VIDEO);
    assert_true(stream.resent_packets >= video.recovered);
    pair_close(&pair);
}

static void lossIsCountedWhenNobodyAsksAgain(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){.loop = {.impairment = {.loss_in = 0.2, .seed = 9}}});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    struct rh_load_slot_report video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 150);
    assert_in_range(video.lost, 15, 80);
    struct rh_load_loop_report report = loop_report(pair.loops[1]);
    assert_true(report.impaired_in >= video.lost);
    assert_int_equal(report.kernel_drops, 0);
    pair_close(&pair);
}

static void pictureLossAsksForAKeyframe(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){
        .endpoint = {.decrypt = RH_LOAD_DECRYPT_ALL, .picture_loss_on = true}});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    struct rh_load_slot_report video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 9);
    assert_int_equal(video.keyframes, 1);
    assert_int_equal(
        rh_load_slot_request_keyframe(pair.loops[1], pair.endpoints[1], SSRC_VIDEO), RH_OK);
    video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(keyframes), 2);
    assert_int_equal(stream_report(&pair, 0, SSRC_VIDEO).keyframe_requests, 1);
    struct rh_load_impairment some = {.loss_in = 0.5, .seed = 1};
    rh_load_loop_set_impairment(pair.loops[1], &some);
    wait_loop(pair.loops[1], LOOP(plis_sent), 2);
    pair_close(&pair);
}

static void marksFindTheFirstFrameOfTheirSource(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 30);
    struct rh_load_mark mark = {.ssrc = SSRC_VIDEO, .source_id = 2};
    uint64_t before_ns = rh_load_now_ns();
    assert_int_equal(rh_load_slot_mark(pair.loops[1], pair.endpoints[1], &mark), RH_OK);
    struct rh_load_slot_report video = slot_report(&pair, 1, SSRC_VIDEO);
    assert_true(video.is_marked);
    struct rh_load_stream_config other = video_config(2); /* replaces the stream, numbers go on */
    assert_int_equal(rh_load_stream_start(pair.loops[0], pair.endpoints[0], &other), RH_OK);
    video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(mark_first_frame_ns), 1);
    assert_false(video.is_marked);
    assert_int_equal(video.source_id, 2);
    assert_int_equal(video.lost + video.duplicates, 0);
    assert_true(video.mark_first_packet_ns >= before_ns);
    assert_true(video.mark_first_frame_ns >= video.mark_first_packet_ns);
    assert_int_equal(histogram_count(pair.loops[1], RH_LOAD_FIRST_PACKET), 1);
    assert_int_equal(histogram_count(pair.loops[1], RH_LOAD_FIRST_FRAME), 1);
    assert_int_equal(loop_report(pair.loops[1]).marked_slots, 0);
    pair_close(&pair);
}

static void lateMarkFindsWhatAWatchSaw(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    expect_both(&pair, 1);
    uint64_t since_ns = rh_load_now_ns();
    rh_load_endpoint_watch(pair.loops[1], pair.endpoints[1], 10000000000);
    start_both(&pair, 3);
    wait_slot(&pair, 1, SSRC_VIDEO, SLOT(source_frame_ns), 1);
    struct rh_load_stream_config other = video_config(4);
    assert_int_equal(rh_load_stream_start(pair.loops[0], pair.endpoints[0], &other), RH_OK);
    struct rh_load_slot_report video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 90);
    assert_int_equal(video.source_id, 4);
    struct rh_load_mark mark = {.ssrc = SSRC_VIDEO, .source_id = 4, .since_ns = since_ns};
    rh_load_slot_mark(pair.loops[1], pair.endpoints[1], &mark);
    video = slot_report(&pair, 1, SSRC_VIDEO);
    assert_false(video.is_marked);
    assert_int_equal(video.mark_first_packet_ns, video.source_packet_ns);
    assert_int_equal(video.mark_first_frame_ns, video.source_frame_ns);
    pair_close(&pair);
}

static void sameSourceBeginsAnewWithItsKeyframe(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 30);
    uint64_t since_ns = rh_load_now_ns();
    rh_load_endpoint_watch(pair.loops[1], pair.endpoints[1], 10000000000);
    rh_load_slot_rest(pair.loops[1], pair.endpoints[1], SSRC_VIDEO);
    struct rh_load_slot_report before = slot_report(&pair, 1, SSRC_VIDEO);
    struct rh_load_stream_config again = video_config(1); /* goes on with a keyframe */
    assert_int_equal(rh_load_stream_start(pair.loops[0], pair.endpoints[0], &again), RH_OK);
    struct rh_load_slot_report video =
        wait_slot(&pair, 1, SSRC_VIDEO, SLOT(source_packet_ns), since_ns);
    assert_int_equal(video.source_id, before.source_id);
    struct rh_load_mark mark = {.ssrc = SSRC_VIDEO, .source_id = 1, .since_ns = since_ns};
    rh_load_slot_mark(pair.loops[1], pair.endpoints[1], &mark);
    video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(mark_first_frame_ns), since_ns);
    assert_int_equal(video.mark_first_packet_ns, video.source_packet_ns);
    assert_int_equal(video.keyframes, before.keyframes + 1);
    assert_int_equal(video.lost + video.duplicates, 0);
    pair_close(&pair);
}

static void restsAreNoFreezes(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), 30);
    rh_load_stream_set_muted(pair.loops[0], pair.endpoints[0], SSRC_VIDEO, true);
    rh_load_slot_rest(pair.loops[1], pair.endpoints[1], SSRC_VIDEO);
    uint64_t audio = slot_report(&pair, 1, SSRC_AUDIO).packets;
    wait_slot(&pair, 1, SSRC_AUDIO, SLOT(packets), audio + 160); /* 800 ms */
    struct rh_load_slot_report video = slot_report(&pair, 1, SSRC_VIDEO);
    uint64_t packets = video.packets;
    assert_true(packets < 150);
    rh_load_stream_set_muted(pair.loops[0], pair.endpoints[0], SSRC_VIDEO, false);
    video = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(packets), packets + 60);
    assert_true(video.longest_gap_ns < 700000000);
    assert_int_equal(video.lost, 0);
    assert_true(stream_report(&pair, 0, SSRC_VIDEO).keyframes >= 2);
    pair_close(&pair);
}

static void reportsCrossBothWays(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){.endpoint = {.remb_bps = 5000000}});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    wait_loop(pair.loops[0], LOOP(received_rtcp), 3);
    wait_loop(pair.loops[1], LOOP(received_rtcp), 3);
    struct rh_load_stream_report stream;
    uint64_t start_ns = rh_load_now_ns();
    do
        stream = stream_report(&pair, 0, SSRC_VIDEO);
    while (stream.round_trip_us == 0 && rh_load_now_ns() - start_ns < 5000000000);
    assert_in_range(stream.round_trip_us, 1, 1000000);
    assert_int_equal(stream.remote_lost, 0);
    pair_close(&pair);
}

/* ---- Datagrams of the owner ------------------------------------------------------------------ */

struct heard {
    _Atomic uint64_t stun, dtls, user;
};

static void on_datagram(void *context, const struct rh_load_datagram *datagram)
{
    struct heard *heard = context;
    heard->user = datagram->user;
    if (datagram->kind == RH_LOAD_STUN)
        heard->stun++;
    else
        heard->dtls += datagram->size == 20 && datagram->from.family == 4;
}

static void stunAndDtlsGoUpAndDown(void **state)
{
    (void)state;
    static struct heard heard;
    heard = (struct heard){0};
    struct pair pair;
    pair_open(&pair, &(struct pair_config){
        .loop = {.calls = {&heard, on_datagram}, .impairment = {.loss_in = 1, .loss_out = 1}}});
    uint8_t stun[20] = {0, 1}, dtls[20] = {22, 254, 253};
    for (uint32_t i = 0; i < 50; i++) {
        rh_load_endpoint_send(pair.loops[0], pair.endpoints[0], NULL, stun, sizeof stun);
        rh_load_endpoint_send(
            pair.loops[0], pair.endpoints[0], &pair.addresses[1], dtls, sizeof dtls);
    }
    wait_loop(pair.loops[1], LOOP(received_dtls), 50);
    wait_loop(pair.loops[1], LOOP(received_stun), 50);
    assert_int_equal(heard.stun, 50);
    assert_int_equal(heard.dtls, 50);
    assert_int_equal(heard.user, 101);
    uint8_t big[RH_LOAD_DATAGRAM_BYTES_MAX + 1] = {0};
    assert_int_equal(
        rh_load_endpoint_send(pair.loops[0], pair.endpoints[0], NULL, big, sizeof big), RH_FULL);
    pair_close(&pair);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void staleEndpointsAreRefusedAndCounted(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    rh_load_endpoint_id old = pair.endpoints[0];
    rh_load_endpoint_destroy(pair.loops[0], old);
    struct rh_load_endpoint_report report;
    assert_int_equal(rh_load_endpoint_get_report(pair.loops[0], old, &report), RH_STALE);
    uint8_t stun[20] = {0, 1};
    rh_load_endpoint_send(pair.loops[0], old, NULL, stun, sizeof stun);
    struct rh_load_stream_config audio = audio_config(1);
    rh_load_stream_start(pair.loops[0], old, &audio);
    rh_load_endpoint_destroy(pair.loops[0], old);
    assert_int_equal(loop_report(pair.loops[0]).commands_refused, 3);
    struct rh_load_endpoint_config config = {0};
    struct rh_address local;
    rh_load_endpoint_id next;
    assert_int_equal(
        rh_load_endpoint_create(pair.loops[0], &config, &next, &local), RH_OK);
    assert_int_not_equal(next, old);
    assert_int_equal(rh_load_endpoint_get_report(pair.loops[0], next, &report), RH_OK);
    assert_int_equal(rh_load_endpoint_get_report(pair.loops[0], old, &report), RH_STALE);
    pair_close(&pair);
}

static void limitsAreRefused(void **state)
{
    (void)state;
    struct rh_load_loop *loop;
    struct rh_load_loop_config loop_config = {.endpoints_max = 2};
    assert_int_equal(rh_load_loop_create(&loop_config, &loop), RH_OK);
    struct rh_load_endpoint_config config = {0};
    struct rh_address local;
    rh_load_endpoint_id endpoint;
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(rh_load_endpoint_create(loop, &config, &endpoint, &local), RH_OK);
    rh_load_endpoint_id third;
    assert_int_equal(rh_load_endpoint_create(loop, &config, &third, &local), RH_FULL);
    struct rh_load_stream_config video = video_config(1);
    video.shape.payload_bytes_max = 1201;
    assert_int_equal(rh_load_stream_start(loop, endpoint, &video), RH_MALFORMED);
    video = video_config(1);
    video.first_seq = 1 << 15;
    assert_int_equal(rh_load_stream_start(loop, endpoint, &video), RH_MALFORMED);
    for (uint32_t i = 0; i <= RH_LOAD_STREAMS_PER_ENDPOINT; i++) {
        video = video_config(1);
        video.ssrc += i * 16;
        assert_int_equal(rh_load_stream_start(loop, endpoint, &video), RH_OK);
    }
    struct rh_load_loop_report report = loop_report(loop);
    assert_int_equal(report.commands_refused, 1);
    assert_int_equal(report.streams, RH_LOAD_STREAMS_PER_ENDPOINT);
    assert_int_equal(report.sent_packets, 0); /* neither keys nor a remote address */
    loop_config.tick_us = 10;
    struct rh_load_loop *other;
    assert_int_equal(rh_load_loop_create(&loop_config, &other), RH_FULL);
    rh_load_loop_destroy(loop);
}

/* ---- Many threads ---------------------------------------------------------------------------- */

enum { VISITORS = 3, VISITS = 60 };

struct visitor {
    struct pair *pair;
    pthread_t thread;
    uint32_t number;
};

/* Comes, publishes to itself, asks for every report, and goes, while others do the same. */
static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    struct rh_load_loop *loop = visitor->pair->loops[1];
    static const struct rh_srtp_keys keys = {.key = "0123456789abcde", .salt = "ABCDEFGHIJKLM"};
    struct rh_load_endpoint_config config = {
        .bind = {.family = 4, .ip = {127, 0, 0, 1}}, .decrypt = RH_LOAD_DECRYPT_ALL};
    for (uint32_t i = 0; i < VISITS; i++) {
        rh_load_endpoint_id endpoint;
        struct rh_address local;
        assert_int_equal(rh_load_endpoint_create(loop, &config, &endpoint, &local), RH_OK);
        struct rh_load_slot_config slot = {
            .ssrc = SSRC_VIDEO, .clock_rate = 90000, .kind = RH_VIDEO, .codec = RH_CODEC_VP8};
        rh_load_slots_expect(loop, endpoint, &slot, 1);
        rh_load_endpoint_set_srtp(loop, endpoint, RH_SRTP_AEAD_AES_128_GCM, &keys, &keys);
        rh_load_endpoint_set_remote(loop, endpoint, &local);
        struct rh_load_stream_config video = video_config(visitor->number);
        video.shape.frames_per_second = 1000;
        rh_load_stream_start(loop, endpoint, &video);
        struct rh_load_slot_report report = {0};
        struct rh_load_stream_report stream;
        uint64_t start_ns = rh_load_now_ns(), now_ns = start_ns;
        while (report.packets < 5 && now_ns - start_ns < (uint64_t)WAIT_MS * 1000000) {
            uint32_t count = 1;
            assert_int_equal(rh_load_slot_get_reports(loop, endpoint, &report, &count), RH_OK);
            rh_load_stream_get_report(loop, endpoint, SSRC_VIDEO, &stream);
            now_ns = rh_load_now_ns();
        }
        assert_true(report.packets >= 5);
        assert_int_equal(report.source_id, visitor->number);
        rh_load_endpoint_destroy(loop, endpoint);
    }
    return NULL;
}

static void endpointsComeAndGoBesideOthers(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){0});
    expect_both(&pair, 1);
    start_both(&pair, 1);
    struct visitor visitors[VISITORS];
    for (uint32_t i = 0; i < VISITORS; i++) {
        visitors[i] = (struct visitor){.pair = &pair, .number = 10 + i};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    for (uint32_t i = 0; i < VISITORS; i++)
        pthread_join(visitors[i].thread, NULL);
    struct rh_load_loop_report report = loop_report(pair.loops[1]);
    assert_int_equal(report.endpoints, 1);
    assert_int_equal(report.slots, 2);
    assert_int_equal(report.streams, 0);
    assert_int_equal(report.commands_refused, 0);
    assert_int_equal(report.unauthentic + report.malformed, 0);
    assert_int_equal(slot_report(&pair, 1, SSRC_VIDEO).lost, 0);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allOfAStreamIsCountedWithEveryPacketOpened),
        cmocka_unit_test(headersAloneAreEnoughToCount),
        cmocka_unit_test(olderProfileAndNoSegmentationCountTheSame),
        cmocka_unit_test(lostPacketsComeBackByResends),
        cmocka_unit_test(lossIsCountedWhenNobodyAsksAgain),
        cmocka_unit_test(pictureLossAsksForAKeyframe),
        cmocka_unit_test(marksFindTheFirstFrameOfTheirSource),
        cmocka_unit_test(lateMarkFindsWhatAWatchSaw),
        cmocka_unit_test(sameSourceBeginsAnewWithItsKeyframe),
        cmocka_unit_test(restsAreNoFreezes),
        cmocka_unit_test(reportsCrossBothWays),
        cmocka_unit_test(stunAndDtlsGoUpAndDown),
        cmocka_unit_test(staleEndpointsAreRefusedAndCounted),
        cmocka_unit_test(limitsAreRefused),
        cmocka_unit_test(endpointsComeAndGoBesideOthers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
