/* What received packets mean for a slot: no sockets, no threads, time as an argument.
 * SPDX-License-Identifier: Apache-2.0 */
#include "load_support.h"

#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "wire/bytes.h"
#include "wire/seq.h"

/* One endpoint with one VP8 slot, and the sender's side of its keys. */
struct bench {
    struct rh_load_loop *loop;
    struct rh_load_endpoint_place place;
    struct rh_load_endpoint endpoint;
    struct rh_srtp_send sender;
    uint64_t rtx_seq64;
    struct rh_load_slot *slot;
};

static void bench_open(struct bench *bench, uint8_t decrypt)
{
    static const struct rh_srtp_keys keys = {.key = "0123456789abcde", .salt = "ABCDEFGHIJKLM"};
    enum rh_srtp_profile profile = RH_SRTP_AEAD_AES_128_GCM;
    memset(bench, 0, sizeof *bench);
    bench->loop = calloc(1, sizeof *bench->loop);
    bench->loop->endpoints = &bench->place;
    bench->loop->endpoint_end = 1;
    bench->loop->now_ns = bench->loop->started_ns = RH_LOAD_SECOND;
    struct rh_load_endpoint *endpoint = &bench->endpoint;
    *endpoint = (struct rh_load_endpoint){
        .fd = -1, .has_keys = true, .missing_due_ns = RH_LOAD_NEVER,
        .config = {.decrypt = decrypt, .decrypt_interval = 16, .nack_on = true}};
    bench->place = (struct rh_load_endpoint_place){endpoint, RH_LOAD_NEVER};
    const struct rh_cipher_backend *backend = rh_cipher_choose();
    assert_int_equal(rh_srtp_send_init(&bench->sender, backend, profile, &keys), RH_OK);
    assert_int_equal(rh_srtp_receive_init(&endpoint->receive, backend, profile, &keys), RH_OK);
    struct rh_load_slot_config slot = {
        .ssrc = SSRC_VIDEO, .rtx_ssrc = SSRC_VIDEO_RTX, .clock_rate = 90000, .kind = RH_VIDEO,
        .codec = RH_CODEC_VP8};
    assert_true(rh_load_slot_expect(bench->loop, endpoint, &slot));
    bench->slot = rh_load_find_slot(endpoint, SSRC_VIDEO);
    bench->rtx_seq64 = RH_SEQ64_FIRST + 1;
}

static void bench_close(struct bench *bench)
{
    rh_load_slots_destroy(bench->loop, &bench->endpoint);
    rh_srtp_send_deinit(&bench->sender);
    rh_srtp_receive_deinit(&bench->endpoint.receive);
    free(bench->loop);
}

/* One packet of a VP8 frame. */
struct sent {
    uint16_t seq;
    uint32_t timestamp;
    uint32_t source_id;      /* 0: no stamp */
    bool is_first, is_key, is_last, is_resend, is_forged;
};

static size_t write_payload(const struct sent *sent, uint8_t *out)
{
    size_t size = 0;
    out[size++] = sent->is_first ? 0x10 : 0;      /* S, partition 0 */
    out[size++] = sent->is_key ? 0x10 : 0x11;     /* the P bit is 0 in keyframes */
    memset(out + size, 0x33, 20);
    size += 20;
    if (sent->source_id != 0) {
        rh_put32(out + size, RH_LOAD_STAMP_MAGIC);
        rh_put32(out + size + 4, sent->source_id);
        rh_put32(out + size + 8, 0);
        rh_put32(out + size + 12, 1000);
        size += RH_LOAD_STAMP_BYTES;
    }
    return size;
}

/* It arrives a millisecond after the one before. Returns when. */
static uint64_t feed(struct bench *bench, struct sent sent)
{
    uint8_t out[200];
    uint64_t seq64 = sent.is_resend ? bench->rtx_seq64++ : RH_SEQ64_FIRST + (uint64_t)sent.seq;
    out[0] = 0x80;
    out[1] = (uint8_t)((sent.is_last ? 0x80 : 0) | (sent.is_resend ? PT_RTX : PT_VIDEO));
    rh_put16(out + 2, (uint16_t)seq64);
    rh_put32(out + 4, sent.timestamp);
    rh_put32(out + 8, sent.is_resend ? SSRC_VIDEO_RTX : SSRC_VIDEO);
    size_t original = sent.is_resend ? 2 : 0;
    rh_put16(out + 12, sent.seq);
    size_t payload_bytes = original + write_payload(&sent, out + 12 + original);
    size_t size = rh_srtp_protect_rtp(&bench->sender, &(struct rh_srtp_outgoing){
        .out = out, .header_bytes = 12, .payload = out + 12, .payload_bytes = payload_bytes,
        .seq64 = seq64});
    out[size - 1] ^= sent.is_forged;
    bench->loop->now_ns += RH_LOAD_MS;
    struct rh_load_received received = {out, size, bench->loop->now_ns};
    rh_load_on_rtp(bench->loop, &bench->endpoint, &received);
    return bench->loop->now_ns;
}

