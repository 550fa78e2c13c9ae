/* Building a clip frame by frame. SPDX-License-Identifier: Apache-2.0
 *
 * Frames, packets and payload bytes are appended to three growing arrays; finishing sets the
 * pointers between them. A builder that ran out of memory stays failed: callers may go on and
 * learn it from rh_clip_builder_finish. */
#ifndef RH_MEDIA_BUILDER_H
#define RH_MEDIA_BUILDER_H

#include "rh_media_clip.h"

/* Owner: the function that makes the clip, on its stack. */
struct rh_clip_builder {
    struct rh_clip clip; /* codec, clock_hz, sizes, layers and duration are set by the owner */
    struct rh_clip_frame *frames;
    struct rh_clip_packet *packets;
    uint8_t *bytes;
    size_t frames_room, packets_room, bytes_room, bytes_used;
    bool is_failed;
};

/* Appends a frame without packets; picture ids and TL0PICIDX are the caller's. Returns the frame,
 * valid until the next append, or NULL. */
struct rh_clip_frame *rh_clip_builder_frame(struct rh_clip_builder *builder);

/* Appends a packet to the last frame. packet: size and all fields but payload. Returns size bytes
 * to write the payload to, valid until the next append, or NULL. */
uint8_t *rh_clip_builder_packet(
    struct rh_clip_builder *builder, const struct rh_clip_packet *packet);

/* The last frame appended, or NULL. Valid until the next append. */
struct rh_clip_frame *rh_clip_builder_last(struct rh_clip_builder *builder);

/* Sets the RTP marker of the last packet appended. */
void rh_clip_builder_mark(struct rh_clip_builder *builder);

/* Returns the clip and leaves the builder empty; NULL, with an error, when memory was short or the
 * clip has no frame or no packet. */
struct rh_clip *rh_clip_builder_finish(
    struct rh_clip_builder *builder, struct rh_clip_error *error);

/* Releases what an unfinished builder holds. */
void rh_clip_builder_discard(struct rh_clip_builder *builder);

/* Whether payloads may have up to this many bytes; false, with an error, when not. */
bool rh_clip_check_payload_bytes(uint16_t payload_bytes_max, struct rh_clip_error *error);

/* Writes an error's text as printf does. Always returns NULL, to be returned as "no clip". */
__attribute__((format(printf, 2, 3)))
void *rh_clip_fail(struct rh_clip_error *error, const char *format, ...);

#endif
