/* Encoded media for synthetic participants: clips. SPDX-License-Identifier: Apache-2.0
 *
 * A clip is some seconds of one encoded stream, already cut into RTP payloads. It is made once,
 * never changes, and any number of threads send from it at once; each sending stream keeps a
 * cursor of a few bytes. Clips come from generators (a moving test pattern through libvpx, a tone
 * or speech-like noise through libopus) or from files (IVF, Ogg Opus, H.264 Annex B).
 *
 *   frame   everything with one RTP timestamp: for VP9 with spatial layers all layer frames of a
 *           picture, the lowest first; for Opus 20 ms; no packets where DTX is silent
 *   packet  one RTP payload: descriptor and data, without the RTP header
 *
 * Payload formats: VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184 (packetization-mode 1), Opus
 * RFC 7587. A clip begins with a keyframe, and further keyframes lie in it, so that it loops and a
 * keyframe request is answered by going on at the next one. Over loops and such jumps a stream
 * stays one stream: the cursor carries what to add to timestamp, picture id and TL0PICIDX.
 *
 *     struct rh_clip_cursor at = rh_clip_start(clip, frame);
 *     for each frame, when due:
 *         if (a keyframe was requested)
 *             rh_clip_jump(clip, &at, rh_clip_next_keyframe(clip, at.frame));
 *         const struct rh_clip_frame *frame = &clip->frames[at.frame];
 *         for each packet of frame:
 *             size = rh_clip_write(frame, packet, &at, out);
 *         rh_clip_advance(clip, &at);
 */
#ifndef RH_MEDIA_CLIP_H
#define RH_MEDIA_CLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rh_clip_codec {
    RH_CLIP_OPUS = 1,
    RH_CLIP_VP8,
    RH_CLIP_VP9,
    RH_CLIP_H264,
};

enum {
    RH_CLIP_SPATIAL_MAX = 3,
    RH_CLIP_TEMPORAL_MAX = 3,
    RH_CLIP_PAYLOAD_BYTES_DEFAULT = 1150, /* leaves room for RTP, extensions and SRTP in 1200 */
    RH_CLIP_PAYLOAD_BYTES_MIN = 200,
    RH_CLIP_PAYLOAD_BYTES_MAX = 1400,
    RH_CLIP_SIDE_PIXELS_MAX = 4096,
    RH_CLIP_FRAMES_MAX = 100000, /* 33 minutes of Opus */
    RH_CLIP_ERROR_BYTES = 256,
    RH_CLIP_SPARE_BYTES = 16,
};

/* One RTP payload as it stands in the clip (cursor offsets of 0). */
struct rh_clip_packet {
    const uint8_t *payload;    /* owned by the clip */
    uint16_t size;             /* bytes, at least 1, at most RH_CLIP_PAYLOAD_BYTES_MAX */
    uint8_t picture_id_offset; /* of the 2 bytes of a 15-bit picture id; 0: none */
    uint8_t tl0_offset;        /* of TL0PICIDX; 0: none */
    uint8_t spatial;           /* VP9 spatial layer, 0 is the lowest */
    uint8_t spare_bytes;       /* how many of the payload's last bytes decoders pass over: zeros,
                                * which a sender may overwrite with a stamp. RH_CLIP_SPARE_BYTES in
                                * the last packet of a VP8 frame and in Opus packets (padding, RFC
                                * 6716 section 3.2.5) with room for it; else 0 */
    bool marker;               /* RTP marker: last packet of a video frame (of its highest layer);
                                * Opus: first packet after silence (RFC 7587 section 4.1) */
};

struct rh_clip_frame {
    const struct rh_clip_packet *packets; /* in sending order */
    uint32_t packet_count;                /* 0: nothing is sent at this time (Opus DTX) */
    uint32_t bytes;                       /* sum of the packets' sizes */
    uint32_t timestamp;                   /* clock units since the clip's start; ascending */
    uint32_t next_keyframe;               /* index of the nearest keyframe after this frame; the
                                           * first frame (0) when no other follows */
    uint16_t picture_id;                  /* 15 bits, from 0; 0 for codecs without */
    uint8_t tl0_pic_idx;                  /* from 0; 0 for codecs without */
    uint8_t temporal;                     /* temporal layer, 0 is the lowest */
    bool is_keyframe;                     /* decoding can begin here; always true for Opus */
    bool has_voice;                       /* Opus: V of RFC 6464 */
    uint8_t audio_level;                  /* Opus: -dBov of RFC 6464, 0 loud to 127 silent */
};

