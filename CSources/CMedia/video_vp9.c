/* VP9 by libvpx, with spatial and temporal layers. SPDX-License-Identifier: Apache-2.0
 *
 * With layers libvpx hands out each layer frame as it is ready, through a callback. It chooses the
 * references itself; they are read back: flexible mode writes them into the descriptors, and in
 * non-flexible mode they are what the scalability structure's picture group says. */
#include "encoder.h"
#include "payload.h"

enum {
    SPEED = 9, SPEED_LOW_LAYER = 7,
    QUANTIZER_MIN = 2, QUANTIZER_MAX = 58,
    KEYFRAME_PERCENT_MAX = 500,
    REFERENCE_DISTANCE_MAX = 127, /* 7 bits of P_DIFF */
    STRUCTURE_HAS_SIZES = 0x10, STRUCTURE_HAS_GROUP = 0x08,
    GROUP_SWITCHING_POINT = 0x10,
    REFERENCE_BUFFERS = 8,
};

static bool has_layers(const struct rh_clip_encoder *encoder)
{
    return encoder->options.spatial_layers > 1 || encoder->options.temporal_layers > 1;
}

/* Shares of the bit rate in thousandths: each spatial layer has about three times the one below. */
static uint32_t spatial_share(uint8_t layers, uint8_t layer)
{
    static const uint16_t shares[RH_CLIP_SPATIAL_MAX][RH_CLIP_SPATIAL_MAX] = {
        {1000, 0, 0}, {260, 740, 0}, {90, 240, 670}};
    return shares[layers - 1][layer];
}

static void configure_layers(struct rh_clip_encoder *encoder)
{
    static const int modes[RH_CLIP_TEMPORAL_MAX] = {
        VP9E_TEMPORAL_LAYERING_MODE_NOLAYERING, VP9E_TEMPORAL_LAYERING_MODE_0101,
        VP9E_TEMPORAL_LAYERING_MODE_0212};
    vpx_codec_enc_cfg_t *config = &encoder->config;
    uint8_t spatial = encoder->options.spatial_layers, temporal = encoder->options.temporal_layers;
    config->ss_number_layers = spatial;
    config->ts_number_layers = temporal;
    config->ts_periodicity = encoder->period;
    config->temporal_layering_mode = modes[temporal - 1];
    for (uint8_t t = 0; t < temporal; t++)
        config->ts_rate_decimator[t] = 1u << (temporal - 1 - t);
    for (uint8_t s = 0; s < spatial; s++) {
        uint32_t bitrate = config->rc_target_bitrate * spatial_share(spatial, s) / 1000;
        config->ss_target_bitrate[s] = bitrate;
        for (uint8_t t = 0; t < temporal; t++)
            config->layer_target_bitrate[s * temporal + t] =
                bitrate * rh_clip_temporal_share(temporal, t) / 1000;
    }
}

static bool open_layers(struct rh_clip_encoder *encoder)
{
    uint8_t spatial = encoder->options.spatial_layers;
    vpx_svc_extra_cfg_t extra = {0};
    for (int s = 0; s < spatial; s++) {
        extra.scaling_factor_num[s] = 1;
        extra.scaling_factor_den[s] = 1 << (spatial - 1 - s);
        extra.speed_per_layer[s] = s + 1 < spatial ? SPEED_LOW_LAYER : SPEED;
    }
    for (int i = 0; i < VPX_MAX_LAYERS; i++) {
        extra.min_quantizers[i] = QUANTIZER_MIN;
        extra.max_quantizers[i] = QUANTIZER_MAX;
    }
    int prediction = encoder->options.is_key_only ? 2 : 0; /* keyframes only; every frame */
    return vpx_codec_control(&encoder->codec, VP9E_SET_SVC, 1) == 0
        && vpx_codec_control(&encoder->codec, VP9E_SET_SVC_PARAMETERS, &extra) == 0
        && vpx_codec_control(&encoder->codec, VP9E_SET_SVC_INTER_LAYER_PRED, prediction) == 0;
}

static void on_layer_frame(vpx_codec_cx_pkt_t *packet, void *user_data);

