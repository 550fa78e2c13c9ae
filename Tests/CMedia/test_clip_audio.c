/* Generated sound clips: what is sent is the sound, and its levels are true.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

#include "clip_support.h"

enum { FRAME_SAMPLES = 960, FRAMES = 500 };

static struct rh_clip *make(const struct rh_clip_audio_options *options)
{
    struct rh_clip_error error = {""};
    return made(rh_clip_make_audio(options, &error), &error);
}

/* -dBov of decoded samples, unrounded. */
static double level_of(const int16_t *samples, int count)
{
    double sum = 1e-9;
    for (int i = 0; i < count; i++)
        sum += (double)samples[i] * samples[i];
    return -10 * log10(sum / count / (32767.0 * 32767.0));
}

/* Decodes a clip; frames that were not sent are concealed, as a receiver does. */
static void decode_levels(const struct rh_clip *clip, double *levels)
{
    int status = 0;
    OpusDecoder *decoder = opus_decoder_create(48000, clip->channels, &status);
    assert_int_equal(status, OPUS_OK);
    for (uint32_t i = 0; i < clip->frame_count; i++) {
        const struct rh_clip_frame *frame = &clip->frames[i];
        int16_t samples[FRAME_SAMPLES * 2];
        assert_true(frame->packet_count <= 1);
        bool is_sent = frame->packet_count == 1;
        uint8_t payload[RH_CLIP_PAYLOAD_BYTES_MAX];
        uint16_t size = is_sent ? frame->packets[0].size : 0;
        if (is_sent) { /* what a sender writes into the spare bytes must not matter */
            memcpy(payload, frame->packets[0].payload, size);
            assert_int_equal(frame->packets[0].spare_bytes, RH_CLIP_SPARE_BYTES);
            memset(payload + size - RH_CLIP_SPARE_BYTES, 0xa7, RH_CLIP_SPARE_BYTES);
        }
        int count = opus_decode(decoder, is_sent ? payload : NULL, size, samples, FRAME_SAMPLES, 0);
        assert_int_equal(count, FRAME_SAMPLES);
        levels[i] = level_of(samples, count * clip->channels);
    }
    opus_decoder_destroy(decoder);
}

static void a_tone_is_heard_at_its_level(void **state)
{
    (void)state;
    for (uint8_t channels = 1; channels <= 2; channels++) {
        struct rh_clip *clip = make(&(struct rh_clip_audio_options){
            .sound = RH_CLIP_TONE, .channels = channels, .frame_count = FRAMES});
        double levels[FRAMES];
        decode_levels(clip, levels);
        assert_int_equal(clip->packet_count, FRAMES);
        assert_int_equal(clip->duration, FRAMES * FRAME_SAMPLES);
        for (uint32_t i = 10; i < FRAMES; i++) {
            assert_int_equal(clip->frames[i].timestamp, i * FRAME_SAMPLES);
            assert_true(fabs(levels[i] - clip->frames[i].audio_level) < 2);
            assert_true(clip->frames[i].has_voice);
        }
        assert_true(clip->bitrate_bps > 15000 && clip->bitrate_bps < 45000);
        rh_clip_free(clip);
    }
}

/* Loud frames are loud behind the codec and pauses quiet. libopus delays by 6.5 ms, so only frames
 * are compared whose neighbours are alike. */
static void speech_has_bursts_and_pauses_where_its_levels_say(void **state)
{
    (void)state;
    for (int dtx = 0; dtx < 2; dtx++) {
        struct rh_clip *clip = make(&(struct rh_clip_audio_options){
            .sound = RH_CLIP_SPEECH, .uses_dtx = dtx, .frame_count = FRAMES});
        double levels[FRAMES];
        decode_levels(clip, levels);
        int loud = 0, quiet = 0;
        for (int i = 1; i + 1 < FRAMES; i++) {
            const struct rh_clip_frame *f = &clip->frames[i];
            if (f[-1].audio_level < 26 && f[0].audio_level < 26) {
                loud++;
                assert_true(fabs(levels[i] - f->audio_level) < 6);
                assert_true(f->has_voice && f->packet_count == 1);
            } else if (f[-1].audio_level > 70 && f[0].audio_level > 70) {
                quiet++;
                assert_true(levels[i] > 50);
                assert_false(f->has_voice);
            }
        }
        assert_true(loud > 50 && quiet > 50);
        rh_clip_free(clip);
    }
}

