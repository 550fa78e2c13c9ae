/* Real encoded media through the loop: clips that repeat, answer keyframe requests and are resent.
 * SPDX-License-Identifier: Apache-2.0 */
#include "load_support.h"
#include "loop.h"

#include <string.h>

#define SLOT(field) offsetof(struct rh_load_slot_report, field)

static struct rh_clip *make_video(uint8_t codec, uint8_t layers)
{
    struct rh_clip_video_options options = {
        .codec = codec, .spatial_layers = layers, .width = 320, .height = 192,
        .frames_per_second = 30, .bitrate_bps = 600000, .frame_count = 24,
        .keyframe_interval = 12};
    struct rh_clip_error error;
    struct rh_clip *clip = rh_clip_make_video(&options, &error);
    if (clip == NULL)
        fail_msg("%s", error.text);
    return clip;
}

static void publish_clip(const struct rh_clip *clip, enum rh_codec codec, bool is_stamped)
{
    struct pair pair;
    pair_open(&pair, &(struct pair_config){
        .loop = {.impairment = {.loss_out = 0.03, .seed = 3}},
        .endpoint = {.decrypt = RH_LOAD_DECRYPT_ALL, .nack_on = true, .picture_loss_on = true}});
    struct rh_load_slot_config slot = {
        .ssrc = SSRC_VIDEO, .rtx_ssrc = SSRC_VIDEO_RTX, .clock_rate = 90000, .kind = RH_VIDEO,
        .codec = (uint8_t)codec};
    rh_load_slots_expect(pair.loops[1], pair.endpoints[1], &slot, 1);
    struct rh_load_stream_config config = video_config(5);
    config.clip = clip;
    config.codec = (uint8_t)codec;
    config.stamp_on = is_stamped;
    assert_int_equal(rh_load_stream_start(pair.loops[0], pair.endpoints[0], &config), RH_OK);
    struct rh_load_mark mark = {.ssrc = SSRC_VIDEO, .source_id = 5};
    rh_load_slot_mark(pair.loops[1], pair.endpoints[1], &mark);
    struct rh_load_slot_report report = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(frames), 80);
    assert_false(report.is_marked);
    assert_true(report.mark_first_frame_ns >= report.mark_first_packet_ns);
    assert_in_range(report.keyframes, 6, 9); /* two in each repetition of 24 frames */
    assert_int_not_equal(report.source_frame_ns, 0);
    assert_int_equal(report.source_id, is_stamped ? 5 : 0);
    assert_int_equal(report.unauthentic + report.padding_packets, 0);
    uint64_t asked = stream_report(&pair, 0, SSRC_VIDEO).keyframes;
    rh_load_slot_request_keyframe(pair.loops[1], pair.endpoints[1], SSRC_VIDEO);
    struct rh_load_impairment none = {0};
    rh_load_loop_set_impairment(pair.loops[0], &none);
    report = wait_slot(&pair, 1, SSRC_VIDEO, SLOT(frames), report.frames + 60);
    assert_int_equal(report.lost, 0);
    assert_true(stream_report(&pair, 0, SSRC_VIDEO).keyframes > asked + 4);
    pair_close(&pair);
}

static void vp8ClipsRepeatWithoutHoles(void **state)
{
    (void)state;
    struct rh_clip *clip = make_video(RH_CLIP_VP8, 1);
    publish_clip(clip, RH_CODEC_VP8, true);
    rh_clip_free(clip);
}

static void vp9LayersGoThrough(void **state)
{
    (void)state;
    struct rh_clip *clip = make_video(RH_CLIP_VP9, 2);
    publish_clip(clip, RH_CODEC_VP9, false);
    rh_clip_free(clip);
}

static void silentOpusFramesAreNotSent(void **state)
{
    (void)state;
    struct rh_clip_audio_options options = {
        .sound = RH_CLIP_SPEECH, .uses_dtx = true, .frame_count = 150, .seed = 4};
    struct rh_clip_error error;
    struct rh_clip *clip = rh_clip_make_audio(&options, &error);
    if (clip == NULL)
        fail_msg("%s", error.text);
    uint32_t sounding = 0;
    for (uint32_t i = 0; i < clip->frame_count; i++)
        sounding += clip->frames[i].packet_count;
    struct pair pair;
    pair_open(&pair, &(struct pair_config){.endpoint = {.ids = {.audio_level = 1}}});
    expect_both(&pair, 1);
    struct rh_load_stream_config config = audio_config(6);
    config.clip = clip;
    config.stamp_on = false;
    assert_int_equal(rh_load_stream_start(pair.loops[0], pair.endpoints[0], &config), RH_OK);
    uint64_t start_ns = rh_load_now_ns();
    struct rh_load_slot_report report =
        wait_slot(&pair, 1, SSRC_AUDIO, SLOT(packets), sounding + 10);
    uint64_t took_ns = rh_load_now_ns() - start_ns;
    assert_true(took_ns > 2500000000); /* the pauses take their time: 150 frames are 3 s */
    assert_int_equal(report.lost, 0);
    pair_close(&pair);
    rh_clip_free(clip);
}

/* A decoder sees every byte that it looks at as the encoder made it. */
static void stampsTakeSpareBytesAlone(void **state)
{
    (void)state;
    struct rh_clip *clip = make_video(RH_CLIP_VP8, 1);
    struct rh_load_stream_config config = video_config(5);
    config.clip = clip;
    config.stamp_on = true;
    uint32_t stamps = 0;
    for (uint32_t f = 0; f < clip->frame_count; f++) {
        const struct rh_clip_frame *frame = &clip->frames[f];
        struct rh_load_sent sent = {
            .frame = f, .packets = (uint16_t)frame->packet_count, .sent_ns = 77};
        for (; sent.packet < sent.packets; sent.packet++) {
            const struct rh_clip_packet *packet = &frame->packets[sent.packet];
            uint8_t bytes[RH_LOAD_DATAGRAM_BYTES_MAX];
            assert_int_equal(rh_load_payload_write(&config, &sent, bytes), packet->size);
            assert_memory_equal(bytes, packet->payload, packet->size - packet->spare_bytes);
            uint32_t source_id;
            uint64_t sent_ns;
            stamps += rh_load_stamp_read(bytes, packet->size, &source_id, &sent_ns);
        }
    }
    assert_int_equal(stamps, clip->frame_count);
    assert_true(clip->packet_count > clip->frame_count);
    rh_clip_free(clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stampsTakeSpareBytesAlone),
        cmocka_unit_test(vp8ClipsRepeatWithoutHoles),
        cmocka_unit_test(vp9LayersGoThrough),
        cmocka_unit_test(silentOpusFramesAreNotSent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
