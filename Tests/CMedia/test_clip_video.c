/* Generated video clips: what is sent can be decoded, with and without upper layers.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "clip_support.h"

enum { LOOPS = 2, PICTURES_MAX = 128 };

static struct rh_clip *make(const struct rh_clip_video_options *options)
{
    struct rh_clip_error error = {""};
    return made(rh_clip_make_video(options, &error), &error);
}

/* Decodes some loops of a clip up to given layers. Pictures are stored at their place in the
 * stream; one that was left out stays zero. Returns the places. */
static uint32_t decode_layers(const struct rh_clip *clip, uint8_t spatial_max,
                              uint8_t temporal_max, struct shown *pictures)
{
    static struct assembly assembly;
    struct decoder decoder;
    decoder_open(&decoder, clip->codec);
    struct rh_clip_cursor at = rh_clip_start(clip, 0);
    uint32_t count = 0;
    for (; count < LOOPS * clip->frame_count; count++, rh_clip_advance(clip, &at)) {
        assert_true(count < PICTURES_MAX);
        pictures[count] = (struct shown){0};
        if (clip->frames[at.frame].temporal > temporal_max)
            continue;
        assemble(clip, &at, spatial_max, &assembly);
        assert_int_equal(assembly.spatial_frames, spatial_max + 1);
        pictures[count] = decoder_show(&decoder, assembly.bytes, assembly.size);
        if (!pictures[count].is_decoded)
            fail_msg("picture %u of layers %u/%u was not decoded", count, spatial_max,
                     temporal_max);
        assert_int_equal(pictures[count].counter, at.frame);
        assert_int_equal(pictures[count].width,
                         clip->width >> (clip->spatial_layers - 1 - spatial_max));
    }
    decoder_close(&decoder);
    return count;
}

/* Every choice of layers shows the same pictures as all temporal layers of that size do: nothing
 * that was left out is referred to. */
static void check_layers(const struct rh_clip_video_options *options)
{
    struct rh_clip *clip = make(options);
    for (uint8_t s = 0; s < clip->spatial_layers; s++) {
        struct shown all[PICTURES_MAX], some[PICTURES_MAX];
        uint32_t count = decode_layers(clip, s, clip->temporal_layers - 1, all);
        for (uint8_t t = 0; t + 1 < clip->temporal_layers; t++) {
            assert_int_equal(decode_layers(clip, s, t, some), count);
            uint32_t kept = 0;
            for (uint32_t i = 0; i < count; i++) {
                if (!some[i].is_decoded)
                    continue;
                kept++;
                assert_true(some[i].digest == all[i].digest);
            }
            assert_int_equal(kept, count >> (clip->temporal_layers - 1 - t));
        }
    }
    rh_clip_free(clip);
}

static void vp8_decodes_with_and_without_upper_temporal_layers(void **state)
{
    (void)state;
    for (uint8_t temporal = 1; temporal <= 3; temporal++) {
        struct rh_clip_video_options options = video_options(RH_CLIP_VP8, 1, temporal);
        check_layers(&options);
    }
}

static void vp9_decodes_with_and_without_upper_layers(void **state)
{
    (void)state;
    for (uint8_t spatial = 1; spatial <= 3; spatial++) {
        for (uint8_t temporal = 1; temporal <= 3; temporal++) {
            struct rh_clip_video_options options = video_options(RH_CLIP_VP9, spatial, temporal);
            check_layers(&options);
            if (spatial == 1 && temporal == 1)
                continue;
            options.is_flexible = true;
            check_layers(&options);
        }
    }
}