static void silence_is_not_sent_with_dtx_and_its_end_is_marked(void **state)
{
    (void)state;
    struct rh_clip *clip = make(&(struct rh_clip_audio_options){
        .sound = RH_CLIP_SPEECH, .uses_dtx = true, .frame_count = FRAMES});
    uint32_t missing = 0;
    for (uint32_t i = 0; i < clip->frame_count; i++) {
        const struct rh_clip_frame *frame = &clip->frames[i];
        assert_int_equal(frame->timestamp, i * FRAME_SAMPLES);
        missing += frame->packet_count == 0;
        if (frame->packet_count == 0)
            continue;
        bool is_after_silence = i == 0 || clip->frames[i - 1].packet_count == 0;
        assert_int_equal(frame->packets[0].marker, is_after_silence);
    }
    assert_true(missing > FRAMES / 10);
    assert_int_equal(clip->packet_count, FRAMES - missing);
    rh_clip_free(clip);
}

static void loops_go_on_in_time(void **state)
{
    (void)state;
    struct rh_clip *clip = make(&(struct rh_clip_audio_options){
        .sound = RH_CLIP_SPEECH, .uses_dtx = true, .frame_count = 50});
    struct rh_clip_cursor at = rh_clip_start(clip, 7);
    for (uint64_t i = 0; i < 200; i++, rh_clip_advance(clip, &at)) {
        assert_int_equal(at.frame, (i + 7) % 50);
        assert_int_equal(rh_clip_due(clip, &at), i * FRAME_SAMPLES);
    }
    rh_clip_free(clip);
}

static void seeds_speak_at_other_times_and_repeat(void **state)
{
    (void)state;
    struct rh_clip *clips[3];
    for (uint32_t i = 0; i < 3; i++)
        clips[i] = make(&(struct rh_clip_audio_options){
            .sound = RH_CLIP_SPEECH, .frame_count = FRAMES, .seed = i == 2 ? 0 : i});
    int differing = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        differing += clips[0]->frames[i].has_voice != clips[1]->frames[i].has_voice;
        const struct rh_clip_packet *a = clips[0]->frames[i].packets;
        const struct rh_clip_packet *b = clips[2]->frames[i].packets;
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->payload, b->payload, a->size);
    }
    assert_true(differing > 50);
    for (int i = 0; i < 3; i++)
        rh_clip_free(clips[i]);
}

static void options_out_of_range_are_refused_with_words(void **state)
{
    (void)state;
    static const struct rh_clip_audio_options bad[] = {
        {.sound = 0, .frame_count = 10},
        {.sound = 3, .frame_count = 10},
        {.sound = RH_CLIP_TONE},
        {.sound = RH_CLIP_TONE, .frame_count = RH_CLIP_FRAMES_MAX + 1},
        {.sound = RH_CLIP_TONE, .frame_count = 10, .channels = 3},
        {.sound = RH_CLIP_TONE, .frame_count = 10, .bitrate_bps = 5999},
        {.sound = RH_CLIP_TONE, .frame_count = 10, .bitrate_bps = 510001},
        {.sound = RH_CLIP_TONE, .frame_count = 10, .tone_hz = 8001},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rh_clip_error error = {""};
        if (rh_clip_make_audio(&bad[i], &error) != NULL)
            fail_msg("row %zu was accepted", i);
        assert_true(strlen(error.text) > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tone_is_heard_at_its_level),
        cmocka_unit_test(speech_has_bursts_and_pauses_where_its_levels_say),
        cmocka_unit_test(silence_is_not_sent_with_dtx_and_its_end_is_marked),
        cmocka_unit_test(loops_go_on_in_time),
        cmocka_unit_test(seeds_speak_at_other_times_and_repeat),
        cmocka_unit_test(options_out_of_range_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
