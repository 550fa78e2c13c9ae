/* Layer decisions, one stream at a time. SPDX-License-Identifier: Apache-2.0 */
#include "select/select.h"
#include "wire_support.h"

static const struct rh_target everything = {2, RH_SELECT_ALL, RH_SELECT_ALL};

/* A packet by the few properties that decisions look at. */
static struct rh_packet packet_of(uint32_t timestamp, struct rh_layer_info layer)
{
    return (struct rh_packet){.timestamp = timestamp, .payload_bytes = 100, .layer = layer};
}

static struct rh_packet key_at(uint32_t timestamp)
{
    return packet_of(timestamp, (struct rh_layer_info){.keyframe = true, .frame_start = true});
}

static enum rh_select_action decide(
    struct rh_select *select, uint8_t encoding, struct rh_packet packet)
{
    return rh_select_decide(select, encoding, &packet).action;
}

static void videoBeginsWithAKeyframeOfTheTarget(void **state)
{
    (void)state;
    struct rh_select select;
    rh_select_init(&select, RH_CODEC_VP8, (struct rh_target){1, 255, 255});
    assert_int_equal(rh_select_awaited(&select), 1);
    struct rh_packet delta = packet_of(1, (struct rh_layer_info){.frame_start = true});
    assert_int_equal(decide(&select, 1, delta), RH_SELECT_IGNORE);
    assert_int_equal(decide(&select, 0, key_at(2)), RH_SELECT_IGNORE);
    assert_int_equal(decide(&select, 1, key_at(3)), RH_SELECT_SWITCH);
    assert_int_equal(rh_select_awaited(&select), RH_SELECT_NOTHING);
    assert_int_equal(decide(&select, 1, packet_of(3, (struct rh_layer_info){0})),
                     RH_SELECT_FORWARD);
    assert_int_equal(decide(&select, 1, key_at(4)), RH_SELECT_FORWARD);
}

static void audioBeginsAtOnce(void **state)
{
    (void)state;
    struct rh_select select;
    rh_select_init(&select, RH_CODEC_OPUS, (struct rh_target){0, 255, 255});
    struct rh_packet packet = packet_of(1, (struct rh_layer_info){.picture_id = -1});
    packet.marker = true;
    struct rh_select_decision decision = rh_select_decide(&select, 0, &packet);
    assert_int_equal(decision.action, RH_SELECT_SWITCH);
    assert_true(decision.marker);
    assert_int_equal(decide(&select, 0, packet), RH_SELECT_FORWARD);
}

static void theOldEncodingGoesOnUntilTheNewOneBegins(void **state)
{
    (void)state;
    struct rh_select select;
    rh_select_init(&select, RH_CODEC_H264, (struct rh_target){0, 255, 255});
    decide(&select, 0, key_at(1));
    rh_select_set_target(&select, everything);
    struct rh_packet delta = packet_of(2, (struct rh_layer_info){0});
    assert_int_equal(decide(&select, 0, delta), RH_SELECT_FORWARD);
    assert_int_equal(decide(&select, 2, delta), RH_SELECT_IGNORE);
    assert_int_equal(decide(&select, 2, key_at(3)), RH_SELECT_SWITCH);
    assert_int_equal(decide(&select, 0, key_at(3)), RH_SELECT_IGNORE);
    rh_select_set_target(&select, (struct rh_target){0, 255, 255});
    assert_int_equal(rh_select_awaited(&select), 0);
    rh_select_set_target(&select, everything);
    assert_int_equal(decide(&select, 0, key_at(4)), RH_SELECT_IGNORE);
}

static void paddingAloneIsNeverForwarded(void **state)
{
    (void)state;
    struct rh_select select;
    rh_select_init(&select, RH_CODEC_OPUS, (struct rh_target){0, 255, 255});
    struct rh_packet padding = {.timestamp = 1, .padding_bytes = 200};
    assert_int_equal(decide(&select, 0, padding), RH_SELECT_IGNORE);
    decide(&select, 0, packet_of(1, (struct rh_layer_info){0}));
    assert_int_equal(decide(&select, 0, padding), RH_SELECT_DROP);
    assert_int_equal(rh_select_decide_late(&select, &padding).action, RH_SELECT_IGNORE);
}