/* K-SVC: between keyframes the chosen layer alone is enough. */
static void vp9_key_only_layers_stand_alone_between_keyframes(void **state)
{
    (void)state;
    struct rh_clip_video_options options = video_options(RH_CLIP_VP9, 3, 3);
    options.is_key_only = true;
    struct rh_clip *clip = make(&options);
    static struct assembly whole, below;
    struct decoder decoder, reference;
    decoder_open(&decoder, clip->codec);
    decoder_open(&reference, clip->codec);
    struct rh_clip_cursor at = rh_clip_start(clip, 0);
    for (uint32_t i = 0; i < clip->frame_count; i++, rh_clip_advance(clip, &at)) {
        assemble(clip, &at, 2, &whole);
        assemble(clip, &at, 1, &below);
        size_t skip = clip->frames[at.frame].is_keyframe ? 0 : below.size;
        struct shown all = decoder_show(&reference, whole.bytes, whole.size);
        struct shown alone = decoder_show(&decoder, whole.bytes + skip, whole.size - skip);
        assert_true(alone.is_decoded);
        assert_int_equal(alone.counter, i);
        assert_int_equal(alone.width, options.width);
        assert_true(alone.digest == all.digest);
    }
    decoder_close(&decoder);
    decoder_close(&reference);
    rh_clip_free(clip);
}

static void loops_continue_numbers_and_time(void **state)
{
    (void)state;
    for (int flavour = 0; flavour < 3; flavour++) {
        struct rh_clip_video_options options =
            video_options(flavour == 0 ? RH_CLIP_VP8 : RH_CLIP_VP9, 1, 3);
        options.is_flexible = flavour == 2;
        struct rh_clip *clip = make(&options);
        static struct assembly assembly;
        struct rh_clip_cursor at = rh_clip_start(clip, 8);
        int32_t tl0 = options.is_flexible ? -1 : 0;
        for (uint32_t i = 0; i < 40000; i++, rh_clip_advance(clip, &at)) {
            assert_int_equal(rh_clip_due(clip, &at), i * 3000ull);
            if (i > 200 && i < 32700) /* the rest of a 15-bit round is alike */
                continue;
            assemble(clip, &at, 0, &assembly);
            assert_int_equal(assembly.picture_id, i & 0x7fff);
            if (i != 0 && assembly.temporal == 0 && tl0 >= 0)
                tl0 = (int32_t)(i / 4 & 0xff);
            assert_int_equal(assembly.tl0, tl0);
        }
        rh_clip_free(clip);
    }
}

static void a_jump_to_a_keyframe_is_the_same_stream(void **state)
{
    (void)state;
    struct rh_clip_video_options options = video_options(RH_CLIP_VP8, 1, 3);
    struct rh_clip *clip = make(&options);
    static struct assembly assembly;
    for (uint32_t before = 1; before < 2 * clip->frame_count; before++) {
        struct decoder decoder;
        decoder_open(&decoder, clip->codec);
        struct rh_clip_cursor at = rh_clip_start(clip, 0);
        int32_t tl0 = -1;
        for (uint32_t i = 0; i < before + 6; i++, rh_clip_advance(clip, &at)) {
            if (i == before)
                rh_clip_jump(clip, &at, rh_clip_next_keyframe(clip, at.frame));
            assemble(clip, &at, 0, &assembly);
            assert_int_equal(rh_clip_due(clip, &at), i * 3000ull);
            assert_int_equal(assembly.picture_id, i);
            tl0 += assembly.temporal == 0;
            assert_int_equal(assembly.tl0, tl0);
            assert_int_equal(decoder_show(&decoder, assembly.bytes, assembly.size).counter,
                             at.frame);
            if (i == before)
                assert_true(assembly.is_keyframe);
        }
        decoder_close(&decoder);
    }
    rh_clip_free(clip);
}

static void the_next_keyframe_is_found_from_every_frame(void **state)
{
    (void)state;
    struct rh_clip_video_options options = video_options(RH_CLIP_VP8, 1, 1);
    options.frame_count = 20;
    struct rh_clip *clip = make(&options);
    for (uint32_t i = 0; i < clip->frame_count; i++) {
        assert_int_equal(clip->frames[i].is_keyframe, i % 8 == 0);
        assert_int_equal(rh_clip_next_keyframe(clip, i), i > 16 ? 0 : (i + 7) / 8 * 8);
        assert_int_equal(clip->frames[i].next_keyframe, i >= 16 ? 0 : i / 8 * 8 + 8);
    }
    rh_clip_free(clip);
}

/* P_DIFF of a payload's descriptor (RFC 9628 section 4.2): with picture id and layer indices it
 * begins at byte 4 in flexible mode. Returns how many. */
