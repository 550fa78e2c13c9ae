/* Outgoing numbers, case by case. SPDX-License-Identifier: Apache-2.0 */
#include "select/rewrite.h"
#include "wire/payload.h"
#include "wire/seq.h"
#include "wire/vp8.h"
#include "wire_support.h"

enum { FIRST_OUT = RH_SEQ64_FIRST + 100, FIRST_TIMESTAMP = 5000, VIDEO_RATE = 90000, STEP = 3000 };

static struct rh_packet picture(uint32_t timestamp, int32_t id, uint8_t tl0)
{
    return (struct rh_packet){
        .timestamp = timestamp, .payload_bytes = 100,
        .layer = {.picture_id = id, .picture_id_bytes = 2, .picture_id_offset = 2,
                  .tl0_offset = 4, .tl0_pic_idx = tl0, .is_dense = true}};
}

static struct rh_rewrite_source source_at(uint64_t seq64, uint64_t arrival_us)
{
    return (struct rh_rewrite_source){
        .seq64 = seq64, .arrival_us = arrival_us, .clock_rate = VIDEO_RATE, .step = STEP};
}

/* A slot that carries a source from seq64 70000, picture 50, TL0PICIDX 9 on. */
static void begin(struct rh_rewrite *rewrite)
{
    rh_rewrite_init(rewrite, FIRST_OUT, FIRST_TIMESTAMP);
    struct rh_packet first = picture(1000000, 50, 9);
    struct rh_rewrite_source source = source_at(70000, 1000000);
    struct rh_rewritten out = rh_rewrite_switch(rewrite, &first, &source);
    assert_int_equal(out.seq64, FIRST_OUT);
    assert_int_equal(out.timestamp, FIRST_TIMESTAMP);
}

static void lossLeavesAHoleAndDropsLeaveNone(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet packet = picture(1003000, 51, 10);
    assert_int_equal(rh_rewrite_forward(&rewrite, &packet, 70003, 0).seq64, FIRST_OUT + 3);
    struct rh_packet upper = picture(1006000, 52, 10);
    rh_rewrite_drop(&rewrite, &upper, 70004);
    rh_rewrite_drop(&rewrite, &upper, 70007); /* of the same picture as what is missing */
    assert_int_equal(rewrite.run.first_in_seq64, 70008);
    assert_int_equal(rewrite.run.first_out_seq64, FIRST_OUT + 4);
    packet = picture(1009000, 53, 11);
    struct rh_rewritten out = rh_rewrite_forward(&rewrite, &packet, 70009, 0);
    assert_int_equal(out.seq64, FIRST_OUT + 5);
    assert_int_equal(out.timestamp, FIRST_TIMESTAMP + 9000);
    upper = picture(1012000, 54, 11);
    rh_rewrite_drop(&rewrite, &upper, 70010);
    upper = picture(1015000, 55, 11);
    rh_rewrite_drop(&rewrite, &upper, 70012); /* what is missing may be wanted */
    packet = picture(1018000, 56, 12);
    assert_int_equal(rh_rewrite_forward(&rewrite, &packet, 70013, 0).seq64, FIRST_OUT + 7);
}

static void pictureIdsCloseUpOncePerPicture(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    assert_int_equal(rewrite.run.picture_id_offset, 0);
    struct rh_packet upper = picture(1003000, 51, 9);
    rh_rewrite_drop(&rewrite, &upper, 70001);
    rh_rewrite_drop(&rewrite, &upper, 70002);
    assert_int_equal(rewrite.run.picture_id_offset, (uint16_t)-1);
    upper.layer.is_dense = false; /* VP9 refers to picture ids */
    upper.timestamp += 3000;
    upper.layer.picture_id++;
    rh_rewrite_drop(&rewrite, &upper, 70003);
    assert_int_equal(rewrite.run.picture_id_offset, (uint16_t)-1);
}

