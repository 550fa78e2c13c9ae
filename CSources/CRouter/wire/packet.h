/* A received RTP packet, parsed once, and the header written for each subscriber.
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 3550 section 5.1 (header), RFC 8285 (header extensions, one- and two-byte form), RFC 4588
 * (RTX). struct rh_packet holds offsets, counted from the packet's first byte, and values; it
 * stays valid when packet and struct are copied elsewhere together. Owner: whoever owns the
 * packet's bytes.
 *
 * A received datagram goes through
 *   rh_packet_parse_header   clear part: enough to find keys and replay state
 *   rh_srtp_unprotect_rtp    crypto/srtp.h
 *   rh_packet_parse_rest     extension elements, padding, payload
 *   rh_packet_unwrap_rtx     for an RTX stream
 *   rh_payload_parse         payload.h: layers of the codec, once the track is known
 */
#ifndef RH_WIRE_PACKET_H
#define RH_WIRE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rh_router.h"
#include "wire/bytes.h"

enum {
    RH_RTP_HEADER_BYTES = 12,
    /* 12 fixed, 4 of the block, 16 + 2 mid, 3 + 2 abs-send-time, 2 + 2 transport-wide number,
     * 1 + 2 audio level, 1 + 2 orientation, 255 + 2 dependency descriptor: 306; 4 of padding. */
    RH_WRITTEN_HEADER_BYTES_MAX = 310,
    /* A header made in advance: 12 fixed, 4 of the block, 16 + 1 mid, 3 + 1 abs-send-time, 2 + 1
     * transport-wide number, 1 + 1 audio level: 42; 2 of padding; copied in whole vectors. */
    RH_HEADER_TEMPLATE_BYTES = 48,
};

/* Header-extension elements that are looked for. */
enum rh_element_kind {
    RH_ELEMENT_NONE, /* not negotiated */
    RH_ELEMENT_MID,
    RH_ELEMENT_RID,
    RH_ELEMENT_REPAIRED_RID,
    RH_ELEMENT_ABS_SEND_TIME,
    RH_ELEMENT_TRANSPORT_SEQ,
    RH_ELEMENT_AUDIO_LEVEL,
    RH_ELEMENT_DEPENDENCY_DESCRIPTOR,
    RH_ELEMENT_VIDEO_ORIENTATION,
    RH_ELEMENT_KINDS,
};

/* Where one element's data is. An element that occurs twice counts the first time. */
struct rh_element {
    uint16_t offset; /* of its data from the packet's first byte; 0: absent */
    uint16_t bytes;  /* of its data, 0..255 */
};

/* Element kind by id, made once from a peer's ids. Owner: the peer. 256 B, of which ids up to 14
 * touch the first cache line. */
struct rh_extension_map {
    uint8_t kinds[256]; /* enum rh_element_kind */
};

/* What a codec's payload descriptor or the dependency descriptor says about a packet. All zero (and
 * picture_id -1) for codecs without one. Offsets count from the payload's first byte. */
struct rh_layer_info {
    int32_t picture_id;        /* VP8, VP9: 7 or 15 bits (see rh_picture_ids); AV1: frame number;
                                  -1: none */
    uint8_t picture_id_offset; /* 0: not in the payload */
    uint8_t picture_id_bytes;  /* 1 or 2 in the payload; 0: none */
    uint8_t tl0_offset;        /* of TL0PICIDX; 0: none */
    uint8_t tl0_pic_idx;
    uint8_t spatial;           /* SID; 0 without layers */
    uint8_t temporal;          /* TID; 0 without layers */
    uint8_t descriptor_bytes;  /* of the payload descriptor; 255 when longer */
    uint8_t spatial_count;     /* VP9 scalability structure in this packet: N_S + 1; 0: none */
    bool keyframe;             /* first packet of a frame at which decoding can begin */
    bool frame_start;          /* first packet of a layer frame */
    bool frame_end;            /* last packet of a layer frame */
    bool switch_up;            /* VP8: Y, layer sync; VP9: U, switching up point */
    bool discardable;          /* VP8: N, no reference; VP9: Z, not used by higher spatial layers */
    bool independent;          /* VP9: P = 0, no earlier picture is referred to */
    bool inter_layer;          /* VP9: D, depends on the next lower spatial layer */
    bool is_dense;             /* VP8: nothing refers to picture ids, so they close up when
                                  pictures are left out */
};