static int differences_of(const uint8_t *payload, uint32_t differences[3])
{
    assert_int_equal(payload[0] & 0xb0, 0xb0); /* I, L, F */
    if (!(payload[0] & 0x40))
        return 0;
    int count = 0;
    for (int at = 4; count < 3; at++) {
        differences[count++] = payload[at] >> 1;
        if (!(payload[at] & 1))
            return count;
    }
    fail_msg("four reference indices");
    return 0;
}

/* The picture group that non-flexible mode promises: distances by place. */
static void flexible_references_are_those_of_the_group(void **state)
{
    (void)state;
    static const uint32_t groups[3][4] = {{1, 1, 1, 1}, {2, 1, 2, 1}, {4, 1, 2, 1}};
    for (uint8_t spatial = 1; spatial <= 3; spatial++) {
        for (uint8_t temporal = 1; temporal <= 3; temporal++) {
            if (spatial == 1 && temporal == 1)
                continue;
            struct rh_clip_video_options options = video_options(RH_CLIP_VP9, spatial, temporal);
            options.is_flexible = true;
            struct rh_clip *clip = make(&options);
            for (uint32_t i = 0; i < clip->frame_count; i++) {
                const struct rh_clip_frame *frame = &clip->frames[i];
                for (uint32_t p = 0; p < frame->packet_count; p++) {
                    uint32_t differences[3];
                    int count = differences_of(frame->packets[p].payload, differences);
                    assert_int_equal(count, frame->is_keyframe ? 0 : 1);
                    if (count == 1)
                        assert_int_equal(differences[0], groups[temporal - 1][i % 4]);
                }
            }
            rh_clip_free(clip);
        }
    }
}

/* K-SVC: libvpx may also go back to an older picture of the base temporal layer, never to one that
 * a receiver of fewer temporal layers lacks. */
static void key_only_references_are_of_lower_temporal_layers(void **state)
{
    (void)state;
    struct rh_clip_video_options options = video_options(RH_CLIP_VP9, 3, 3);
    options.is_flexible = options.is_key_only = true;
    options.frame_count = options.keyframe_interval = 60;
    struct rh_clip *clip = make(&options);
    for (uint32_t i = 1; i < clip->frame_count; i++) {
        const struct rh_clip_frame *frame = &clip->frames[i];
        for (uint32_t p = 0; p < frame->packet_count; p++) {
            uint32_t differences[3];
            int count = differences_of(frame->packets[p].payload, differences);
            assert_true(count >= 1);
            for (int d = 0; d < count; d++) {
                assert_true(differences[d] <= i);
                uint8_t referred = clip->frames[i - differences[d]].temporal;
                assert_true(referred < frame->temporal || referred == 0);
            }
        }
    }
    rh_clip_free(clip);
}

static void payloads_stay_below_the_limit_and_are_alike(void **state)
{
    (void)state;
    static const uint16_t limits[] = {200, 500, 1150, 1400};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        for (uint8_t codec = RH_CLIP_VP8; codec <= RH_CLIP_VP9; codec++) {
            struct rh_clip_video_options options = video_options(codec, 1, 1);
            options.payload_bytes_max = limits[l];
            options.bitrate_bps = 1500000;
            struct rh_clip *clip = make(&options);
            for (uint32_t i = 0; i < clip->frame_count; i++) {
                uint32_t low = UINT32_MAX, high = 0;
                for (uint32_t p = 0; p < clip->frames[i].packet_count; p++) {
                    uint32_t size = clip->frames[i].packets[p].size;
                    low = size < low ? size : low;
                    high = size > high ? size : high;
                }
                assert_true(high <= limits[l]);
                assert_true(high - low <= 1);
            }
            rh_clip_free(clip);
        }
    }
}