struct rh_clip {
    uint8_t codec;            /* enum rh_clip_codec */
    uint8_t spatial_layers;   /* 1..3 */
    uint8_t temporal_layers;  /* 1..3 */
    uint8_t channels;         /* Opus: 1 or 2; video: 0 */
    uint16_t width, height;   /* pixels of the highest layer; 0 for audio or unknown */
    uint32_t clock_hz;        /* RTP clock: 90000 or 48000 */
    uint32_t duration;        /* clock units of one loop */
    uint32_t bitrate_bps;     /* of the payloads, measured over one loop */
    uint32_t frame_count;     /* at least 1 */
    const struct rh_clip_frame *frames;
    uint32_t packet_count;
    uint64_t memory_bytes;    /* what the clip holds in memory */
    uint16_t picture_ids;     /* picture ids used by one loop, modulo 2^15 */
    uint8_t tl0s;             /* TL0PICIDX values used by one loop, modulo 2^8 */
    bool is_flexible;         /* VP9 flexible mode: reference indices instead of TL0PICIDX */
};

/* Why a clip could not be made, as a sentence for people: what is wrong and, for a file, at which
 * byte. */
struct rh_clip_error {
    char text[RH_CLIP_ERROR_BYTES];
};

/* ---- Sending ------------------------------------------------------------------------------ */

/* Where one sending stream is. Plain value; owner: the stream. */
struct rh_clip_cursor {
    uint32_t frame;             /* index of the next frame to send */
    uint64_t timestamp_offset;  /* add to frame.timestamp: media time in clock units since the
                                 * stream's start; never wraps. The RTP timestamp is its low 32
                                 * bits and the stream's random base */
    uint16_t picture_id_offset; /* add to frame.picture_id, modulo 2^15 */
    uint8_t tl0_offset;         /* add to frame.tl0_pic_idx, modulo 2^8 */
};

/* A cursor for a new stream whose first frame is frames[frame], at media time 0. A decoder needs a
 * keyframe there: 0 or a result of rh_clip_next_keyframe. frame: below frame_count. */
struct rh_clip_cursor rh_clip_start(const struct rh_clip *clip, uint32_t frame);

/* Goes to the following frame; after the last to the first, numbers and time continuing. */
void rh_clip_advance(const struct rh_clip *clip, struct rh_clip_cursor *cursor);

/* Makes frames[frame] the next one to send, at the time and with the numbers that the next frame
 * would have had. frame: below frame_count; a keyframe, or the result cannot be decoded. */
void rh_clip_jump(const struct rh_clip *clip, struct rh_clip_cursor *cursor, uint32_t frame);

/* The index of the first keyframe at frame or after it; 0 when none follows. */
uint32_t rh_clip_next_keyframe(const struct rh_clip *clip, uint32_t frame);

/* Media time at which the cursor's frame is due: clock units since the stream's start. */
uint64_t rh_clip_due(const struct rh_clip *clip, const struct rh_clip_cursor *cursor);

/* Copies a payload with the stream's picture id and TL0PICIDX.
 *
 * frame, packet  the cursor's frame and one of its packets
 * out            packet->size bytes are written
 * Returns packet->size. */
size_t rh_clip_write(
    const struct rh_clip_frame *frame, const struct rh_clip_packet *packet,
    const struct rh_clip_cursor *cursor, uint8_t *out);

/* Only the numbers, for a payload that was copied already. payload: a copy of packet->payload. */
void rh_clip_patch(
    const struct rh_clip_frame *frame, const struct rh_clip_packet *packet,
    const struct rh_clip_cursor *cursor, uint8_t *payload);

/* ---- Generating --------------------------------------------------------------------------- */

