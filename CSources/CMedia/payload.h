/* Cutting encoded frames into RTP payloads. SPDX-License-Identifier: Apache-2.0
 *
 * Each function appends the packets of one encoded frame to the builder's last frame. Packets of a
 * frame are as equal in size as they can be, so that a sender can hand them to the kernel as one
 * run. payload_bytes_max counts descriptor and data. */
#ifndef RH_MEDIA_PAYLOAD_H
#define RH_MEDIA_PAYLOAD_H

#include "builder.h"

enum { RH_CLIP_STRUCTURE_BYTES_MAX = 32, RH_CLIP_REFERENCES_MAX = 3 };

/* One encoded frame of VP8, or one layer frame of VP9. */
struct rh_clip_encoded {
    const uint8_t *data;
    size_t size; /* at least 1 */
    uint16_t payload_bytes_max;
    uint16_t picture_id;
    uint8_t tl0_pic_idx;
    uint8_t temporal, spatial;
    uint8_t spare_bytes;     /* zeros behind the data: RH_CLIP_SPARE_BYTES or 0 */
    bool has_layers;         /* the descriptor says layers (and TL0PICIDX) */
    bool is_unreferenced;    /* VP8 N: no frame depends on it; VP9 Z: no upper layer does */
    bool is_switching_point; /* VP8 Y: depends on the base layer alone; VP9 U */
    /* VP9 only (RFC 9628 section 4.2) */
    bool is_predicted;       /* P: from an earlier picture */
    bool is_inter_layer;     /* D */
    bool is_flexible;        /* F */
    bool ends_picture;       /* the picture's last layer frame: its last packet gets the marker */
    uint8_t reference_count; /* flexible: up to RH_CLIP_REFERENCES_MAX */
    uint8_t references[RH_CLIP_REFERENCES_MAX]; /* P_DIFF, 1..127 */
    uint8_t structure_bytes;                    /* scalability structure; 0: none */
    uint8_t structure[RH_CLIP_STRUCTURE_BYTES_MAX];
};

/* VP8 (RFC 7741 section 4.2): 15-bit picture id always, TL0PICIDX and TID with layers. */
void rh_clip_pack_vp8(struct rh_clip_builder *builder, const struct rh_clip_encoded *frame);

/* VP9 (RFC 9628 section 4.2): 15-bit picture id always; the structure in the first packet. */
void rh_clip_pack_vp9(struct rh_clip_builder *builder, const struct rh_clip_encoded *frame);

/* A NAL unit without its start code. */
struct rh_clip_unit {
    const uint8_t *data;
    size_t size; /* at least 1 */
};

/* One H.264 access unit (RFC 6184): neighbouring small units in a STAP-A, large ones in FU-A. The
 * last packet gets the marker. */
void rh_clip_pack_h264(
    struct rh_clip_builder *builder, const struct rh_clip_unit *units, size_t count,
    uint16_t payload_bytes_max);

#endif
