/* Video clips: the test pattern through libvpx. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "encoder.h"

enum {
    FRAMES_PER_SECOND_DEFAULT = 30, FRAMES_PER_SECOND_MAX = 60,
    BITRATE_BPS_MIN = 10000, BITRATE_BPS_MAX = 100000000,
};

static bool is_layout_wrong(const struct rh_clip_video_options *options)
{
    bool is_vp9 = options->codec == RH_CLIP_VP9;
    return options->spatial_layers > (is_vp9 ? RH_CLIP_SPATIAL_MAX : 1)
        || options->temporal_layers > RH_CLIP_TEMPORAL_MAX
        || ((options->is_flexible || options->is_key_only) && !is_vp9);
}

static bool is_size_wrong(const struct rh_clip_video_options *options)
{
    uint32_t shift = options->spatial_layers - 1u;
    uint32_t even = (2u << shift) - 1; /* every layer's sides are even */
    return options->width >> shift < RH_PATTERN_WIDTH_MIN
        || options->height >> shift < RH_PATTERN_HEIGHT_MIN
        || options->width > RH_CLIP_SIDE_PIXELS_MAX || options->height > RH_CLIP_SIDE_PIXELS_MAX
        || (options->width & even) != 0 || (options->height & even) != 0;
}

static uint32_t round_up(uint32_t count, uint32_t period)
{
    return (count + period - 1) / period * period;
}

/* Fills in defaults and refuses what is out of range. */
static bool complete(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    struct rh_clip_video_options *o = &encoder->options;
    o->spatial_layers = o->spatial_layers != 0 ? o->spatial_layers : 1;
    o->temporal_layers = o->temporal_layers != 0 ? o->temporal_layers : 1;
    if (o->frames_per_second == 0)
        o->frames_per_second = FRAMES_PER_SECOND_DEFAULT;
    if (o->payload_bytes_max == 0)
        o->payload_bytes_max = RH_CLIP_PAYLOAD_BYTES_DEFAULT;
    if (o->codec != RH_CLIP_VP8 && o->codec != RH_CLIP_VP9)
        return rh_clip_fail(error, "only VP8 and VP9 can be generated"), false;
    if (is_layout_wrong(o))
        return rh_clip_fail(error, "%u spatial and %u temporal layers: VP9 has up to 3 of each, "
                            "VP8 up to 3 temporal ones", o->spatial_layers, o->temporal_layers),
               false;
    if (o->is_flexible && o->spatial_layers == 1 && o->temporal_layers == 1)
        return rh_clip_fail(error, "VP9's flexible mode needs layers"), false;
    if (is_size_wrong(o))
        return rh_clip_fail(error, "%ux%u pixels: the lowest layer needs even sides of at least "
                            "%dx%d, the highest at most %d", o->width, o->height,
                            RH_PATTERN_WIDTH_MIN, RH_PATTERN_HEIGHT_MIN,
                            RH_CLIP_SIDE_PIXELS_MAX), false;
    if (o->frames_per_second > FRAMES_PER_SECOND_MAX)
        return rh_clip_fail(error, "%u frames a second: at most %d", o->frames_per_second,
                            FRAMES_PER_SECOND_MAX), false;
    if (o->bitrate_bps < BITRATE_BPS_MIN || o->bitrate_bps > BITRATE_BPS_MAX)
        return rh_clip_fail(error, "%u bit/s of video: from %d to %d", o->bitrate_bps,
                            BITRATE_BPS_MIN, BITRATE_BPS_MAX), false;
    if (!rh_clip_check_payload_bytes(o->payload_bytes_max, error))
        return false;
    if (o->frame_count == 0 || o->frame_count > RH_CLIP_FRAMES_MAX)
        return rh_clip_fail(error, "%u frames: from 1 to %d", o->frame_count,
                            RH_CLIP_FRAMES_MAX), false;
    encoder->period = 1u << (o->temporal_layers - 1);
    if (o->keyframe_interval == 0 || o->keyframe_interval > o->frame_count)
        o->keyframe_interval =
            o->keyframe_interval == 0 ? o->frames_per_second : o->frame_count;
    o->frame_count = round_up(o->frame_count, encoder->period);
    o->keyframe_interval = round_up(o->keyframe_interval, encoder->period);
    return true;
}

/* What both codecs want of libvpx: one thread, constant rate, no look-ahead, nothing dropped. */
static void configure(struct rh_clip_encoder *encoder, vpx_codec_iface_t *codec)
{
    const struct rh_clip_video_options *o = &encoder->options;
    vpx_codec_enc_cfg_t *config = &encoder->config;
    vpx_codec_enc_config_default(codec, config, 0);
    config->g_w = o->width;
    config->g_h = o->height;
    config->g_threads = 1;
    config->g_timebase = (vpx_rational_t){1, o->frames_per_second};
    config->g_pass = VPX_RC_ONE_PASS;
    config->g_lag_in_frames = 0;
    config->g_error_resilient =
        o->temporal_layers > 1 || o->spatial_layers > 1 ? VPX_ERROR_RESILIENT_DEFAULT : 0;
    config->rc_end_usage = VPX_CBR;
    config->rc_target_bitrate = o->bitrate_bps / 1000;
    config->rc_min_quantizer = 2;
    config->rc_max_quantizer = 58;
    config->rc_undershoot_pct = 50;
    config->rc_overshoot_pct = 50;
    config->rc_dropframe_thresh = 0;
    config->rc_buf_initial_sz = 500;
    config->rc_buf_optimal_sz = 600;
    config->rc_buf_sz = 1000;
    config->rc_resize_allowed = 0;
    config->kf_mode = VPX_KF_DISABLED;
}

