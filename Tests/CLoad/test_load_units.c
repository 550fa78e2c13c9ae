/* The load tool's pure parts: histograms, arrivals, RTCP, headers, payloads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "load_support.h"

#include <stdlib.h>
#include <string.h>

#include "arrivals.h"
#include "histogram.h"
#include "loop.h"
#include "rtcp.h"
#include "wire/bytes.h"
#include "wire/payload.h"

/* ---- Histograms ------------------------------------------------------------------------------ */

static void everyDurationIsInsideItsBucket(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t ns = rh_load_random(&random) >> (rh_load_random(&random) % 40 + 24);
        uint32_t bucket = rh_load_bucket_of(ns);
        assert_true(bucket < RH_LOAD_BUCKETS);
        assert_true(rh_load_bucket_lower_ns(bucket) <= ns);
        if (bucket + 1 == RH_LOAD_BUCKETS)
            continue;
        uint64_t upper = rh_load_bucket_lower_ns(bucket + 1);
        assert_true(ns < upper);
        uint64_t width = upper - rh_load_bucket_lower_ns(bucket);
        assert_true(width == 128 || width * 128 <= rh_load_bucket_lower_ns(bucket));
    }
    assert_int_equal(rh_load_bucket_of(UINT64_MAX), RH_LOAD_BUCKETS - 1);
    assert_int_equal(rh_load_bucket_lower_ns(RH_LOAD_BUCKETS), UINT64_C(512) << 20 << 7);
}

static void quantilesAreThoseOfTheSortedValues(void **state)
{
    (void)state;
    static struct rh_load_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    assert_int_equal(rh_load_histogram_quantile_ns(histogram.buckets, 0.5), 0);
    for (uint64_t us = 1; us <= 1000; us++)
        rh_load_histogram_add(&histogram, us * 1000);
    assert_int_equal(rh_load_histogram_count(histogram.buckets), 1000);
    const struct { double fraction; uint64_t us; } rows[] = {
        {0, 1}, {0.5, 500}, {0.9, 900}, {0.99, 990}, {1, 1000}, {-1, 1}, {2, 1000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t ns = rh_load_histogram_quantile_ns(histogram.buckets, rows[i].fraction);
        assert_in_range(ns, rows[i].us * 1000, rows[i].us * 1010 + 128);
    }
}

/* ---- Arrivals -------------------------------------------------------------------------------- */

static struct rh_load_arrival arrive(struct rh_load_arrivals *arrivals, uint16_t seq)
{
    return rh_load_arrivals_note(arrivals, rh_load_arrivals_extend(arrivals, seq), false);
}

static void lossOrderAndRepetitionAreToldApart(void **state)
{
    (void)state;
    struct rh_load_arrivals arrivals = {0};
    const struct { uint16_t seq; uint32_t lost, late, repeated, gaps; } rows[] = {
        {65533, 0, 0, 0, 0}, {65534, 0, 0, 0, 0}, {0, 1, 0, 0, 1}, {65535, 0, 1, 0, 1},
        {65535, 0, 1, 1, 1}, {0, 0, 1, 2, 1},     {5, 4, 1, 2, 2}, {3, 3, 2, 2, 2},
        {65530, 5, 3, 2, 2}, {65531, 4, 4, 2, 2}, {6, 4, 4, 2, 2},
    };
    int64_t lost = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lost += arrive(&arrivals, rows[i].seq).lost_change;
        assert_int_equal(rh_load_arrivals_lost(&arrivals), rows[i].lost);
        assert_int_equal(lost, rows[i].lost);
        assert_int_equal(arrivals.reordered, rows[i].late);
        assert_int_equal(arrivals.duplicates, rows[i].repeated);
        assert_int_equal(arrivals.gaps, rows[i].gaps);
    }
    assert_true(rh_load_arrivals_has(&arrivals, 65536 + 65534));
    assert_false(rh_load_arrivals_has(&arrivals, 65536 + 65532));
}

