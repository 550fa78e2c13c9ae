/* Pairs of endpoints. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "load_support.h"

#include <poll.h>
#include <string.h>

static const struct rh_srtp_keys pair_keys[2] = {
    {.key = "0123456789abcde", .salt = "ABCDEFGHIJKLM"},
    {.key = "fedcba987654321", .salt = "nopqrstuvwxyz"},
};

void pair_open(struct pair *pair, const struct pair_config *config)
{
    memset(pair, 0, sizeof *pair);
    struct rh_load_endpoint_config endpoint = config->endpoint;
    endpoint.bind = (struct rh_address){.family = 4, .ip = {127, 0, 0, 1}};
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(rh_load_loop_create(&config->loop, &pair->loops[i]), RH_OK);
        endpoint.user = 100 + i;
        assert_int_equal(
            rh_load_endpoint_create(
                pair->loops[i], &endpoint, &pair->endpoints[i], &pair->addresses[i]),
            RH_OK);
        assert_int_not_equal(pair->addresses[i].port, 0);
    }
    enum rh_srtp_profile profile =
        config->profile != 0 ? config->profile : RH_SRTP_AEAD_AES_128_GCM;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(
            rh_load_endpoint_set_srtp(
                pair->loops[i], pair->endpoints[i], profile, &pair_keys[i], &pair_keys[1 - i]),
            RH_OK);
        assert_int_equal(
            rh_load_endpoint_set_remote(
                pair->loops[i], pair->endpoints[i], &pair->addresses[1 - i]),
            RH_OK);
    }
}

void pair_close(struct pair *pair)
{
    for (uint32_t i = 0; i < 2; i++)
        rh_load_loop_destroy(pair->loops[i]);
}

struct rh_load_loop_report loop_report(struct rh_load_loop *loop)
{
    struct rh_load_loop_report report;
    rh_load_loop_get_report(loop, &report);
    return report;
}

struct rh_load_slot_report slot_report(struct pair *pair, uint32_t side, uint32_t ssrc)
{
    struct rh_load_slot_report reports[8];
    uint32_t count = 8;
    assert_int_equal(
        rh_load_slot_get_reports(pair->loops[side], pair->endpoints[side], reports, &count),
        RH_OK);
    for (uint32_t i = 0; i < count; i++)
        if (reports[i].ssrc == ssrc)
            return reports[i];
    fail_msg("no slot %x", ssrc);
    return reports[0];
}

struct rh_load_stream_report stream_report(struct pair *pair, uint32_t side, uint32_t ssrc)
{
    struct rh_load_stream_report report;
    assert_int_equal(
        rh_load_stream_get_report(pair->loops[side], pair->endpoints[side], ssrc, &report),
        RH_OK);
    return report;
}

/* Lets other threads go on; false after WAIT_MS since start_ns. */
static bool wait_some(uint64_t start_ns)
{
    poll(NULL, 0, 2);
    return rh_load_now_ns() - start_ns < (uint64_t)WAIT_MS * 1000000;
}

struct rh_load_slot_report wait_slot(
    struct pair *pair, uint32_t side, uint32_t ssrc, size_t offset, uint64_t value)
{
    uint64_t start_ns = rh_load_now_ns(), found;
    struct rh_load_slot_report report;
    do {
        report = slot_report(pair, side, ssrc);
        memcpy(&found, (const char *)&report + offset, sizeof found);
    } while (found < value && wait_some(start_ns));
    if (found < value)
        fail_msg("slot %x offset %zu: %lu of %lu", ssrc, offset, found, value);
    return report;
}

struct rh_load_loop_report wait_loop(struct rh_load_loop *loop, size_t offset, uint64_t value)
{
    uint64_t start_ns = rh_load_now_ns(), found;
    struct rh_load_loop_report report;
    do {
        report = loop_report(loop);
        memcpy(&found, (const char *)&report + offset, sizeof found);
    } while (found < value && wait_some(start_ns));
    if (found < value)
        fail_msg("loop offset %zu: %lu of %lu", offset, found, value);
    return report;
}

struct rh_load_stream_config audio_config(uint32_t source_id)
{
    return (struct rh_load_stream_config){
        .ssrc = SSRC_AUDIO, .rtx_ssrc = SSRC_AUDIO_RTX, .clock_rate = 48000, .kind = RH_AUDIO,
        .codec = RH_CODEC_OPUS, .payload_type = PT_AUDIO, .rtx_payload_type = PT_RTX,
        .audio_level = 20, .stamp_on = true, .mid = "0", .source_id = source_id,
        .first_seq = 100, .first_timestamp = 1000,
        .shape = {.frames_per_second = 200, .packets_per_frame = 1, .payload_bytes_min = 80,
                  .payload_bytes_max = 120}};
}

struct rh_load_stream_config video_config(uint32_t source_id)
{
    return (struct rh_load_stream_config){
        .ssrc = SSRC_VIDEO, .rtx_ssrc = SSRC_VIDEO_RTX, .clock_rate = 90000, .kind = RH_VIDEO,
        .codec = RH_CODEC_VP8, .payload_type = PT_VIDEO, .rtx_payload_type = PT_RTX,
        .stamp_on = true, .mid = "1", .source_id = source_id,
        .first_seq = 32000, .first_timestamp = 0xffffff00,
        .shape = {.frames_per_second = 120, .packets_per_frame = 3, .payload_bytes_min = 300,
                  .payload_bytes_max = 1100}};
}

void expect_both(struct pair *pair, uint32_t side)
{
    struct rh_load_slot_config slots[2] = {
        {.ssrc = SSRC_AUDIO, .rtx_ssrc = SSRC_AUDIO_RTX, .clock_rate = 48000, .kind = RH_AUDIO,
         .codec = RH_CODEC_OPUS, .user = 1},
        {.ssrc = SSRC_VIDEO, .rtx_ssrc = SSRC_VIDEO_RTX, .clock_rate = 90000, .kind = RH_VIDEO,
         .codec = RH_CODEC_VP8, .user = 2},
    };
    assert_int_equal(
        rh_load_slots_expect(pair->loops[side], pair->endpoints[side], slots, 2), RH_OK);
}
