/* What the clip tests share. SPDX-License-Identifier: Apache-2.0 */
#include "clip_support.h"

#include <string.h>

#include "wire/vp8.h"
#include "wire/vp9.h"

enum { SPARE_FILLING = 0xa7 }; /* what a sender writes there must not matter */

void decoder_open(struct decoder *decoder, uint8_t codec)
{
    vpx_codec_iface_t *interface =
        codec == RH_CLIP_VP8 ? vpx_codec_vp8_dx() : vpx_codec_vp9_dx();
    assert_int_equal(vpx_codec_dec_init(&decoder->codec, interface, NULL, 0), VPX_CODEC_OK);
}

void decoder_close(struct decoder *decoder)
{
    vpx_codec_destroy(&decoder->codec);
}

struct shown decoder_show(struct decoder *decoder, const uint8_t *bytes, size_t size)
{
    struct shown shown = {.counter = -1};
    if (vpx_codec_decode(&decoder->codec, bytes, (unsigned)size, NULL, 0) != VPX_CODEC_OK)
        return shown;
    vpx_codec_iter_t iterator = NULL;
    const vpx_image_t *image;
    while ((image = vpx_codec_get_frame(&decoder->codec, &iterator)) != NULL) {
        shown.is_decoded = true;
        shown.width = (uint16_t)image->d_w;
        shown.height = (uint16_t)image->d_h;
        shown.counter = rh_pattern_read(image->planes[0], (uint32_t)image->stride[0],
                                        shown.width, shown.height);
        shown.digest = 14695981039346656037u; /* FNV-1a */
        for (uint32_t y = 0; y < image->d_h; y++) {
            const uint8_t *row = image->planes[0] + (size_t)y * (size_t)image->stride[0];
            for (uint32_t x = 0; x < image->d_w; x++)
                shown.digest = (shown.digest ^ row[x]) * 1099511628211u;
        }
    }
    return shown;
}

static void parse(const struct rh_clip *clip, const struct rh_clip_packet *packet,
                  const uint8_t *payload, struct rh_layer_info *layer)
{
    *layer = (struct rh_layer_info){.picture_id = -1};
    if (clip->codec == RH_CLIP_VP8)
        assert_int_equal(rh_vp8_parse(payload, packet->size, packet->marker, layer), RH_OK);
    else
        assert_int_equal(rh_vp9_parse(payload, packet->size, layer), RH_OK);
    assert_int_equal(layer->picture_id_bytes, 2);
    assert_int_equal(layer->picture_id_offset, packet->picture_id_offset);
    assert_int_equal(layer->tl0_offset, packet->tl0_offset);
    assert_int_equal(layer->spatial, packet->spatial);
}

/* Layer frames begin and end once each, in ascending order. */
static void check_order(const struct rh_clip *clip, uint32_t frame, uint32_t index,
                        const struct rh_layer_info *layer)
{
    const struct rh_clip_frame *f = &clip->frames[frame];
    const struct rh_clip_packet *packet = &f->packets[index];
    bool begins = index == 0 || f->packets[index - 1].spatial != packet->spatial;
    bool ends = index + 1 == f->packet_count || packet[1].spatial != packet->spatial;
    assert_int_equal(layer->frame_start, begins);
    assert_int_equal(layer->frame_end, ends);
    assert_int_equal(packet->marker, index + 1 == f->packet_count);
    if (begins)
        assert_int_equal(packet->spatial, index == 0 ? 0 : f->packets[index - 1].spatial + 1);
}

void assemble(const struct rh_clip *clip, const struct rh_clip_cursor *cursor,
              uint8_t spatial_max, struct assembly *out)
{
    const struct rh_clip_frame *frame = &clip->frames[cursor->frame];
    out->size = 0;
    out->picture_id = out->tl0 = -1;
    out->spatial_frames = 0;
    out->is_keyframe = false;
    for (uint32_t i = 0; i < frame->packet_count; i++) {
        const struct rh_clip_packet *packet = &frame->packets[i];
        uint8_t payload[RH_CLIP_PAYLOAD_BYTES_MAX];
        assert_int_equal(rh_clip_write(frame, packet, cursor, payload), packet->size);
        struct rh_layer_info layer;
        parse(clip, packet, payload, &layer);
        check_order(clip, cursor->frame, i, &layer);
        assert_int_equal(layer.temporal, frame->temporal);
        if (i == 0) {
            out->picture_id = layer.picture_id;
            out->tl0 = layer.tl0_offset != 0 ? layer.tl0_pic_idx : -1;
            out->temporal = layer.temporal;
            out->is_keyframe = layer.keyframe;
        }
        assert_int_equal(layer.picture_id, out->picture_id);
        assert_int_equal(layer.tl0_offset != 0 ? layer.tl0_pic_idx : -1, out->tl0);
        if (packet->spatial > spatial_max)
            continue;
        out->spatial_frames = packet->spatial + 1;
        assert_int_equal(packet->spare_bytes,
                         clip->codec == RH_CLIP_VP8 && packet->marker ? RH_CLIP_SPARE_BYTES : 0);
        memset(payload + packet->size - packet->spare_bytes, SPARE_FILLING, packet->spare_bytes);
        size_t size = packet->size - (size_t)layer.descriptor_bytes;
        assert_true(out->size + size <= FRAME_BYTES_MAX);
        memcpy(out->bytes + out->size, payload + layer.descriptor_bytes, size);
        out->size += size;
    }
    assert_int_equal(out->is_keyframe, frame->is_keyframe);
}

struct rh_clip *made(struct rh_clip *clip, const struct rh_clip_error *error)
{
    if (clip == NULL)
        fail_msg("no clip: %s", error->text);
    return clip;
}

struct rh_clip_video_options video_options(uint8_t codec, uint8_t spatial, uint8_t temporal)
{
    return (struct rh_clip_video_options){
        .codec = codec, .spatial_layers = spatial, .temporal_layers = temporal,
        .width = 320, .height = 192, .frames_per_second = 30, .bitrate_bps = 500000,
        .frame_count = 24, .keyframe_interval = 8};
}