static void resentPacketsFillHolesWithoutReordering(void **state)
{
    (void)state;
    struct rh_load_arrivals arrivals = {0};
    arrive(&arrivals, 10);
    assert_int_equal(arrive(&arrivals, 13).skipped, 2);
    assert_true(rh_load_arrivals_note(&arrivals, 65536 + 11, true).is_new);
    assert_false(rh_load_arrivals_note(&arrivals, 65536 + 11, true).is_new);
    assert_int_equal(arrivals.reordered, 0);
    assert_int_equal(rh_load_arrivals_lost(&arrivals), 1);
}

/* A shuffled stream with losses, repetitions and wrapping numbers, beside a table of all numbers:
 * what stays inside the window is counted exactly. */
static void countsAgreeWithATableOfAllNumbers(void **state)
{
    (void)state;
    enum { NUMBERS = 200000, SPREAD = 200 };
    uint8_t *came = calloc(NUMBERS + SPREAD, 1);
    struct rh_load_arrivals arrivals = {0};
    uint64_t random = 7, packets = 0, repeated = 0, highest = 0;
    uint64_t first = UINT64_MAX;
    for (uint32_t i = SPREAD; i < NUMBERS; i++) {
        uint64_t draw = rh_load_random(&random);
        if (draw % 10 == 0)
            continue; /* lost */
        uint32_t number = i - (uint32_t)(draw >> 8) % SPREAD * (draw % 4 == 1);
        rh_load_arrivals_note(
            &arrivals, rh_load_arrivals_extend(&arrivals, (uint16_t)(60000 + number)), false);
        repeated += came[number];
        packets += !came[number];
        came[number] = 1;
        highest = number > highest ? number : highest;
        first = number < first ? number : first;
    }
    assert_int_equal(arrivals.packets, packets);
    assert_int_equal(arrivals.duplicates, repeated);
    assert_int_equal(rh_load_arrivals_lost(&arrivals), highest - first + 1 - packets);
    free(came);
}

static void numbersOlderThanTheWindowDoNotCount(void **state)
{
    (void)state;
    struct rh_load_arrivals arrivals = {0};
    arrive(&arrivals, 0);
    assert_int_equal(arrive(&arrivals, 3000).skipped, 2999);
    assert_false(arrive(&arrivals, 3000 - RH_LOAD_WINDOW_PACKETS).is_new);
    assert_true(arrive(&arrivals, 3001 - RH_LOAD_WINDOW_PACKETS).is_new);
    assert_int_equal(rh_load_arrivals_lost(&arrivals), 2998);
}

static void jitterFollowsRfc3550(void **state)
{
    (void)state;
    struct rh_load_arrivals arrivals = {0};
    double expected = 0;
    uint32_t arrival = 4000000000;
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t late = i % 2 * 320;
        rh_load_arrivals_note_time(&arrivals, arrival + late, i * 960);
        if (i > 0)
            expected += (320 - expected) / 16;
        arrival += 960;
    }
    assert_in_range(arrivals.jitter >> 4, (uint64_t)expected - 2, (uint64_t)expected + 2);
}

/* ---- RTCP ------------------------------------------------------------------------------------ */

static const struct rh_load_rtcp_block blocks[2] = {
    {.ssrc = 0x11223344, .fraction_lost = 12, .lost = -5, .highest_seq = 0x10020,
     .jitter = 99, .last_report = 0xabcdef01, .delay = 65536},
    {.ssrc = 0x55667788, .fraction_lost = 255, .lost = 0x7fffff, .highest_seq = 3},
};

