/* What generated and read sound share. SPDX-License-Identifier: Apache-2.0 */
#include "opus_frame.h"

#include <math.h>
#include <opus/opus.h>
#include <string.h>

enum {
    SPEECH_LEVEL_MAX = 50,  /* -dBov: louder is voice */
    PADDING_OVERHEAD = 2,   /* the bytes that say how many frames and how much padding there is */
};

uint8_t rh_clip_level(const int16_t *samples, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i] * samples[i];
    if (count == 0 || sum == 0)
        return 127;
    double level = -10 * log10(sum / (double)count / (32767.0 * 32767.0));
    return (uint8_t)(level < 0 ? 0 : level > 127 ? 127 : lround(level));
}

bool rh_clip_append_sound(
    struct rh_clip_builder *builder, const struct rh_clip_sound_frame *sound,
    struct rh_clip_error *error)
{
    struct rh_clip_frame *frame = rh_clip_builder_frame(builder);
    if (frame == NULL)
        return rh_clip_fail(error, "not enough memory for the clip"), false;
    frame->timestamp = sound->timestamp;
    frame->is_keyframe = true;
    frame->audio_level = sound->level;
    frame->has_voice = sound->level <= SPEECH_LEVEL_MAX;
    if (sound->size == 0)
        return true;
    uint8_t padded[RH_CLIP_PAYLOAD_BYTES_MAX];
    memcpy(padded, sound->packet, sound->size);
    size_t size = sound->size + (size_t)PADDING_OVERHEAD + RH_CLIP_SPARE_BYTES;
    bool is_padded = size <= sizeof padded
        && opus_packet_pad(padded, sound->size, (opus_int32)size) == OPUS_OK;
    struct rh_clip_packet packet = {
        .size = (uint16_t)(is_padded ? size : sound->size),
        .spare_bytes = is_padded ? RH_CLIP_SPARE_BYTES : 0, .marker = sound->marker};
    uint8_t *payload = rh_clip_builder_packet(builder, &packet);
    if (payload == NULL)
        return rh_clip_fail(error, "not enough memory for the clip"), false;
    memcpy(payload, is_padded ? padded : sound->packet, packet.size);
    return true;
}