static void aSwitchContinuesEveryNumber(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet first = picture(77, 32767, 255);
    struct rh_rewrite_source source = source_at(300000, 1100000);
    struct rh_rewritten out = rh_rewrite_switch(&rewrite, &first, &source);
    assert_int_equal(out.seq64, FIRST_OUT + 1);
    assert_int_equal(out.timestamp, FIRST_TIMESTAMP + 9000); /* 100 ms later */
    assert_int_equal(rewrite.last_picture_id & 0x7fff, 51);
    assert_int_equal(rewrite.last_tl0, 10);
    struct rh_packet next = picture(77 + 3000, 0, 0); /* both wrap */
    out = rh_rewrite_forward(&rewrite, &next, 300001, 1133000);
    assert_int_equal(out.timestamp, FIRST_TIMESTAMP + 12000);
    assert_int_equal(rewrite.last_picture_id & 0x7fff, 52);
    assert_int_equal(rewrite.last_tl0, 11);
}

static void timestampsGoForwardByAFrameAtLeast(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet first = picture(0xfffffff0, 1, 1);
    struct rh_rewrite_source source = source_at(80000, 1000000); /* at the same moment */
    assert_int_equal(
        rh_rewrite_switch(&rewrite, &first, &source).timestamp, FIRST_TIMESTAMP + STEP);
    source = source_at(90000, 999000); /* a clock that seems to run back */
    assert_int_equal(
        rh_rewrite_switch(&rewrite, &first, &source).timestamp, FIRST_TIMESTAMP + 2 * STEP);
}

/* A picture missing below one that was left out may still come, before the switch in numbers. */
static void aSwitchGoesBehindThePicturesThatMayStillCome(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet upper = picture(1000000 + 2 * STEP, 52, 9);
    rh_rewrite_drop(&rewrite, &upper, 70002); /* 70001 is missing: timestamp + STEP, picture 51 */
    struct rh_packet first = picture(5, 700, 70);
    struct rh_rewrite_source source = source_at(80000, 1000000);
    struct rh_rewritten out = rh_rewrite_switch(&rewrite, &first, &source);
    assert_int_equal(out.seq64, FIRST_OUT + 2);
    assert_int_equal(out.timestamp, FIRST_TIMESTAMP + 2 * STEP);
    assert_int_equal(rewrite.last_picture_id & 0x7fff, 52);
}

/* Two encodings whose clocks are 7,000,000 units apart; reports of different moments. */
static void senderReportsAlignEncodingsWithoutDrift(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite); /* low encoding: timestamp 1000000 at NTP second 10 */
    const uint64_t second = 1ull << 32;
    struct rh_clock_point low = {.ntp = 8 * second, .rtp = 1000000 - 180000, .known = true};
    struct rh_clock_point high = {.ntp = 9 * second, .rtp = 8000000 - 90000, .known = true};
    uint32_t now = 1000000; /* by the low encoding's clock */
    uint64_t seq64 = 70000;
    for (int i = 0; i < 50; i++) {
        bool to_high = i % 2 == 0;
        now += 3000;
        struct rh_packet packet = picture(now + (to_high ? 7000000 : 0), i, 0);
        struct rh_rewrite_source source = source_at(++seq64, 1000000 + (uint64_t)i * 40000);
        source.from = to_high ? low : high;
        source.to = to_high ? high : low;
        struct rh_rewritten out = rh_rewrite_switch(&rewrite, &packet, &source);
        assert_int_equal(out.timestamp, FIRST_TIMESTAMP + (now - 1000000));
        packet.timestamp -= 3000; /* captured before the last one sent: one frame on, for now */
        source.seq64 = ++seq64;
        source.from = source.to;
        assert_int_equal(rh_rewrite_switch(&rewrite, &packet, &source).timestamp,
                         out.timestamp + STEP);
        now += 3000;
    }
}