/* One of everything. */
static void write_compound(struct rh_load_rtcp_writer *writer)
{
    static const uint16_t seqs[] = {65534, 65535, 0, 14, 15, 40};
    static const uint32_t leaving[] = {1, 2, 3};
    writer->size = 0;
    assert_true(rh_load_rtcp_write_sr(writer, &(struct rh_load_rtcp_sender){
        .ssrc = 7, .ntp = 0x0102030405060708, .timestamp = 9, .packets = 10, .octets = 11}));
    assert_true(rh_load_rtcp_write_rr(writer, 7, blocks, 2));
    assert_true(rh_load_rtcp_write_sdes(writer, 7, "abcde"));
    assert_int_equal(rh_load_rtcp_write_nack(writer, 7, 0x99, seqs, 6), 6);
    assert_true(rh_load_rtcp_write_pli(writer, 7, 0x77));
    assert_true(rh_load_rtcp_write_remb(writer, 7, 5000000000, 0x66));
    assert_true(rh_load_rtcp_write_bye(writer, leaving, 3));
}

static void whatIsWrittenIsRead(void **state)
{
    (void)state;
    struct rh_load_rtcp_writer writer;
    write_compound(&writer);
    struct rh_load_rtcp_reader reader = {writer.bytes, writer.size, 0};
    struct rh_load_rtcp_packet packet;
    uint32_t value;
    assert_true(rh_load_rtcp_next(&reader, &packet));
    assert_int_equal(packet.type, RH_LOAD_RTCP_SR);
    assert_true(rh_load_rtcp_sender_ntp(&packet, &value));
    assert_int_equal(value, 0x03040506);
    assert_true(rh_load_rtcp_next(&reader, &packet));
    struct rh_load_rtcp_block block;
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(rh_load_rtcp_block(&packet, i, &block));
        assert_memory_equal(&block, &blocks[i], sizeof block);
    }
    assert_false(rh_load_rtcp_block(&packet, 2, &block));
    assert_true(rh_load_rtcp_next(&reader, &packet));
    assert_int_equal(packet.type, RH_LOAD_RTCP_SDES);
    assert_memory_equal(packet.content, "\x01\x05" "abcde\0", 8);
    assert_true(rh_load_rtcp_next(&reader, &packet));
    struct rh_load_rtcp_nack nack;
    const uint16_t items[][2] = {{65534, 0x8003}, {15, 0}, {40, 0}};
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(rh_load_rtcp_nack(&packet, i, &nack));
        assert_int_equal(nack.ssrc, 0x99);
        assert_int_equal(nack.pid, items[i][0]);
        assert_int_equal(nack.mask, items[i][1]);
    }
    assert_false(rh_load_rtcp_nack(&packet, 3, &nack));
    assert_true(rh_load_rtcp_next(&reader, &packet));
    assert_true(rh_load_rtcp_keyframe(&packet, 0, &value));
    assert_int_equal(value, 0x77);
    assert_false(rh_load_rtcp_keyframe(&packet, 1, &value));
    assert_true(rh_load_rtcp_next(&reader, &packet));
    uint32_t rate = rh_get24(packet.content + 9);
    assert_in_range((uint64_t)(rate & 0x3ffff) << (rate >> 18), 4999000000, 5000000000);
    assert_true(rh_load_rtcp_next(&reader, &packet));
    assert_int_equal(packet.type, RH_LOAD_RTCP_BYE);
    assert_false(rh_load_rtcp_next(&reader, &packet));
}

static void fullIntraRequestsAreRead(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0,
                             0, 0, 0, 6, 2, 0, 0, 0};
    struct rh_load_rtcp_reader reader = {bytes, sizeof bytes, 0};
    struct rh_load_rtcp_packet packet;
    uint32_t ssrc;
    assert_true(rh_load_rtcp_next(&reader, &packet));
    assert_true(rh_load_rtcp_keyframe(&packet, 0, &ssrc) && ssrc == 5);
    assert_true(rh_load_rtcp_keyframe(&packet, 1, &ssrc) && ssrc == 6);
    assert_false(rh_load_rtcp_keyframe(&packet, 2, &ssrc));
}