struct rh_packet {
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t seq;
    uint16_t header_bytes;     /* fixed header, CSRCs and extension block */
    uint16_t payload_offset;   /* header_bytes, more for an unwrapped RTX packet */
    uint16_t payload_bytes;    /* without padding */
    uint16_t extension_offset; /* of the block's elements; 0: no block */
    uint16_t extension_bytes;  /* of the elements */
    uint16_t extension_profile;
    uint8_t padding_bytes;     /* at the end, with its count byte */
    uint8_t payload_type;
    uint8_t csrc_count;
    bool marker;
    bool has_padding;          /* P bit */
    uint16_t element_mask;     /* bit k: elements[k] is there */
    struct rh_element elements[RH_ELEMENT_KINDS]; /* [RH_ELEMENT_NONE] unused */
    struct rh_layer_info layer;
};
static_assert(sizeof(struct rh_packet) <= 96, "kept in every packet buffer and relay entry");

/* Makes the map. Ids of 0 are left out; when two kinds have one id, the first in the order of
 * enum rh_element_kind has it. */
void rh_extension_map_init(struct rh_extension_map *map, const struct rh_extension_ids *ids);

/* Reads the fixed header and where the extension block lies.
 *
 * bytes, size  the datagram, encrypted or not; any bytes are accepted; offsets must fit 16 bits, so
 *              more than 65535 bytes are RH_MALFORMED
 * packet       out; written only on RH_OK: everything but elements, payload and padding, which are
 *              zero, and layer, which is that of a codec without layers
 * Returns RH_TRUNCATED, or RH_MALFORMED when the version is not 2. */
enum rh_result rh_packet_parse_header(
    const uint8_t *bytes, size_t size, struct rh_packet *packet);

/* Reads extension elements, padding and the payload's bounds of a packet in clear.
 *
 * size    bytes of the packet without the SRTP tag
 * packet  of rh_packet_parse_header for the same bytes; changed only on RH_OK
 * An element that does not fit its block ends the reading of the block, those before it count; so
 * does id 15 in the one-byte form (RFC 8285 section 4.2). Blocks of another profile are passed
 * over.
 * Returns RH_TRUNCATED when size is below header_bytes, RH_MALFORMED when the padding count is 0 or
 * exceeds the payload. */
enum rh_result rh_packet_parse_rest(
    const uint8_t *bytes, size_t size, const struct rh_extension_map *map,
    struct rh_packet *packet);

/* Turns an RTX packet (RFC 4588 section 4) into the packet that it repeats: seq, ssrc and payload
 * type are the original's and the payload begins two bytes later.
 *
 * packet  changed only on RH_OK
 * Returns RH_TRUNCATED when there is no original number (padding used as a probe). */
enum rh_result rh_packet_unwrap_rtx(
    const uint8_t *bytes, uint32_t original_ssrc, uint8_t original_payload_type,
    struct rh_packet *packet);

/* The audio level byte (RFC 6464 section 3): 0 loud to 127 silent in -dBov; -1 when absent. */
static inline int rh_packet_audio_level(const struct rh_packet *packet, const uint8_t *bytes)
{
    const struct rh_element *element = &packet->elements[RH_ELEMENT_AUDIO_LEVEL];
    return element->offset != 0 && element->bytes >= 1 ? bytes[element->offset] & 0x7f : -1;
}

/* The publisher's transport-wide number; -1 when absent. */
static inline int32_t rh_packet_transport_seq(const struct rh_packet *packet, const uint8_t *bytes)
{
    const struct rh_element *element = &packet->elements[RH_ELEMENT_TRANSPORT_SEQ];
    if (element->offset == 0 || element->bytes < 2)
        return -1;
    return bytes[element->offset] << 8 | bytes[element->offset + 1];
}