static struct rh_load_slot_report report_of(const struct bench *bench)
{
    struct rh_load_slot_report report;
    rh_load_slot_fill_report(bench->slot, &report);
    return report;
}

static uint64_t mark(struct bench *bench, uint32_t source_id)
{
    bench->loop->now_ns += RH_LOAD_MS;
    struct rh_load_mark wanted = {
        .ssrc = SSRC_VIDEO, .source_id = source_id, .since_ns = bench->loop->now_ns};
    rh_load_slot_apply_mark(bench->loop, bench->slot, &wanted);
    return wanted.since_ns;
}

static void frameIsCompleteWhenItsLastMissingPacketIsResent(void **state)
{
    (void)state;
    for (uint16_t missing = 1; missing <= 3; missing++) {
        struct bench bench;
        bench_open(&bench, RH_LOAD_DECRYPT_NONE);
        mark(&bench, 7);
        feed(&bench, (struct sent){.seq = 100, .timestamp = 1, .is_last = true, .source_id = 7});
        for (uint16_t i = 1; i <= 3; i++)
            if (i != missing)
                feed(&bench, (struct sent){
                    .seq = 100 + i, .timestamp = 3001, .is_first = i == 1, .is_key = true,
                    .is_last = i == 3, .source_id = 7});
        feed(&bench, (struct sent){.seq = 104, .timestamp = 6001, .is_first = true, .is_last = true,
                                   .source_id = 7});
        assert_int_equal(report_of(&bench).mark_first_frame_ns, 0);
        uint64_t at_ns = feed(&bench, (struct sent){
            .seq = 100 + missing, .timestamp = 3001, .is_first = missing == 1, .is_key = true,
            .is_last = missing == 3, .source_id = 7, .is_resend = true});
        struct rh_load_slot_report report = report_of(&bench);
        assert_int_equal(report.mark_first_frame_ns, at_ns);
        assert_false(report.is_marked);
        assert_int_equal(report.recovered, 1);
        assert_int_equal(report.lost, 0);
        bench_close(&bench);
    }
}

static void stampAtAFramesEndTellsWhoseTheWholeFrameWas(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, RH_LOAD_DECRYPT_ALL);
    feed(&bench, (struct sent){.seq = 1, .timestamp = 1, .is_first = true, .is_key = true});
    feed(&bench, (struct sent){.seq = 2, .timestamp = 1, .is_last = true, .source_id = 7});
    assert_int_equal(report_of(&bench).source_id, 7);
    uint64_t since_ns = bench.loop->now_ns;
    uint64_t first_ns = feed(&bench, (struct sent){
        .seq = 3, .timestamp = 9, .is_first = true, .is_key = true});
    uint64_t last_ns = feed(&bench, (struct sent){
        .seq = 4, .timestamp = 9, .is_last = true, .source_id = 8});
    struct rh_load_slot_report report = report_of(&bench);
    assert_int_equal(report.source_id, 8);
    assert_int_equal(report.source_packet_ns, first_ns);
    assert_int_equal(report.source_frame_ns, last_ns);
    struct rh_load_mark late = {.ssrc = SSRC_VIDEO, .source_id = 8, .since_ns = since_ns};
    rh_load_slot_apply_mark(bench.loop, bench.slot, &late);
    assert_int_equal(report_of(&bench).mark_first_frame_ns, last_ns);
    bench_close(&bench);
}

static void lateTailDoesNotEndARest(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, RH_LOAD_DECRYPT_NONE);
    feed(&bench, (struct sent){
        .seq = 1, .timestamp = 1, .is_first = true, .is_key = true, .is_last = true,
        .source_id = 7});
    uint64_t since_ns = mark(&bench, 7); /* the same source again */
    for (uint16_t i = 2; i < 100; i++)
        feed(&bench, (struct sent){
            .seq = i, .timestamp = i, .is_first = true, .is_last = true, .source_id = 7});
    assert_int_equal(report_of(&bench).mark_first_packet_ns, 0);
    uint64_t at_ns = feed(&bench, (struct sent){
        .seq = 100, .timestamp = 500, .is_first = true, .is_key = true, .is_last = true,
        .source_id = 7});
    struct rh_load_slot_report report = report_of(&bench);
    assert_int_equal(report.mark_first_packet_ns, at_ns);
    assert_int_equal(report.mark_first_frame_ns, at_ns);
    assert_int_equal(report.marked_ns, since_ns);
    bench_close(&bench);
}