/* Reads all that can be read of bytes in a block of just that size. */
static void read_all(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    memcpy(copy, bytes, size);
    struct rh_load_rtcp_reader reader = {copy, size, 0};
    struct rh_load_rtcp_packet packet;
    while (rh_load_rtcp_next(&reader, &packet)) {
        struct rh_load_rtcp_block block;
        struct rh_load_rtcp_nack nack;
        uint32_t value, i;
        assert_true(packet.content + packet.content_bytes <= copy + size);
        for (i = 0; rh_load_rtcp_block(&packet, i, &block); i++)
            assert_true(i < RH_LOAD_RTCP_BLOCKS_MAX);
        for (i = 0; rh_load_rtcp_nack(&packet, i, &nack); i++)
            assert_true(i * 4 < size);
        for (i = 0; rh_load_rtcp_keyframe(&packet, i, &value); i++)
            assert_true(i * 8 <= size);
        rh_load_rtcp_sender_ntp(&packet, &value);
    }
    assert_true(reader.at <= size);
    free(copy);
}

static void everyPrefixAndManyBrokenPacketsAreSafe(void **state)
{
    (void)state;
    struct rh_load_rtcp_writer writer;
    write_compound(&writer);
    for (size_t size = 0; size <= writer.size; size++)
        read_all(writer.bytes, size);
    uint64_t random = 3;
    for (uint32_t i = 0; i < 100000; i++) {
        struct rh_load_rtcp_writer broken = writer;
        for (uint32_t n = 0; n < 1 + i % 4; n++) {
            uint64_t draw = rh_load_random(&random);
            broken.bytes[draw % writer.size] = (uint8_t)(draw >> 32);
        }
        read_all(broken.bytes, writer.size);
    }
}

static void writersStopWhereTheBufferEnds(void **state)
{
    (void)state;
    struct rh_load_rtcp_writer writer = {.size = RH_LOAD_RTCP_BYTES_MAX - 16};
    static const uint16_t seqs[] = {1, 100, 200};
    assert_false(rh_load_rtcp_write_rr(&writer, 1, blocks, 1));
    assert_false(rh_load_rtcp_write_sdes(&writer, 1, "a longer canonical name"));
    assert_int_equal(rh_load_rtcp_write_nack(&writer, 1, 2, seqs, 3), 1);
    assert_int_equal(writer.size, RH_LOAD_RTCP_BYTES_MAX);
    writer.size = RH_LOAD_RTCP_BYTES_MAX - 12;
    assert_int_equal(rh_load_rtcp_write_nack(&writer, 1, 2, seqs, 3), 0);
    assert_int_equal(writer.size, RH_LOAD_RTCP_BYTES_MAX - 12);
}

/* ---- Headers and payloads -------------------------------------------------------------------- */

static void check_header(const struct rh_extension_ids *ids)
{
    struct rh_load_header header = {
        .ids = ids, .mid = "a1", .rid = "hi", .repaired_rid = "", .timestamp = 0x01020304,
        .ssrc = 0x0a0b0c0d, .abs_send_time = 0x123456, .seq = 0xfffe, .transport_seq = 0x4321,
        .payload_type = 96, .audio_level = 33, .marker = true, .has_audio_level = true};
    uint8_t bytes[256];
    size_t size = rh_load_header_write(&header, bytes);
    bytes[size] = 0x42;
    struct rh_packet packet;
    assert_int_equal(rh_packet_parse_header(bytes, size + 1, &packet), RH_OK);
    struct rh_extension_map map;
    rh_extension_map_init(&map, ids);
    assert_int_equal(rh_packet_parse_rest(bytes, size + 1, &map, &packet), RH_OK);
    assert_int_equal(packet.payload_offset, size);
    assert_int_equal(packet.payload_bytes, 1);
    assert_int_equal(packet.seq, 0xfffe);
    assert_int_equal(packet.timestamp, 0x01020304);
    assert_int_equal(packet.ssrc, 0x0a0b0c0d);
    assert_true(packet.marker);
    const struct rh_element *mid = &packet.elements[RH_ELEMENT_MID];
    assert_int_equal(mid->offset != 0, ids->mid != 0);
    if (ids->mid != 0)
        assert_memory_equal(bytes + mid->offset, "a1", 2);
    assert_int_equal(packet.elements[RH_ELEMENT_REPAIRED_RID].offset, 0);
    assert_int_equal(
        rh_packet_transport_seq(&packet, bytes), ids->transport_seq != 0 ? 0x4321 : -1);
    assert_int_equal(rh_packet_audio_level(&packet, bytes), ids->audio_level != 0 ? 33 : -1);
}

