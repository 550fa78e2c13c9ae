/* VP8 by libvpx, with temporal layers. SPDX-License-Identifier: Apache-2.0
 *
 * Layers as in libvpx's own examples: the base layer lives in the last-frame buffer, the middle
 * one in the golden buffer, the top one is kept nowhere, so each can be left out. */
#include "encoder.h"
#include "payload.h"

enum {
    SPEED = -12, /* of -16 to 16; negative: that speed in real time whatever the load */
    KEYFRAME_PERCENT_MAX = 500, /* of an average frame's bytes */
};

static void configure_layers(struct rh_clip_encoder *encoder)
{
    vpx_codec_enc_cfg_t *config = &encoder->config;
    uint8_t layers = encoder->options.temporal_layers;
    config->ts_number_layers = layers;
    config->ts_periodicity = encoder->period;
    for (uint8_t i = 0; i < layers; i++) {
        config->ts_rate_decimator[i] = 1u << (layers - 1 - i);
        config->ts_target_bitrate[i] =
            config->rc_target_bitrate * rh_clip_temporal_share(layers, i) / 1000;
    }
    for (uint32_t i = 0; i < encoder->period; i++)
        config->ts_layer_id[i] = rh_clip_temporal_at(layers, i);
}

bool rh_clip_vp8_open(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    if (encoder->options.temporal_layers > 1)
        configure_layers(encoder);
    if (vpx_codec_enc_init(&encoder->codec, vpx_codec_vp8_cx(), &encoder->config, 0) != 0)
        return rh_clip_vpx_failed(encoder, "the VP8 settings", error);
    encoder->has_codec = true;
    vpx_codec_ctx_t *codec = &encoder->codec;
    if (vpx_codec_control(codec, VP8E_SET_CPUUSED, SPEED) != 0
        || vpx_codec_control(codec, VP8E_SET_STATIC_THRESHOLD, 1) != 0
        || vpx_codec_control(codec, VP8E_SET_NOISE_SENSITIVITY, 0) != 0
        || vpx_codec_control(codec, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION) != 0
        || vpx_codec_control(codec, VP8E_SET_MAX_INTRA_BITRATE_PCT, KEYFRAME_PERCENT_MAX) != 0)
        return rh_clip_vpx_failed(encoder, "a VP8 control", error);
    return true;
}

/* What the frame at a place of the period may refer to and replace. */
static vpx_enc_frame_flags_t flags_of(uint8_t layers, uint32_t place)
{
    const vpx_enc_frame_flags_t base = VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF
        | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF;
    const vpx_enc_frame_flags_t middle = VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF
        | VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_ARF | VP8_EFLAG_NO_UPD_ENTROPY;
    const vpx_enc_frame_flags_t top = VP8_EFLAG_NO_REF_ARF | VP8_EFLAG_NO_UPD_LAST
        | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF | VP8_EFLAG_NO_UPD_ENTROPY;
    const vpx_enc_frame_flags_t flags[RH_CLIP_TEMPORAL_MAX][4] = {
        {0, 0, 0, 0},
        {base, top | VP8_EFLAG_NO_REF_GF, base, top | VP8_EFLAG_NO_REF_GF},
        {base, top | VP8_EFLAG_NO_REF_GF, middle, top},
    };
    return flags[layers - 1][place];
}

/* Y (RFC 7741 section 4.2): of three layers the second top frame refers to the middle one too. */
static bool needs_base_alone(uint8_t layers, uint32_t place)
{
    return rh_clip_temporal_at(layers, place) != 0 && place != 3;
}

bool rh_clip_vp8_encode(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    const struct rh_clip_video_options *o = &encoder->options;
    uint32_t place = encoder->frame % encoder->period;
    uint8_t temporal = rh_clip_temporal_of(encoder);
    bool is_keyframe = rh_clip_is_keyframe(encoder);
    vpx_enc_frame_flags_t flags = is_keyframe ? VPX_EFLAG_FORCE_KF
                                              : flags_of(o->temporal_layers, place);
    if (o->temporal_layers > 1
        && vpx_codec_control(&encoder->codec, VP8E_SET_TEMPORAL_LAYER_ID, (int)temporal) != 0)
        return rh_clip_vpx_failed(encoder, "a temporal layer", error);
    if (vpx_codec_encode(&encoder->codec, &encoder->image, encoder->frame, 1, flags,
                         VPX_DL_REALTIME) != 0)
        return rh_clip_vpx_failed(encoder, "a frame", error);
    vpx_codec_iter_t iterator = NULL;
    const vpx_codec_cx_pkt_t *packet;
    bool has_data = false;
    while ((packet = vpx_codec_get_cx_data(&encoder->codec, &iterator)) != NULL) {
        if (packet->kind != VPX_CODEC_CX_FRAME_PKT)
            continue;
        has_data = true;
        struct rh_clip_encoded frame = {
            .data = packet->data.frame.buf, .size = packet->data.frame.sz,
            .payload_bytes_max = o->payload_bytes_max, .spare_bytes = RH_CLIP_SPARE_BYTES,
            .picture_id = rh_clip_picture_id(encoder), .tl0_pic_idx = rh_clip_tl0(encoder),
            .temporal = temporal, .has_layers = o->temporal_layers > 1,
            .is_unreferenced = temporal != 0 && temporal == o->temporal_layers - 1,
            .is_switching_point = needs_base_alone(o->temporal_layers, place),
            .ends_picture = true};
        rh_clip_pack_vp8(&encoder->builder, &frame);
    }
    if (!has_data)
        return rh_clip_fail(error, "libvpx dropped frame %u", encoder->frame), false;
    return true;
}
