/* Sound clips: a tone or speech-like bursts through libopus. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <opus/opus.h>
#include <stdlib.h>

#include "opus_frame.h"

enum {
    CLOCK_HZ = 48000,
    FRAME_SAMPLES = CLOCK_HZ / 50, /* 20 ms */
    BITRATE_BPS_MIN = 6000, BITRATE_BPS_MAX = 510000, BITRATE_BPS_DEFAULT = 32000,
    TONE_HZ_DEFAULT = 440, PITCH_HZ_DEFAULT = 120, TONE_HZ_MAX = 8000,
    COMPLEXITY = 5,
    HARMONICS = 12,
    BURST_FRAMES_MIN = 40, BURST_FRAMES_RANGE = 80,  /* 0.8 to 2.4 s of speech */
    PAUSE_FRAMES_MIN = 25, PAUSE_FRAMES_RANGE = 75,  /* 0.5 to 2 s of pause */
    SYLLABLE_FRAMES = 11,                            /* about 4.5 a second */
    SILENT_PACKET_BYTES = 2, /* the encoder's "need not be sent" (RFC 7587 section 3.1.3) */
};

static const double TURN = 6.283185307179586; /* 2 pi */

/* One encoding in progress. Owner: rh_clip_make_audio. */
struct source {
    struct rh_clip_audio_options options;
    struct rh_clip_builder builder;
    OpusEncoder *encoder;
    uint32_t random;
    uint32_t frames_left; /* of the burst or pause */
    bool is_speaking;
    bool was_silent;      /* the frame before was not sent */
    double phase;         /* of the fundamental, in turns */
    int16_t samples[FRAME_SAMPLES * 2];
};

static uint32_t next_random(struct source *source)
{
    source->random = source->random * 1664525 + 1013904223;
    return source->random >> 8;
}

static double noise(struct source *source)
{
    return (next_random(source) & 0xffff) / 32768.0 - 1;
}

/* Voiced sound: harmonics that fall off, with two resonances that wander from syllable to
 * syllable. */
static double voice(double phase, uint32_t syllable, uint32_t pitch_hz)
{
    double low = 400 + 100 * (syllable % 5), high = 1200 + 250 * (syllable % 7);
    double sum = 0;
    for (int k = 1; k <= HARMONICS; k++) {
        double hz = (double)k * pitch_hz;
        double near_low = (hz - low) / 200, near_high = (hz - high) / 300;
        double gain = 0.15 / k + 0.5 * exp(-near_low * near_low)
            + 0.25 * exp(-near_high * near_high);
        sum += gain * sin(TURN * k * phase);
    }
    return sum;
}

/* Chooses when the talker speaks and pauses. */
static void talk(struct source *source)
{
    if (source->frames_left-- != 0)
        return;
    source->is_speaking = !source->is_speaking;
    source->frames_left = source->is_speaking
        ? BURST_FRAMES_MIN + next_random(source) % BURST_FRAMES_RANGE
        : PAUSE_FRAMES_MIN + next_random(source) % PAUSE_FRAMES_RANGE;
}

static void fill_speech(struct source *source, uint32_t frame)
{
    talk(source);
    uint32_t pitch = source->options.tone_hz;
    uint32_t syllable = frame / SYLLABLE_FRAMES;
    for (int i = 0; i < FRAME_SAMPLES; i++) {
        double value = 0.0002 * noise(source); /* the room */
        if (source->is_speaking) {
            double place = (frame % SYLLABLE_FRAMES + (double)i / FRAME_SAMPLES) / SYLLABLE_FRAMES;
            double envelope = sin(TURN / 2 * place);
            value += 0.2 * envelope * voice(source->phase, syllable, pitch)
                + 0.01 * envelope * noise(source);
        }
        source->phase += (double)pitch / CLOCK_HZ;
        source->phase -= floor(source->phase);
        source->samples[i] = (int16_t)(32767 * fmax(-1, fmin(1, value)));
    }
}

static void fill_tone(struct source *source)
{
    for (int i = 0; i < FRAME_SAMPLES; i++) {
        source->samples[i] = (int16_t)(8000 * sin(TURN * source->phase));
        source->phase += (double)source->options.tone_hz / CLOCK_HZ;
        source->phase -= floor(source->phase);
    }
}

static void spread_to_stereo(struct source *source)
{
    for (int i = FRAME_SAMPLES - 1; i >= 0; i--)
        source->samples[2 * i] = source->samples[2 * i + 1] = source->samples[i];
}