static void forgedPacketsDoNotCount(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, RH_LOAD_DECRYPT_ALL);
    for (uint16_t i = 1; i <= 20; i++)
        feed(&bench, (struct sent){
            .seq = i, .timestamp = i, .is_first = true, .is_last = true, .is_forged = i % 4 == 0,
            .is_resend = i % 5 == 0});
    struct rh_load_slot_report report = report_of(&bench);
    assert_int_equal(report.unauthentic, 5);
    assert_int_equal(report.packets, 15);
    assert_int_equal(report.recovered, 3);
    assert_int_equal(bench.loop->totals.unauthentic, 5);
    bench_close(&bench);
}

static void samplesAreAboutAsManyAsWanted(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, RH_LOAD_DECRYPT_SAMPLE);
    uint64_t *delays = bench.loop->histograms[RH_LOAD_DELAY_VIDEO].buckets;
    for (uint32_t i = 0; i < 8000; i++) {
        feed(&bench, (struct sent){
            .seq = (uint16_t)(i + 1), .timestamp = i / 4, .is_first = i % 4 == 0,
            .is_key = i == 0, .is_last = i % 4 == 3, .source_id = 7});
        if (i == 3) /* all of the first frame is opened, none of it is a sample */
            assert_int_equal(rh_load_histogram_count(delays), 0);
    }
    assert_in_range(report_of(&bench).decrypted, 400, 600); /* one of 16 */
    assert_int_equal(report_of(&bench).packets, 8000);
    assert_in_range(
        rh_load_histogram_count(delays), report_of(&bench).decrypted - 4,
        report_of(&bench).decrypted - 3);
    bench.endpoint.watch_until_ns = RH_LOAD_NEVER; /* opens all, the samples stay few */
    uint64_t before = rh_load_histogram_count(delays);
    for (uint32_t i = 0; i < 1600; i++)
        feed(&bench, (struct sent){
            .seq = (uint16_t)(i + 8001), .timestamp = 9000 + i, .is_first = true,
            .is_last = true, .source_id = 7});
    assert_true(report_of(&bench).decrypted >= 2000);
    assert_in_range(rh_load_histogram_count(delays) - before, 60, 150);
    bench_close(&bench);
}

static void holesAreAskedForUntilTheyAreGivenUp(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench, RH_LOAD_DECRYPT_NONE);
    bench.loop->outbox.arena =
        malloc(RH_LOAD_OUTBOX_BYTES + RH_LOAD_DATAGRAM_BYTES_MAX + 64);
    bench.endpoint.has_remote = true;
    assert_int_equal(
        rh_srtp_send_init(
            &bench.endpoint.send, rh_cipher_choose(), RH_SRTP_AEAD_AES_128_GCM,
            &(struct rh_srtp_keys){0}),
        RH_OK);
    bench.endpoint.rtcp_due_ns = RH_LOAD_NEVER;
    feed(&bench, (struct sent){.seq = 1, .timestamp = 1, .is_key = true});
    feed(&bench, (struct sent){.seq = 5, .timestamp = 1});
    assert_int_equal(bench.slot->missing_count, 3);
    feed(&bench, (struct sent){.seq = 3, .timestamp = 1}); /* was only late */
    for (uint32_t i = 0; i < 300; i++) {
        bench.loop->now_ns += 10 * RH_LOAD_MS;
        rh_load_feedback_tick(bench.loop, &bench.endpoint);
    }
    assert_int_equal(bench.slot->missing_count, 0);
    assert_int_equal(bench.endpoint.missing_due_ns, RH_LOAD_NEVER);
    assert_int_equal(report_of(&bench).nacked, 2);
    assert_int_equal(bench.loop->totals.nacks_sent, 2 * RH_LOAD_RESEND_TRIES);
    assert_int_equal(report_of(&bench).reordered, 1);
    rh_load_outbox_flush(bench.loop); /* into no socket: counted as errors */
    assert_int_equal(bench.loop->totals.send_errors, bench.loop->totals.sent_rtcp);
    rh_srtp_send_deinit(&bench.endpoint.send);
    free(bench.loop->outbox.arena);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frameIsCompleteWhenItsLastMissingPacketIsResent),
        cmocka_unit_test(stampAtAFramesEndTellsWhoseTheWholeFrameWas),
        cmocka_unit_test(lateTailDoesNotEndARest),
        cmocka_unit_test(forgedPacketsDoNotCount),
        cmocka_unit_test(samplesAreAboutAsManyAsWanted),
        cmocka_unit_test(holesAreAskedForUntilTheyAreGivenUp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