uint8_t rh_clip_temporal_at(uint8_t temporal_layers, uint32_t place)
{
    static const uint8_t patterns[RH_CLIP_TEMPORAL_MAX][4] = {
        {0, 0, 0, 0}, {0, 1, 0, 1}, {0, 2, 1, 2}};
    return patterns[temporal_layers - 1][place];
}

uint8_t rh_clip_temporal_of(const struct rh_clip_encoder *encoder)
{
    return rh_clip_temporal_at(
        encoder->options.temporal_layers, encoder->frame % encoder->period);
}

bool rh_clip_is_keyframe(const struct rh_clip_encoder *encoder)
{
    return encoder->frame % encoder->options.keyframe_interval == 0;
}

uint16_t rh_clip_picture_id(const struct rh_clip_encoder *encoder)
{
    return encoder->frame & 0x7fff;
}

uint8_t rh_clip_tl0(const struct rh_clip_encoder *encoder)
{
    return (uint8_t)(encoder->frame / encoder->period);
}

uint32_t rh_clip_temporal_share(uint8_t temporal_layers, uint8_t temporal)
{
    static const uint16_t shares[RH_CLIP_TEMPORAL_MAX][RH_CLIP_TEMPORAL_MAX] = {
        {1000, 1000, 1000}, {600, 1000, 1000}, {400, 600, 1000}};
    return shares[temporal_layers - 1][temporal];
}

bool rh_clip_vpx_failed(
    struct rh_clip_encoder *encoder, const char *what, struct rh_clip_error *error)
{
    const char *detail = vpx_codec_error_detail(&encoder->codec);
    rh_clip_fail(error, "libvpx refused %s: %s%s%s", what, vpx_codec_error(&encoder->codec),
                 detail != NULL ? ", " : "", detail != NULL ? detail : "");
    return false;
}

static bool open_encoder(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    const struct rh_clip_video_options *o = &encoder->options;
    bool is_vp8 = o->codec == RH_CLIP_VP8;
    configure(encoder, is_vp8 ? vpx_codec_vp8_cx() : vpx_codec_vp9_cx());
    encoder->has_image =
        vpx_img_alloc(&encoder->image, VPX_IMG_FMT_I420, o->width, o->height, 32) != NULL;
    if (!encoder->has_image)
        return rh_clip_fail(error, "not enough memory for the picture"), false;
    rh_pattern_init(&encoder->pattern);
    struct rh_clip *clip = &encoder->builder.clip;
    clip->codec = o->codec;
    clip->spatial_layers = o->spatial_layers;
    clip->temporal_layers = o->temporal_layers;
    clip->width = o->width;
    clip->height = o->height;
    clip->clock_hz = RH_CLIP_VIDEO_HZ;
    clip->is_flexible = o->is_flexible;
    return is_vp8 ? rh_clip_vp8_open(encoder, error) : rh_clip_vp9_open(encoder, error);
}

static uint32_t timestamp_of(const struct rh_clip_encoder *encoder, uint32_t frame)
{
    return (uint32_t)((uint64_t)frame * RH_CLIP_VIDEO_HZ / encoder->options.frames_per_second);
}

static bool encode_frame(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    struct rh_pattern_planes planes = {
        .width = encoder->options.width, .height = encoder->options.height};
    for (int plane = 0; plane < 3; plane++) {
        planes.planes[plane] = encoder->image.planes[plane];
        planes.strides[plane] = (uint32_t)encoder->image.stride[plane];
    }
    rh_pattern_draw(&encoder->pattern, encoder->options.first_counter + encoder->frame, &planes);
    struct rh_clip_frame *frame = rh_clip_builder_frame(&encoder->builder);
    if (frame == NULL)
        return rh_clip_fail(error, "not enough memory for the clip"), false;
    frame->timestamp = timestamp_of(encoder, encoder->frame);
    frame->picture_id = rh_clip_picture_id(encoder);
    frame->tl0_pic_idx = encoder->options.is_flexible ? 0 : rh_clip_tl0(encoder);
    frame->temporal = rh_clip_temporal_of(encoder);
    frame->is_keyframe = rh_clip_is_keyframe(encoder);
    return encoder->options.codec == RH_CLIP_VP8 ? rh_clip_vp8_encode(encoder, error)
                                                 : rh_clip_vp9_encode(encoder, error);
}

static struct rh_clip *encode_all(struct rh_clip_encoder *encoder, struct rh_clip_error *error)
{
    uint32_t count = encoder->options.frame_count;
    for (encoder->frame = 0; encoder->frame < count; encoder->frame++)
        if (!encode_frame(encoder, error))
            return NULL;
    struct rh_clip *clip = &encoder->builder.clip;
    clip->duration = timestamp_of(encoder, count);
    clip->picture_ids = count & 0x7fff;
    clip->tl0s = encoder->options.is_flexible ? 0 : (uint8_t)(count / encoder->period);
    return rh_clip_builder_finish(&encoder->builder, error);
}

struct rh_clip *rh_clip_make_video(
    const struct rh_clip_video_options *options, struct rh_clip_error *error)
{
    struct rh_clip_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return rh_clip_fail(error, "not enough memory for an encoder");
    encoder->options = *options;
    struct rh_clip *clip = NULL;
    if (complete(encoder, error) && open_encoder(encoder, error))
        clip = encode_all(encoder, error);
    rh_clip_builder_discard(&encoder->builder);
    if (encoder->has_codec)
        vpx_codec_destroy(&encoder->codec);
    if (encoder->has_image)
        vpx_img_free(&encoder->image);
    free(encoder);
    return clip;
}