static void the_bit_rate_is_near_the_one_asked_for(void **state)
{
    (void)state;
    static const struct rh_clip_video_options rows[] = {
        {.codec = RH_CLIP_VP8, .width = 640, .height = 360, .bitrate_bps = 600000},
        {.codec = RH_CLIP_VP8, .width = 320, .height = 180, .bitrate_bps = 150000},
        {.codec = RH_CLIP_VP8, .width = 1280, .height = 720, .bitrate_bps = 1500000},
        {.codec = RH_CLIP_VP9, .width = 640, .height = 360, .bitrate_bps = 600000},
        {.codec = RH_CLIP_VP9, .width = 1280, .height = 720, .bitrate_bps = 1500000,
         .spatial_layers = 3, .temporal_layers = 3},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct rh_clip_video_options options = rows[r];
        options.frame_count = 60;
        struct rh_clip *clip = make(&options);
        if (clip->bitrate_bps < options.bitrate_bps * 3 / 4
            || clip->bitrate_bps > options.bitrate_bps * 5 / 4)
            fail_msg("row %zu: %u bit/s, %u wanted", r, clip->bitrate_bps, options.bitrate_bps);
        rh_clip_free(clip);
    }
}

static void the_pattern_counts_through_16_bits(void **state)
{
    (void)state;
    struct rh_clip_video_options options = video_options(RH_CLIP_VP8, 1, 1);
    options.first_counter = 65530;
    options.width = 80;
    options.height = 44;
    options.bitrate_bps = 100000;
    struct rh_clip *clip = make(&options);
    static struct assembly assembly;
    struct decoder decoder;
    decoder_open(&decoder, clip->codec);
    struct rh_clip_cursor at = rh_clip_start(clip, 0);
    for (uint32_t i = 0; i < clip->frame_count; i++, rh_clip_advance(clip, &at)) {
        assemble(clip, &at, 0, &assembly);
        assert_int_equal(decoder_show(&decoder, assembly.bytes, assembly.size).counter,
                         (65530 + i) & 0xffff);
    }
    decoder_close(&decoder);
    rh_clip_free(clip);
    uint8_t grey[80 * 44];
    memset(grey, 128, sizeof grey);
    assert_int_equal(rh_pattern_read(grey, 80, 80, 44), -1);
    memset(grey, 16, sizeof grey);
    assert_int_equal(rh_pattern_read(grey, 80, 80, 44), -1);
    assert_int_equal(rh_pattern_read(grey, 80, 79, 44), -1);
}

static void options_out_of_range_are_refused_with_words(void **state)
{
    (void)state;
    const struct rh_clip_video_options good = video_options(RH_CLIP_VP9, 3, 3);
    struct rh_clip_video_options bad[14];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bad[i] = good;
    bad[0].codec = RH_CLIP_OPUS;
    bad[1].codec = RH_CLIP_VP8;
    bad[2].spatial_layers = 4;
    bad[3].temporal_layers = 4;
    bad[4].width = 312;
    bad[5].width = 644;
    bad[6].height = 0;
    bad[7].width = 8000;
    bad[8].frames_per_second = 61;
    bad[9].bitrate_bps = 0;
    bad[10].payload_bytes_max = 199;
    bad[11].payload_bytes_max = 1401;
    bad[12].frame_count = 0;
    bad[13].spatial_layers = bad[13].temporal_layers = 1;
    bad[13].is_flexible = true;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rh_clip_error error = {""};
        if (rh_clip_make_video(&bad[i], &error) != NULL)
            fail_msg("row %zu was accepted", i);
        assert_true(strlen(error.text) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vp8_decodes_with_and_without_upper_temporal_layers),
        cmocka_unit_test(vp9_decodes_with_and_without_upper_layers),
        cmocka_unit_test(vp9_key_only_layers_stand_alone_between_keyframes),
        cmocka_unit_test(loops_continue_numbers_and_time),
        cmocka_unit_test(a_jump_to_a_keyframe_is_the_same_stream),
        cmocka_unit_test(the_next_keyframe_is_found_from_every_frame),
        cmocka_unit_test(flexible_references_are_those_of_the_group),
        cmocka_unit_test(key_only_references_are_of_lower_temporal_layers),
        cmocka_unit_test(payloads_stay_below_the_limit_and_are_alike),
        cmocka_unit_test(the_bit_rate_is_near_the_one_asked_for),
        cmocka_unit_test(the_pattern_counts_through_16_bits),
        cmocka_unit_test(options_out_of_range_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