/* Microseconds as abs-send-time: 24 bits, 6.18 fixed-point seconds. */
static inline uint32_t rh_abs_send_time(uint64_t now_us)
{
    return (uint32_t)((now_us % 64000000u << 18) / 1000000u) & 0xffffff;
}

/* The values of a subscriber's header. Elements whose id is 0 in ids are not written. */
struct rh_header {
    const struct rh_extension_ids *ids; /* the subscriber's */
    const char *mid;           /* not terminated */
    uint32_t timestamp;
    uint32_t ssrc;
    uint32_t abs_send_time;    /* 24 bits */
    uint16_t seq;
    uint16_t transport_seq;
    uint16_t frame_number_offset; /* added to a dependency descriptor's frame number, modulo 2^16 */
    uint8_t payload_type;      /* 7 bits */
    uint8_t mid_bytes;         /* 0..RH_MID_BYTES_MAX; 0: not written */
    bool marker;
};

/* Writes a subscriber's header: version 2, no padding, no CSRC; an extension block, when any
 * element is to be written, with mid, abs-send-time, transport-wide number, and audio level,
 * orientation and dependency descriptor of the source where it has them. One-byte form when every
 * id is at most 14 and every element 1 to 16 bytes long, else two-byte form with appbits 0 (RFC
 * 8285 section 4.3).
 *
 * source, source_bytes  the packet that is forwarded
 * out                   RH_WRITTEN_HEADER_BYTES_MAX bytes or more; all of it may be written
 * Returns the header's bytes, a multiple of 4. */
size_t rh_packet_write_header(
    const struct rh_header *header, const struct rh_packet *source, const uint8_t *source_bytes,
    uint8_t *out);

/* The bytes that rh_packet_write_header would write. */
size_t rh_packet_measure_header(const struct rh_header *header, const struct rh_packet *source);

/* A subscriber's header for one stream, made in advance: a packet changes the numbers only. Good
 * for packets that carry just the elements it was made for. Owner: the slot. 60 B. */
struct rh_header_template {
    uint8_t bytes[RH_HEADER_TEMPLATE_BYTES];
    uint8_t size;         /* of the header; 0: none, every header is to be written in full */
    uint8_t time_at;      /* where abs-send-time begins; 0: absent; so for the next two */
    uint8_t transport_at;
    uint8_t level_at;
    uint16_t element_mask;   /* elements of a source packet that a header would show */
    uint16_t element_wanted; /* those of them for which this template has a place */
};

/* Makes a template. with_level: for packets with an audio level. Nothing is made (size 0) when an
 * id needs the two-byte form. */
void rh_header_template_init(
    struct rh_header_template *template, const struct rh_header *header, bool with_level);

/* True when the template gives the packet's whole header. */
static inline bool rh_header_template_fits(
    const struct rh_header_template *template, const struct rh_packet *packet)
{
    return template->size != 0
        && (packet->element_mask & template->element_mask) == template->element_wanted;
}

/* Writes a header by its template, RH_HEADER_TEMPLATE_BYTES of out in all. Of header only what a
 * packet changes is read: seq, timestamp, payload_type, marker, abs_send_time, transport_seq.
 * Returns the header's bytes, as rh_packet_write_header would. */
static inline size_t rh_header_template_write(
    const struct rh_header_template *template, const struct rh_header *header,
    const struct rh_packet *source, const uint8_t *source_bytes, uint8_t *out)
{
    memcpy(out, template->bytes, RH_HEADER_TEMPLATE_BYTES);
    out[1] = (uint8_t)(header->marker << 7 | header->payload_type);
    rh_put16(out + 2, header->seq);
    rh_put32(out + 4, header->timestamp);
    if (template->time_at != 0)
        rh_put24(out + template->time_at, header->abs_send_time);
    if (template->transport_at != 0)
        rh_put16(out + template->transport_at, header->transport_seq);
    if (template->level_at != 0)
        out[template->level_at] = source_bytes[source->elements[RH_ELEMENT_AUDIO_LEVEL].offset];
    return template->size;
}

#endif