static void headersAreReadAsTheyWereWritten(void **state)
{
    (void)state;
    check_header(&(struct rh_extension_ids){0});
    check_header(&(struct rh_extension_ids){
        .mid = 1, .rid = 2, .repaired_rid = 3, .abs_send_time = 4, .transport_seq = 5,
        .audio_level = 6});
    check_header(&(struct rh_extension_ids){.mid = 14, .abs_send_time = 1});
    check_header(&(struct rh_extension_ids){.mid = 15, .rid = 200, .audio_level = 255});
}

static void shapesLookLikeVp8(void **state)
{
    (void)state;
    struct rh_load_stream_config config = video_config(0xcafe);
    for (uint32_t packet = 0; packet < 3; packet++) {
        struct rh_load_sent sent = {
            .sent_ns = 0x1122334455667788, .frame = 100, .packet = (uint16_t)packet, .packets = 3,
            .picture_id = 0x7ffe, .tl0 = 200, .is_keyframe = true};
        uint8_t bytes[RH_LOAD_DATAGRAM_BYTES_MAX] = {0};
        size_t size = rh_load_payload_write(&config, &sent, bytes);
        assert_int_equal(size, 100);
        struct rh_packet parsed = {
            .payload_bytes = (uint16_t)size, .marker = rh_load_payload_marker(&config, &sent)};
        assert_int_equal(rh_payload_parse(RH_CODEC_VP8, bytes, &parsed), RH_OK);
        assert_int_equal(parsed.layer.keyframe, packet == 0);
        assert_int_equal(parsed.layer.frame_start, packet == 0);
        assert_int_equal(parsed.marker, packet == 2);
        assert_int_equal(parsed.layer.picture_id, 0x7ffe);
        assert_int_equal(parsed.layer.tl0_pic_idx, 200);
        sent.is_keyframe = false;
        rh_load_payload_write(&config, &sent, bytes);
        assert_int_equal(rh_payload_parse(RH_CODEC_VP8, bytes, &parsed), RH_OK);
        assert_false(parsed.layer.keyframe);
        uint32_t source_id;
        uint64_t sent_ns;
        assert_true(rh_load_stamp_read(bytes, size, &source_id, &sent_ns));
        assert_int_equal(source_id, 0xcafe);
        assert_int_equal(sent_ns, 0x1122334455667788);
        assert_false(rh_load_stamp_read(bytes, RH_LOAD_STAMP_BYTES - 1, &source_id, &sent_ns));
        assert_false(rh_load_stamp_read(bytes, size - 1, &source_id, &sent_ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyDurationIsInsideItsBucket),
        cmocka_unit_test(quantilesAreThoseOfTheSortedValues),
        cmocka_unit_test(lossOrderAndRepetitionAreToldApart),
        cmocka_unit_test(resentPacketsFillHolesWithoutReordering),
        cmocka_unit_test(countsAgreeWithATableOfAllNumbers),
        cmocka_unit_test(numbersOlderThanTheWindowDoNotCount),
        cmocka_unit_test(jitterFollowsRfc3550),
        cmocka_unit_test(whatIsWrittenIsRead),
        cmocka_unit_test(fullIntraRequestsAreRead),
        cmocka_unit_test(everyPrefixAndManyBrokenPacketsAreSafe),
        cmocka_unit_test(writersStopWhereTheBufferEnds),
        cmocka_unit_test(headersAreReadAsTheyWereWritten),
        cmocka_unit_test(shapesLookLikeVp8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
