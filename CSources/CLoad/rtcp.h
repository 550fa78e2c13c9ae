/* The RTCP that synthetic participants speak: parsing and writing plain packets.
 * SPDX-License-Identifier: Apache-2.0
 *
 * RFC 3550 section 6 (SR, RR, SDES, BYE), RFC 4585 section 6 (NACK, PLI), RFC 5104 section 4.3.1
 * (FIR), draft-alvestrand-rmcat-remb-03. Bytes in, values out; no state. */
#ifndef RH_LOAD_RTCP_H
#define RH_LOAD_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rh_router.h"

enum {
    RH_LOAD_RTCP_BYTES_MAX = 1200,
    RH_LOAD_RTCP_BLOCKS_MAX = 31, /* report blocks of one packet; its count has five bits */
    RH_LOAD_CNAME_BYTES_MAX = 32,
};

enum rh_load_rtcp_type {
    RH_LOAD_RTCP_SR = 200,
    RH_LOAD_RTCP_RR = 201,
    RH_LOAD_RTCP_SDES = 202,
    RH_LOAD_RTCP_BYE = 203,
    RH_LOAD_RTCP_RTPFB = 205, /* 1: NACK, 15: transport-wide feedback */
    RH_LOAD_RTCP_PSFB = 206,  /* 1: PLI, 4: FIR, 15: REMB */
};

/* One packet of a compound; content is what follows the first 8 bytes. */
struct rh_load_rtcp_packet {
    uint8_t type;
    uint8_t count;          /* report count or feedback format, 0..31 */
    uint32_t sender;        /* SSRC of the second word */
    const uint8_t *content;
    size_t content_bytes;   /* without padding */
};

/* Where a reader is. */
struct rh_load_rtcp_reader {
    const uint8_t *bytes;
    size_t size, at;
};

/* Takes the next packet of a compound or reduced-size packet. Accepts any bytes.
 *
 * packet  written only when true is returned
 * Returns false at the end, and at a packet that is cut, of another version, shorter than 8 bytes,
 * or whose padding is longer than it; the rest is then left alone. */
bool rh_load_rtcp_next(struct rh_load_rtcp_reader *reader, struct rh_load_rtcp_packet *packet);

/* A report block (RFC 3550 section 6.4.1). */
struct rh_load_rtcp_block {
    uint32_t ssrc;
    uint8_t fraction_lost;     /* of 256 */
    int32_t lost;              /* 24 bits with sign */
    uint32_t highest_seq;      /* extended to 32 bits */
    uint32_t jitter;           /* clock units */
    uint32_t last_report;      /* middle 32 bits of an NTP time; 0: none */
    uint32_t delay;            /* since last_report, 1/65536 s */
};

/* Block index of an SR or RR. Returns false when there is no such block in its bytes. */
bool rh_load_rtcp_block(
    const struct rh_load_rtcp_packet *packet, uint32_t index, struct rh_load_rtcp_block *block);

/* NACK item index: the media SSRC's packets pid and, for each bit n of the mask, pid + n + 1.
 * Returns false when there is none or the packet is no NACK. */
struct rh_load_rtcp_nack {
    uint32_t ssrc;
    uint16_t pid, mask;
};
bool rh_load_rtcp_nack(
    const struct rh_load_rtcp_packet *packet, uint32_t index, struct rh_load_rtcp_nack *nack);

/* SSRC whose keyframe a PLI (index 0) or FIR (entry index) asks for. Returns false otherwise. */
bool rh_load_rtcp_keyframe(
    const struct rh_load_rtcp_packet *packet, uint32_t index, uint32_t *ssrc);

/* NTP time of an SR, its middle 32 bits. Returns false when the packet is no SR. */
bool rh_load_rtcp_sender_ntp(const struct rh_load_rtcp_packet *packet, uint32_t *middle);

/* ---- Writing: appends to a buffer of RH_LOAD_RTCP_BYTES_MAX -------------------------------- */

struct rh_load_rtcp_writer {
    uint8_t bytes[RH_LOAD_RTCP_BYTES_MAX];
    size_t size;
};

struct rh_load_rtcp_sender {
    uint32_t ssrc;
    uint64_t ntp;
    uint32_t timestamp, packets, octets;
};

/* Each returns false and writes nothing when it does not fit. */
bool rh_load_rtcp_write_sr(
    struct rh_load_rtcp_writer *writer, const struct rh_load_rtcp_sender *sender);
bool rh_load_rtcp_write_rr(
    struct rh_load_rtcp_writer *writer, uint32_t sender, const struct rh_load_rtcp_block *blocks,
    uint32_t count);
/* cname: RH_LOAD_CNAME_BYTES_MAX bytes, or fewer with a zero byte. */
bool rh_load_rtcp_write_sdes(
    struct rh_load_rtcp_writer *writer, uint32_t ssrc, const char *cname);
bool rh_load_rtcp_write_bye(
    struct rh_load_rtcp_writer *writer, const uint32_t *ssrcs, uint32_t count);
bool rh_load_rtcp_write_pli(
    struct rh_load_rtcp_writer *writer, uint32_t sender, uint32_t ssrc);
/* seqs: ascending (modulo 2^16); as many as fit one item after the other. Returns how many. */
uint32_t rh_load_rtcp_write_nack(
    struct rh_load_rtcp_writer *writer, uint32_t sender, uint32_t ssrc, const uint16_t *seqs,
    uint32_t count);
bool rh_load_rtcp_write_remb(
    struct rh_load_rtcp_writer *writer, uint32_t sender, uint64_t bps, uint32_t ssrc);

#endif