bool rh_clip_vp9_open(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    if (has_layers(encoder))
        configure_layers(encoder);
    if (vpx_codec_enc_init(&encoder->codec, vpx_codec_vp9_cx(), &encoder->config, 0) != 0)
        return rh_clip_vpx_failed(encoder, "the VP9 settings", error);
    encoder->has_codec = true;
    vpx_codec_ctx_t *codec = &encoder->codec;
    vpx_codec_priv_output_cx_pkt_cb_pair_t callback = {on_layer_frame, encoder};
    if (vpx_codec_control(codec, VP8E_SET_CPUUSED, SPEED) != 0
        || vpx_codec_control(codec, VP8E_SET_STATIC_THRESHOLD, 1) != 0
        || vpx_codec_control(codec, VP8E_SET_MAX_INTRA_BITRATE_PCT, KEYFRAME_PERCENT_MAX) != 0
        || vpx_codec_control(codec, VP9E_SET_AQ_MODE, 0) != 0
        || vpx_codec_control(codec, VP9E_SET_FRAME_PARALLEL_DECODING, 0) != 0
        || vpx_codec_control(codec, VP9E_SET_TILE_COLUMNS, 0) != 0
        || (has_layers(encoder)
            && (!open_layers(encoder)
                || vpx_codec_control(codec, VP9E_REGISTER_CX_CALLBACK, &callback) != 0)))
        return rh_clip_vpx_failed(encoder, "a VP9 control", error);
    return true;
}

/* Which picture of the group a picture refers to, as distance back: what libvpx does in its
 * layering modes, 0 1 and 0 2 1 2. */
static uint8_t group_distance(uint8_t temporal_layers, uint32_t place)
{
    static const uint8_t distances[RH_CLIP_TEMPORAL_MAX][4] = {
        {1, 0, 0, 0}, {2, 1, 0, 0}, {4, 1, 2, 1}};
    return distances[temporal_layers - 1][place];
}

/* The scalability structure (RFC 9628 section 4.2.1): layer sizes and, unless the descriptors say
 * themselves what they refer to, the picture group. */
static void write_structure(const struct rh_clip_encoder *encoder, struct rh_clip_encoded *frame)
{
    const struct rh_clip_video_options *o = &encoder->options;
    uint8_t *out = frame->structure, at = 0;
    out[at++] = (uint8_t)((o->spatial_layers - 1) << 5 | STRUCTURE_HAS_SIZES
                          | (o->is_flexible ? 0 : STRUCTURE_HAS_GROUP));
    for (int s = o->spatial_layers - 1; s >= 0; s--) {
        uint16_t width = o->width >> s, height = o->height >> s;
        out[at++] = (uint8_t)(width >> 8);
        out[at++] = (uint8_t)width;
        out[at++] = (uint8_t)(height >> 8);
        out[at++] = (uint8_t)height;
    }
    if (!o->is_flexible) {
        out[at++] = (uint8_t)encoder->period;
        for (uint32_t place = 0; place < encoder->period; place++) {
            uint32_t temporal = rh_clip_temporal_at(o->temporal_layers, place);
            out[at++] = (uint8_t)(temporal << 5 | GROUP_SWITCHING_POINT | 1 << 2);
            out[at++] = group_distance(o->temporal_layers, place);
        }
    }
    frame->structure_bytes = at;
}

static void add_reference(
    struct rh_clip_encoder *encoder, struct rh_clip_encoded *frame, int is_used, int buffer)
{
    if (!is_used || buffer < 0 || buffer >= REFERENCE_BUFFERS)
        return;
    uint32_t distance = encoder->frame - encoder->buffer_frames[buffer];
    if (distance == 0) /* this picture's lower layer: D says it */
        return;
    if (distance > REFERENCE_DISTANCE_MAX) {
        encoder->was_too_far = true;
        return;
    }
    for (int i = 0; i < frame->reference_count; i++)
        if (frame->references[i] == distance)
            return;
    frame->references[frame->reference_count++] = (uint8_t)distance;
}