struct step {
    uint8_t temporal, spatial;
    bool up, independent, keyframe, end, marker;
    uint8_t target_temporal, target_spatial; /* set before the packet */
    enum rh_select_action action;
    bool out_marker;
};

/* Runs one picture a step, unless same says that the step is of the picture before. */
static void run_steps(enum rh_codec codec, const struct step *steps, size_t count)
{
    struct rh_select select;
    rh_select_init(&select, codec, (struct rh_target){0, 255, 255});
    uint32_t timestamp = 0;
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[i];
        bool is_same_picture = i > 0 && step->spatial > steps[i - 1].spatial;
        timestamp += is_same_picture ? 0 : 3000;
        rh_select_set_target(
            &select, (struct rh_target){0, step->target_spatial, step->target_temporal});
        struct rh_packet packet = packet_of(timestamp, (struct rh_layer_info){
            .temporal = step->temporal, .spatial = step->spatial, .switch_up = step->up,
            .keyframe = step->keyframe, .frame_start = true, .frame_end = step->end,
            .independent = step->independent});
        packet.marker = step->marker;
        struct rh_select_decision decision = rh_select_decide(&select, 0, &packet);
        if (decision.action != step->action)
            fail_msg("step %zu: action %u", i, decision.action);
        if (step->action >= RH_SELECT_FORWARD && decision.marker != step->out_marker)
            fail_msg("step %zu: marker %u", i, decision.marker);
    }
}

/* RFC 7741 section 4.2: Y says that a picture refers to the base layer alone. */
static void vp8TemporalLayersGoUpAtLayerSync(void **state)
{
    (void)state;
    const struct step steps[] = {
        {.keyframe = true, .target_temporal = 0, .action = RH_SELECT_SWITCH},
        {.temporal = 2, .up = true, .target_temporal = 0, .action = RH_SELECT_DROP},
        {.temporal = 1, .target_temporal = 2, .action = RH_SELECT_DROP},
        {.temporal = 2, .up = true, .target_temporal = 2, .action = RH_SELECT_DROP},
        {.temporal = 0, .target_temporal = 2, .action = RH_SELECT_FORWARD},
        {.temporal = 1, .up = true, .target_temporal = 2, .action = RH_SELECT_FORWARD},
        {.temporal = 2, .target_temporal = 2, .action = RH_SELECT_DROP},
        {.temporal = 2, .up = true, .target_temporal = 2, .action = RH_SELECT_FORWARD},
        {.temporal = 1, .target_temporal = 2, .action = RH_SELECT_FORWARD},
        {.temporal = 2, .target_temporal = 1, .action = RH_SELECT_DROP},
        {.temporal = 1, .target_temporal = 1, .action = RH_SELECT_FORWARD},
        {.temporal = 1, .target_temporal = 0, .action = RH_SELECT_DROP},
        {.keyframe = true, .target_temporal = 255, .action = RH_SELECT_FORWARD},
        {.temporal = 2, .target_temporal = 255, .action = RH_SELECT_FORWARD},
    };
    run_steps(RH_CODEC_VP8, steps, sizeof steps / sizeof *steps);
}

/* RFC 9628 section 4.2: after U nothing above refers to what was left out before it. */
static void vp9TemporalLayersGoUpAfterASwitchingPoint(void **state)
{
    (void)state;
    const struct step steps[] = {
        {.keyframe = true, .target_temporal = 0, .target_spatial = 255,
         .action = RH_SELECT_SWITCH},
        {.temporal = 1, .target_temporal = 0, .target_spatial = 255, .action = RH_SELECT_DROP},
        {.temporal = 0, .target_temporal = 2, .target_spatial = 255,
         .action = RH_SELECT_FORWARD},
        {.temporal = 2, .up = true, .target_temporal = 2, .target_spatial = 255,
         .action = RH_SELECT_DROP},
        {.temporal = 0, .up = true, .target_temporal = 2, .target_spatial = 255,
         .action = RH_SELECT_FORWARD},
        {.temporal = 2, .target_temporal = 2, .target_spatial = 255,
         .action = RH_SELECT_FORWARD},
    };
    run_steps(RH_CODEC_VP9, steps, sizeof steps / sizeof *steps);
}