static bool complete(struct source *source, struct rh_clip_error *error)
{
    struct rh_clip_audio_options *o = &source->options;
    bool is_tone = o->sound == RH_CLIP_TONE;
    o->channels = o->channels != 0 ? o->channels : 1;
    if (o->bitrate_bps == 0)
        o->bitrate_bps = BITRATE_BPS_DEFAULT;
    if (o->tone_hz == 0)
        o->tone_hz = is_tone ? TONE_HZ_DEFAULT : PITCH_HZ_DEFAULT;
    if (!is_tone && o->sound != RH_CLIP_SPEECH)
        return rh_clip_fail(error, "the sound is neither tone nor speech"), false;
    if (o->channels > 2)
        return rh_clip_fail(error, "%u channels: 1 or 2", o->channels), false;
    if (o->tone_hz > TONE_HZ_MAX)
        return rh_clip_fail(error, "a tone of %u Hz: at most %d", o->tone_hz, TONE_HZ_MAX), false;
    if (o->bitrate_bps < BITRATE_BPS_MIN || o->bitrate_bps > BITRATE_BPS_MAX)
        return rh_clip_fail(error, "%u bit/s of sound: from %d to %d", o->bitrate_bps,
                            BITRATE_BPS_MIN, BITRATE_BPS_MAX), false;
    if (o->frame_count == 0 || o->frame_count > RH_CLIP_FRAMES_MAX)
        return rh_clip_fail(error, "%u frames: from 1 to %d", o->frame_count,
                            RH_CLIP_FRAMES_MAX), false;
    return true;
}

static bool open_encoder(struct source *source, struct rh_clip_error *error)
{
    const struct rh_clip_audio_options *o = &source->options;
    int status = OPUS_OK;
    source->encoder =
        opus_encoder_create(CLOCK_HZ, o->channels, OPUS_APPLICATION_VOIP, &status);
    if (status != OPUS_OK)
        return rh_clip_fail(error, "libopus refused to open: %s", opus_strerror(status)), false;
    if (opus_encoder_ctl(source->encoder, OPUS_SET_BITRATE((opus_int32)o->bitrate_bps)) != OPUS_OK
        || opus_encoder_ctl(source->encoder, OPUS_SET_COMPLEXITY(COMPLEXITY)) != OPUS_OK
        || opus_encoder_ctl(source->encoder, OPUS_SET_DTX(o->uses_dtx ? 1 : 0)) != OPUS_OK)
        return rh_clip_fail(error, "libopus refused a setting"), false;
    source->random = o->seed * 2654435761u + 1;
    source->builder.clip = (struct rh_clip){
        .codec = RH_CLIP_OPUS, .spatial_layers = 1, .temporal_layers = 1,
        .channels = o->channels, .clock_hz = CLOCK_HZ,
        .duration = o->frame_count * FRAME_SAMPLES};
    return true;
}

static bool encode_frame(struct source *source, uint32_t index, struct rh_clip_error *error)
{
    if (source->options.sound == RH_CLIP_TONE)
        fill_tone(source);
    else
        fill_speech(source, index);
    uint8_t level = rh_clip_level(source->samples, FRAME_SAMPLES);
    if (source->options.channels == 2)
        spread_to_stereo(source);
    uint8_t bytes[RH_CLIP_PAYLOAD_BYTES_MAX];
    opus_int32 size = opus_encode(source->encoder, source->samples, FRAME_SAMPLES, bytes,
                                  sizeof bytes);
    if (size < 0)
        return rh_clip_fail(error, "libopus refused frame %u: %s", index, opus_strerror(size)),
               false;
    bool is_silent = size <= SILENT_PACKET_BYTES;
    struct rh_clip_sound_frame sound = {
        .packet = bytes, .size = is_silent ? 0 : (uint16_t)size,
        .timestamp = index * FRAME_SAMPLES, .level = level, .marker = source->was_silent};
    source->was_silent = is_silent;
    return rh_clip_append_sound(&source->builder, &sound, error);
}

struct rh_clip *rh_clip_make_audio(
    const struct rh_clip_audio_options *options, struct rh_clip_error *error)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return rh_clip_fail(error, "not enough memory for an encoder");
    source->options = *options;
    source->was_silent = true;
    bool is_good = complete(source, error) && open_encoder(source, error);
    for (uint32_t i = 0; is_good && i < source->options.frame_count; i++)
        is_good = encode_frame(source, i, error);
    struct rh_clip *clip = is_good ? rh_clip_builder_finish(&source->builder, error) : NULL;
    rh_clip_builder_discard(&source->builder);
    if (source->encoder != NULL)
        opus_encoder_destroy(source->encoder);
    free(source);
    return clip;
}