/* Reads back what libvpx referred to and replaced. */
static void read_references(struct rh_clip_encoder *encoder, struct rh_clip_encoded *frame)
{
    vpx_svc_ref_frame_config_t used = {0};
    vpx_codec_control(&encoder->codec, VP9E_GET_SVC_REF_FRAME_CONFIG, &used);
    uint8_t s = frame->spatial;
    if (!rh_clip_is_keyframe(encoder)) {
        add_reference(encoder, frame, used.reference_last[s], used.lst_fb_idx[s]);
        add_reference(encoder, frame, used.reference_golden[s], used.gld_fb_idx[s]);
        add_reference(encoder, frame, used.reference_alt_ref[s], used.alt_fb_idx[s]);
    }
    bool replaces_all = rh_clip_is_keyframe(encoder) && s == 0;
    for (int i = 0; i < REFERENCE_BUFFERS; i++)
        if (replaces_all || (used.update_buffer_slot[s] >> i & 1))
            encoder->buffer_frames[i] = encoder->frame;
}

static void append_layer_frame(
    struct rh_clip_encoder *encoder, const vpx_codec_cx_pkt_t *packet, uint8_t spatial)
{
    const struct rh_clip_video_options *o = &encoder->options;
    bool is_keyframe = rh_clip_is_keyframe(encoder);
    bool is_highest = spatial + 1 == o->spatial_layers;
    struct rh_clip_encoded frame = {
        .data = packet->data.frame.buf, .size = packet->data.frame.sz,
        .payload_bytes_max = o->payload_bytes_max,
        .picture_id = rh_clip_picture_id(encoder), .tl0_pic_idx = rh_clip_tl0(encoder),
        .temporal = rh_clip_temporal_of(encoder), .spatial = spatial,
        .has_layers = has_layers(encoder), .is_switching_point = o->temporal_layers > 1,
        .is_unreferenced = is_highest || (o->is_key_only && !is_keyframe),
        .is_inter_layer = spatial > 0 && (is_keyframe || !o->is_key_only),
        .is_predicted = !is_keyframe, .is_flexible = o->is_flexible, .ends_picture = is_highest};
    if (o->is_flexible) {
        read_references(encoder, &frame);
        frame.is_predicted = frame.reference_count != 0;
    }
    if (is_keyframe && spatial == 0)
        write_structure(encoder, &frame);
    rh_clip_pack_vp9(&encoder->builder, &frame);
}

static void on_layer_frame(vpx_codec_cx_pkt_t *packet, void *user_data)
{
    struct rh_clip_encoder *encoder = user_data;
    vpx_svc_layer_id_t layer = {0};
    if (packet->kind != VPX_CODEC_CX_FRAME_PKT || packet->data.frame.sz == 0)
        return;
    vpx_codec_control(&encoder->codec, VP9E_GET_SVC_LAYER_ID, &layer);
    append_layer_frame(encoder, packet, (uint8_t)layer.spatial_layer_id);
}

bool rh_clip_vp9_encode(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    vpx_enc_frame_flags_t flags = rh_clip_is_keyframe(encoder) ? VPX_EFLAG_FORCE_KF : 0;
    if (vpx_codec_encode(&encoder->codec, &encoder->image, encoder->frame, 1, flags,
                         VPX_DL_REALTIME) != 0)
        return rh_clip_vpx_failed(encoder, "a frame", error);
    vpx_codec_iter_t iterator = NULL;
    const vpx_codec_cx_pkt_t *packet;
    while ((packet = vpx_codec_get_cx_data(&encoder->codec, &iterator)) != NULL)
        if (packet->kind == VPX_CODEC_CX_FRAME_PKT && !has_layers(encoder))
            append_layer_frame(encoder, packet, 0);
    if (encoder->was_too_far)
        return rh_clip_fail(error, "libvpx refers more than %d pictures back from frame %u",
                            REFERENCE_DISTANCE_MAX, encoder->frame), false;
    const struct rh_clip_frame *frame = rh_clip_builder_last(&encoder->builder);
    if (frame != NULL && frame->packet_count < encoder->options.spatial_layers)
        return rh_clip_fail(error, "libvpx dropped a layer of frame %u", encoder->frame), false;
    return true;
}