static void vp9MarkerMovesToTheHighestLayerCarried(void **state)
{
    (void)state;
    const struct step steps[] = {
        {.spatial = 0, .keyframe = true, .end = true, .target_spatial = 1,
         .action = RH_SELECT_SWITCH},
        {.spatial = 1, .end = true, .target_spatial = 1, .action = RH_SELECT_FORWARD,
         .out_marker = true},
        {.spatial = 2, .end = true, .marker = true, .target_spatial = 1,
         .action = RH_SELECT_DROP},
        /* down between pictures, not inside one */
        {.spatial = 0, .end = true, .target_spatial = 1, .action = RH_SELECT_FORWARD},
        {.spatial = 1, .end = true, .target_spatial = 0, .action = RH_SELECT_FORWARD,
         .out_marker = true},
        {.spatial = 0, .end = true, .target_spatial = 0, .action = RH_SELECT_FORWARD,
         .out_marker = true},
        {.spatial = 1, .end = true, .target_spatial = 0, .action = RH_SELECT_DROP},
        /* up at a keyframe only */
        {.spatial = 0, .end = true, .target_spatial = 255, .action = RH_SELECT_FORWARD,
         .out_marker = true},
        {.spatial = 1, .end = true, .target_spatial = 255, .action = RH_SELECT_DROP},
        {.spatial = 0, .keyframe = true, .end = true, .target_spatial = 255,
         .action = RH_SELECT_FORWARD},
        {.spatial = 2, .end = true, .marker = true, .target_spatial = 255,
         .action = RH_SELECT_FORWARD, .out_marker = true},
    };
    run_steps(RH_CODEC_VP9, steps, sizeof steps / sizeof *steps);
}

static void latePacketsOfLayersThatWereLeftOutAreIgnored(void **state)
{
    (void)state;
    struct rh_select select;
    rh_select_init(&select, RH_CODEC_VP8, (struct rh_target){0, 255, 0});
    decide(&select, 0, key_at(1000));
    struct rh_packet old_base = packet_of(4000, (struct rh_layer_info){.temporal = 0});
    struct rh_packet old_upper = packet_of(7000, (struct rh_layer_info){.temporal = 1});
    decide(&select, 0, old_base);
    assert_int_equal(decide(&select, 0, old_upper), RH_SELECT_DROP);
    rh_select_set_target(&select, (struct rh_target){0, 255, 2});
    struct rh_packet sync = packet_of(
        10000, (struct rh_layer_info){.temporal = 1, .switch_up = true});
    assert_int_equal(decide(&select, 0, sync), RH_SELECT_FORWARD);
    assert_int_equal(rh_select_decide_late(&select, &sync).action, RH_SELECT_FORWARD);
    assert_int_equal(rh_select_decide_late(&select, &old_base).action, RH_SELECT_FORWARD);
    assert_int_equal(rh_select_decide_late(&select, &old_upper).action, RH_SELECT_IGNORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(videoBeginsWithAKeyframeOfTheTarget),
        cmocka_unit_test(audioBeginsAtOnce),
        cmocka_unit_test(theOldEncodingGoesOnUntilTheNewOneBegins),
        cmocka_unit_test(paddingAloneIsNeverForwarded),
        cmocka_unit_test(vp8TemporalLayersGoUpAtLayerSync),
        cmocka_unit_test(vp9TemporalLayersGoUpAfterASwitchingPoint),
        cmocka_unit_test(vp9MarkerMovesToTheHighestLayerCarried),
        cmocka_unit_test(latePacketsOfLayersThatWereLeftOutAreIgnored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
