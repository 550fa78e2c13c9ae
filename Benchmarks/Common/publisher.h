/* A publisher's packets of a scenario, as a browser sends them. SPDX-License-Identifier: Apache-2.0
 *
 * RTP with header extensions, VP8 in its payload format (RFC 7741) or anything for Opus, SRTP. */
#ifndef RH_BENCHMARKS_PUBLISHER_H
#define RH_BENCHMARKS_PUBLISHER_H

#include <stdatomic.h>

#include "crypto/srtp.h"
#include "rh_router.h"
#include "scenario.h"
#include "wire/bytes.h"
#include "wire/seq.h"

enum {
    KINDS = 2, AUDIO = 0, VIDEO = 1,
    AUDIO_TYPE = 111, VIDEO_TYPE = 96, RTX_TYPE = 97,
    MID_ID = 1, SEND_TIME_ID = 3, TRANSPORT_ID = 5,
    PUBLISHER_SSRC_FIRST = 1000, PUBLISHED_BYTES_MAX = 2048,
};

struct publisher {
    uint32_t number;
    struct rh_srtp_send srtp;
    uint64_t seq64[KINDS];
    uint32_t timestamp[KINDS], pictures;
    bool has_transport_seq; /* the extension is sent */
    bool is_keyframe;       /* the frame being sent */
    atomic_bool wants_keyframe;
    uint16_t transport_seq;
};

/* Master keys of participant number: direction 1 towards the router, 2 from it. */
static inline struct rh_srtp_keys publisher_keys(uint32_t number, uint8_t direction)
{
    struct rh_srtp_keys keys = {.key = {direction}, .salt = {7}};
    rh_put32(keys.key + 4, number);
    rh_put32(keys.salt + 4, number * 2654435761u);
    return keys;
}

static inline uint32_t publisher_ssrc(uint32_t number, int kind)
{
    return PUBLISHER_SSRC_FIRST + number * KINDS + (uint32_t)kind;
}

static inline struct rh_track_config publisher_track(uint32_t number, int kind)
{
    return (struct rh_track_config){
        .kind = kind == AUDIO ? RH_AUDIO : RH_VIDEO,
        .codec = kind == AUDIO ? RH_CODEC_OPUS : RH_CODEC_VP8,
        .payload_type = kind == AUDIO ? AUDIO_TYPE : VIDEO_TYPE,
        .rtx_payload_type = kind == AUDIO ? 0 : RTX_TYPE,
        .encoding_count = 1, .clock_rate = kind == AUDIO ? 48000 : 90000,
        .mid = {(char)('0' + kind)}, .ssrc = {publisher_ssrc(number, kind)}};
}

/* The slot in which a participant receives its stream number `place` of a kind. */
static inline struct rh_slot_config publisher_slot(uint32_t place, int kind)
{
    uint32_t ssrc = (1u << 24) + (place * KINDS + (uint32_t)kind) * 2;
    struct rh_slot_config config = {
        .kind = kind == AUDIO ? RH_AUDIO : RH_VIDEO, .ssrc = ssrc,
        .rtx_ssrc = kind == AUDIO ? 0 : ssrc + 1, .clock_rate = kind == AUDIO ? 48000 : 90000};
    snprintf(config.mid, sizeof config.mid, "%u", place * KINDS + (uint32_t)kind);
    return config;
}

static inline struct rh_slot_binding publisher_binding(rh_track_id track, int kind)
{
    return (struct rh_slot_binding){
        .track = track, .payload_type = kind == AUDIO ? AUDIO_TYPE : VIDEO_TYPE + 4,
        .rtx_payload_type = kind == AUDIO ? 0 : RTX_TYPE + 4,
        .target = {.encoding = 0, .spatial = 255, .temporal = 255}};
}

/* Its first frame is a keyframe. Returns false without memory. */
static inline bool publisher_init(
    struct publisher *publisher, uint32_t number, enum rh_srtp_profile profile)
{
    struct rh_srtp_keys keys = publisher_keys(number, 1);
    *publisher = (struct publisher){
        .number = number, .seq64 = {RH_SEQ64_FIRST + 1, RH_SEQ64_FIRST + 1}};
    atomic_store(&publisher->wants_keyframe, true);
    return rh_srtp_send_init(&publisher->srtp, rh_cipher_choose(), profile, &keys) == RH_OK;
}

/* The extension block behind the fixed header. Returns the header's bytes. */
static inline size_t publisher_write_extensions(
    struct publisher *publisher, int kind, uint8_t *header)
{
    uint8_t *at = header + 16;
    *at++ = MID_ID << 4;
    *at++ = (uint8_t)('0' + kind);
    *at++ = SEND_TIME_ID << 4 | 2;
    rh_put24(at, publisher->timestamp[kind]);
    at += 3;
    if (publisher->has_transport_seq) {
        *at++ = TRANSPORT_ID << 4 | 1;
        rh_put16(at, publisher->transport_seq++);
        at += 2;
    }
    while ((at - header) % 4 != 0)
        *at++ = 0;
    rh_put32(header + 12, 0xbede0000 | (uint32_t)(at - header - 16) / 4);
    return (size_t)(at - header);
}

/* RFC 7741 section 4.2: extended, 15-bit picture id, TL0PICIDX, temporal id 0. */
static inline void publisher_write_descriptor(
    const struct publisher *publisher, bool is_first, uint8_t *payload)
{
    payload[0] = (uint8_t)(0x80 | (is_first ? 0x10 : 0));
    payload[1] = 0xe0;
    rh_put16(payload + 2, (uint16_t)(0x8000 | publisher->pictures));
    payload[4] = (uint8_t)publisher->pictures;
    payload[5] = 0;
    payload[6] = publisher->is_keyframe ? 0 : 1;
}

/* Writes and protects the publisher's next packet, PUBLISHED_BYTES_MAX bytes of room. Returns its
 * bytes. One thread at a time in the program. */
static inline size_t publisher_write(
    struct publisher *publisher, const struct shot *shot, uint8_t *out)
{
    static uint8_t payload[PUBLISHED_BYTES_MAX];
    int kind = shot->is_audio ? AUDIO : VIDEO;
    bool is_first = shot->place == 0, is_last = shot->place + 1 == shot->count;
    if (is_first)
        publisher->timestamp[kind] += kind == AUDIO ? 960 : 6000;
    if (is_first && kind == VIDEO) {
        publisher->is_keyframe = atomic_exchange(&publisher->wants_keyframe, false);
        publisher->pictures++;
    }
    if (kind == VIDEO)
        publisher_write_descriptor(publisher, is_first, payload);
    out[0] = 0x90;
    out[1] = (uint8_t)((kind == AUDIO ? AUDIO_TYPE : VIDEO_TYPE)
                       | (kind == VIDEO && is_last ? 0x80 : 0));
    rh_put16(out + 2, (uint16_t)publisher->seq64[kind]);
    rh_put32(out + 4, publisher->timestamp[kind]);
    rh_put32(out + 8, publisher_ssrc(publisher->number, kind));
    size_t header_bytes = publisher_write_extensions(publisher, kind, out);
    struct rh_srtp_outgoing packet = {
        .out = out, .header_bytes = header_bytes, .payload = payload,
        .payload_bytes = shot->bytes - header_bytes, .seq64 = publisher->seq64[kind]++};
    return rh_srtp_protect_rtp(&publisher->srtp, &packet);
}

#endif