static void absurdReportsAreNotBelieved(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet first = picture(123, 1, 1);
    struct rh_rewrite_source source = source_at(80000, 1050000);
    source.from = (struct rh_clock_point){.ntp = 1, .rtp = 1, .known = true};
    source.to = (struct rh_clock_point){.ntp = UINT64_MAX / 3, .rtp = 77, .known = true};
    assert_int_equal(
        rh_rewrite_switch(&rewrite, &first, &source).timestamp, FIRST_TIMESTAMP + 4500);
}

static void aLongSilenceStillGoesForward(void **state)
{
    (void)state;
    struct rh_rewrite rewrite;
    begin(&rewrite);
    struct rh_packet first = picture(9, 1, 1);
    const uint64_t hour_us = 3600ull * 1000000;
    struct rh_rewrite_source source = source_at(80000, 1000000 + hour_us);
    assert_int_equal(rh_rewrite_switch(&rewrite, &first, &source).timestamp,
                     FIRST_TIMESTAMP + 3600u * VIDEO_RATE);
    source = source_at(90000, 1000000 + 25 * hour_us); /* more than 2^31 units later */
    assert_int_equal(rh_rewrite_switch(&rewrite, &first, &source).timestamp,
                     FIRST_TIMESTAMP + 3600u * VIDEO_RATE + (1u << 30));
}

static size_t patched(
    const struct rh_rewrite_run *run, const char *hex, struct rh_layer_info *layer, uint8_t *out)
{
    uint8_t payload[64];
    size_t size = from_hex(hex, payload, sizeof payload);
    assert_int_equal(rh_vp8_parse(payload, size, false, layer), RH_OK);
    struct rh_patch patch = rh_rewrite_patch(run, layer, payload);
    size_t written = rh_patch_apply(&patch, payload, size, out);
    assert_memory_equal(out + written - 3, payload + size - 3, 3);
    return written;
}

static void patchesWriteLongPictureIds(void **state)
{
    (void)state;
    static const struct { const char *in, *out; uint16_t id_offset; uint8_t tl0_offset; } rows[] = {
        /* nothing to change: the payload goes out as it is */
        {"90e0923417a0 aabbcc", "90e0923417a0 aabbcc", 0, 0},
        {"10 00aabb", "10 00aabb", 5, 5},
        {"90e0923417a0 aabbcc", "90e0923517a0 aabbcc", 1, 0},
        {"90e0ffff17a0 aabbcc", "90e0800016a0 aabbcc", 1, 255},
        {"90e0800017a0 aabbcc", "90e0ffff17a0 aabbcc", 0xffff, 0},
        /* 7 bits grow to 15, even without an offset */
        {"90e01217a0 aabbcc", "90e0801217a0 aabbcc", 0, 0},
        {"9080127f aabbcc", "908093447f aabbcc", 0x1332, 9},
        {"904017 aabbcc", "904019 aabbcc", 7, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rh_rewrite_run run = {
            .picture_id_offset = rows[i].id_offset, .tl0_offset = rows[i].tl0_offset};
        uint8_t out[64], expected[64];
        struct rh_layer_info layer;
        size_t size = patched(&run, rows[i].in, &layer, out);
        size_t expected_bytes = from_hex(rows[i].out, expected, sizeof expected);
        if (size != expected_bytes || memcmp(out, expected, size) != 0)
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossLeavesAHoleAndDropsLeaveNone),
        cmocka_unit_test(pictureIdsCloseUpOncePerPicture),
        cmocka_unit_test(aSwitchContinuesEveryNumber),
        cmocka_unit_test(timestampsGoForwardByAFrameAtLeast),
        cmocka_unit_test(aSwitchGoesBehindThePicturesThatMayStillCome),
        cmocka_unit_test(senderReportsAlignEncodingsWithoutDrift),
        cmocka_unit_test(absurdReportsAreNotBelieved),
        cmocka_unit_test(aLongSilenceStillGoesForward),
        cmocka_unit_test(patchesWriteLongPictureIds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