/* A moving test pattern through libvpx. 0 means the default where one is named. */
struct rh_clip_video_options {
    uint8_t codec;                 /* RH_CLIP_VP8 or RH_CLIP_VP9 */
    uint8_t spatial_layers;        /* VP9: 1..3, each twice as large as the one below; VP8: 1 */
    uint8_t temporal_layers;       /* 1..3; frames 0 1 0 1 or 0 2 1 2; default 1 */
    bool is_flexible;              /* VP9 with layers: flexible mode */
    bool is_key_only;              /* VP9: layers above predict from lower ones at keyframes only
                                    * (K-SVC, "L3T3_KEY") */
    uint16_t width, height;        /* of the highest layer, even; at least 80 x 44 for the lowest */
    uint16_t frames_per_second;    /* 1..60; default 30 */
    uint16_t payload_bytes_max;    /* RH_CLIP_PAYLOAD_BYTES_MIN..MAX; default ..._DEFAULT */
    uint32_t bitrate_bps;          /* of all layers together */
    uint32_t frame_count;          /* up to RH_CLIP_FRAMES_MAX; a multiple of the temporal layers'
                                    * period (1, 2, 4) or rounded up to one */
    uint32_t keyframe_interval;    /* frames; rounded up likewise; default: one second */
    uint32_t first_counter;        /* the pattern's counter in the first frame; 16 bits are drawn */
};

/* Encodes a clip, in the calling thread: a frame of 640x360 takes about 2 ms with VP8, 4 with VP9
 * and 7 with nine layers. Simulcast: one call an encoding, with the same frame_count, rate,
 * keyframe interval and first_counter; calls may run at once on several threads.
 *
 * error  written only when the result is NULL: options out of range, memory, libvpx refusing
 * Returns a clip to be released with rh_clip_free. */
struct rh_clip *rh_clip_make_video(
    const struct rh_clip_video_options *options, struct rh_clip_error *error);

enum rh_clip_sound {
    RH_CLIP_TONE = 1, /* a steady sine */
    RH_CLIP_SPEECH,   /* voiced bursts with pauses between them: levels rise and fall */
};

/* Sound through libopus in 20 ms frames. */
struct rh_clip_audio_options {
    uint8_t sound;        /* enum rh_clip_sound */
    uint8_t channels;     /* 1 or 2; default 1 */
    bool uses_dtx;        /* frames without packets in pauses (RFC 7587 section 3.1.3) */
    uint16_t tone_hz;     /* of the tone, or the voice's pitch; default 440, speech 120 */
    uint32_t bitrate_bps; /* 6000..510000; default 32000 */
    uint32_t frame_count; /* up to RH_CLIP_FRAMES_MAX */
    uint32_t seed;        /* of the noise and the pauses: other seeds speak at other times */
};

/* Encodes a clip; as rh_clip_make_video. libopus takes a steady tone for silence: with DTX it is
 * hardly sent. */
struct rh_clip *rh_clip_make_audio(
    const struct rh_clip_audio_options *options, struct rh_clip_error *error);

/* ---- Files -------------------------------------------------------------------------------- */

/* Each takes a whole file in memory, which may be released afterwards, and any bytes: what is not
 * of the format gives NULL and an error that says what is wrong and at which byte.
 * payload_bytes_max: as in rh_clip_video_options. */

/* IVF with VP8 or VP9 without layers ("DKIF", fourcc VP80 or VP90). Must begin with a keyframe. */
struct rh_clip *rh_clip_read_ivf(
    const uint8_t *bytes, size_t size, uint16_t payload_bytes_max, struct rh_clip_error *error);

/* Ogg Opus (RFC 3533, RFC 7845): the first logical stream, one packet a payload, padded. Channel
 * mapping family 0. Levels are measured by decoding. */
struct rh_clip *rh_clip_read_ogg_opus(
    const uint8_t *bytes, size_t size, struct rh_clip_error *error);

/* H.264 byte stream (ITU-T H.264 annex B): small units together in STAP-A, large ones in FU-A
 * (RFC 6184 sections 5.7.1 and 5.8). The stream has no times: frames_per_second gives them. Must
 * begin with parameter sets and an IDR picture. */
struct rh_clip *rh_clip_read_h264(
    const uint8_t *bytes, size_t size, const struct rh_clip_video_options *options,
    struct rh_clip_error *error);

/* Releases a clip that no thread uses any more. NULL is allowed. */
void rh_clip_free(struct rh_clip *clip);

/* ---- The pattern -------------------------------------------------------------------------- */

/* Reads the 16-bit counter back from a decoded frame of the generators' pattern.
 *
 * luma           the Y plane; stride is its bytes a row
 * Returns -1 when the picture does not show one: too small, or its check bits are wrong. */
int32_t rh_pattern_read(const uint8_t *luma, uint32_t stride, uint16_t width, uint16_t height);

#endif
