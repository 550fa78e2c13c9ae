/* RTCP, parsed and written. SPDX-License-Identifier: Apache-2.0 */
#include "rtcp.h"

#include <string.h>

#include "wire/assert.h"
#include "wire/bytes.h"

enum {
    PACKET_HEADER_BYTES = 8, /* with the sender's SSRC */
    BLOCK_BYTES = 24,
    SENDER_INFO_BYTES = 20,
    FORMAT_NACK = 1,
    FORMAT_PLI = 1,
    FORMAT_FIR = 4,
    FORMAT_REMB = 15,
    SDES_CNAME = 1,
};

bool rh_load_rtcp_next(struct rh_load_rtcp_reader *reader, struct rh_load_rtcp_packet *packet)
{
    RH_ASSERT(reader->at <= reader->size);
    size_t left = reader->size - reader->at;
    const uint8_t *bytes = reader->bytes + reader->at;
    if (left < PACKET_HEADER_BYTES || bytes[0] >> 6 != 2)
        return false;
    size_t packet_bytes = ((size_t)rh_get16(bytes + 2) + 1) * 4;
    if (packet_bytes < PACKET_HEADER_BYTES || packet_bytes > left)
        return false;
    size_t padding = bytes[0] & 0x20 ? bytes[packet_bytes - 1] : 0;
    if (padding > packet_bytes - PACKET_HEADER_BYTES)
        return false;
    *packet = (struct rh_load_rtcp_packet){
        .type = bytes[1],
        .count = bytes[0] & 0x1f,
        .sender = rh_get32(bytes + 4),
        .content = bytes + PACKET_HEADER_BYTES,
        .content_bytes = packet_bytes - PACKET_HEADER_BYTES - padding,
    };
    reader->at += packet_bytes;
    return true;
}

bool rh_load_rtcp_block(
    const struct rh_load_rtcp_packet *packet, uint32_t index, struct rh_load_rtcp_block *block)
{
    bool is_sr = packet->type == RH_LOAD_RTCP_SR;
    if ((!is_sr && packet->type != RH_LOAD_RTCP_RR) || index >= packet->count)
        return false;
    size_t at = (is_sr ? (size_t)SENDER_INFO_BYTES : 0) + (size_t)index * BLOCK_BYTES;
    if (at + BLOCK_BYTES > packet->content_bytes)
        return false;
    const uint8_t *bytes = packet->content + at;
    uint32_t lost = rh_get24(bytes + 5);
    *block = (struct rh_load_rtcp_block){
        .ssrc = rh_get32(bytes),
        .fraction_lost = bytes[4],
        .lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost,
        .highest_seq = rh_get32(bytes + 8),
        .jitter = rh_get32(bytes + 12),
        .last_report = rh_get32(bytes + 16),
        .delay = rh_get32(bytes + 20),
    };
    return true;
}

bool rh_load_rtcp_nack(
    const struct rh_load_rtcp_packet *packet, uint32_t index, struct rh_load_rtcp_nack *nack)
{
    if (packet->type != RH_LOAD_RTCP_RTPFB || packet->count != FORMAT_NACK)
        return false;
    size_t at = 4 + (size_t)index * 4;
    if (at + 4 > packet->content_bytes)
        return false;
    nack->ssrc = rh_get32(packet->content);
    nack->pid = rh_get16(packet->content + at);
    nack->mask = rh_get16(packet->content + at + 2);
    return true;
}

bool rh_load_rtcp_keyframe(
    const struct rh_load_rtcp_packet *packet, uint32_t index, uint32_t *ssrc)
{
    if (packet->type != RH_LOAD_RTCP_PSFB || packet->content_bytes < 4)
        return false;
    if (packet->count == FORMAT_PLI && index == 0) {
        *ssrc = rh_get32(packet->content);
        return true;
    }
    size_t at = 4 + (size_t)index * 8;
    if (packet->count != FORMAT_FIR || at + 8 > packet->content_bytes)
        return false;
    *ssrc = rh_get32(packet->content + at);
    return true;
}

bool rh_load_rtcp_sender_ntp(const struct rh_load_rtcp_packet *packet, uint32_t *middle)
{
    if (packet->type != RH_LOAD_RTCP_SR || packet->content_bytes < SENDER_INFO_BYTES)
        return false;
    *middle = rh_get32(packet->content + 2);
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Begins a packet of bytes (a multiple of 4) in all. Returns where, NULL without room. */
static uint8_t *begin(
    struct rh_load_rtcp_writer *writer, uint8_t type, uint32_t count, uint32_t ssrc, size_t bytes)
{
    RH_ASSERT(bytes % 4 == 0);
    RH_ASSERT(count <= RH_LOAD_RTCP_BLOCKS_MAX);
    if (writer->size + bytes > sizeof writer->bytes)
        return NULL;
    uint8_t *out = writer->bytes + writer->size;
    writer->size += bytes;
    memset(out, 0, bytes);
    out[0] = (uint8_t)(0x80 | count);
    out[1] = type;
    rh_put16(out + 2, (uint16_t)(bytes / 4 - 1));
    rh_put32(out + 4, ssrc);
    return out;
}

bool rh_load_rtcp_write_sr(
    struct rh_load_rtcp_writer *writer, const struct rh_load_rtcp_sender *sender)
{
    uint8_t *out = begin(
        writer, RH_LOAD_RTCP_SR, 0, sender->ssrc, PACKET_HEADER_BYTES + SENDER_INFO_BYTES);
    if (out == NULL)
        return false;
    rh_put32(out + 8, (uint32_t)(sender->ntp >> 32));
    rh_put32(out + 12, (uint32_t)sender->ntp);
    rh_put32(out + 16, sender->timestamp);
    rh_put32(out + 20, sender->packets);
    rh_put32(out + 24, sender->octets);
    return true;
}

bool rh_load_rtcp_write_rr(
    struct rh_load_rtcp_writer *writer, uint32_t sender, const struct rh_load_rtcp_block *blocks,
    uint32_t count)
{
    size_t bytes = PACKET_HEADER_BYTES + (size_t)count * BLOCK_BYTES;
    uint8_t *out = begin(writer, RH_LOAD_RTCP_RR, count, sender, bytes);
    if (out == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *block = out + PACKET_HEADER_BYTES + (size_t)i * BLOCK_BYTES;
        rh_put32(block, blocks[i].ssrc);
        block[4] = blocks[i].fraction_lost;
        rh_put24(block + 5, (uint32_t)blocks[i].lost & 0xffffff);
        rh_put32(block + 8, blocks[i].highest_seq);
        rh_put32(block + 12, blocks[i].jitter);
        rh_put32(block + 16, blocks[i].last_report);
        rh_put32(block + 20, blocks[i].delay);
    }
    return true;
}

bool rh_load_rtcp_write_sdes(struct rh_load_rtcp_writer *writer, uint32_t ssrc, const char *cname)
{
    const char *end = memchr(cname, 0, RH_LOAD_CNAME_BYTES_MAX);
    size_t length = end != NULL ? (size_t)(end - cname) : RH_LOAD_CNAME_BYTES_MAX;
    size_t bytes = (PACKET_HEADER_BYTES + 2 + length + 1 + 3) / 4 * 4; /* ends with a zero byte */
    uint8_t *out = begin(writer, RH_LOAD_RTCP_SDES, 1, ssrc, bytes);
    if (out == NULL)
        return false;
    out[8] = SDES_CNAME;
    out[9] = (uint8_t)length;
    memcpy(out + 10, cname, length);
    return true;
}

bool rh_load_rtcp_write_bye(
    struct rh_load_rtcp_writer *writer, const uint32_t *ssrcs, uint32_t count)
{
    RH_ASSERT(count >= 1);
    uint8_t *out = begin(writer, RH_LOAD_RTCP_BYE, count, ssrcs[0], 4 + (size_t)count * 4);
    for (uint32_t i = 0; out != NULL && i < count; i++)
        rh_put32(out + 4 + (size_t)i * 4, ssrcs[i]);
    return out != NULL;
}

bool rh_load_rtcp_write_pli(struct rh_load_rtcp_writer *writer, uint32_t sender, uint32_t ssrc)
{
    uint8_t *out = begin(writer, RH_LOAD_RTCP_PSFB, FORMAT_PLI, sender, PACKET_HEADER_BYTES + 4);
    if (out != NULL)
        rh_put32(out + 8, ssrc);
    return out != NULL;
}

uint32_t rh_load_rtcp_write_nack(
    struct rh_load_rtcp_writer *writer, uint32_t sender, uint32_t ssrc, const uint16_t *seqs,
    uint32_t count)
{
    uint8_t *out = begin(writer, RH_LOAD_RTCP_RTPFB, FORMAT_NACK, sender, PACKET_HEADER_BYTES + 4);
    if (out == NULL)
        return 0;
    rh_put32(out + 8, ssrc);
    uint32_t taken = 0, words = 2;
    while (taken < count && writer->size + 4 <= sizeof writer->bytes) {
        uint16_t pid = seqs[taken++], mask = 0;
        for (; taken < count; taken++) {
            uint16_t step = (uint16_t)(seqs[taken] - pid);
            if (step == 0 || step > 16)
                break;
            mask = (uint16_t)(mask | 1u << (step - 1));
        }
        rh_put16(writer->bytes + writer->size, pid);
        rh_put16(writer->bytes + writer->size + 2, mask);
        writer->size += 4;
        words++;
    }
    rh_put16(out + 2, (uint16_t)words);
    if (taken == 0) /* no room for an item: nothing was said */
        writer->size -= PACKET_HEADER_BYTES + 4;
    return taken;
}

bool rh_load_rtcp_write_remb(
    struct rh_load_rtcp_writer *writer, uint32_t sender, uint64_t bps, uint32_t ssrc)
{
    uint8_t *out =
        begin(writer, RH_LOAD_RTCP_PSFB, FORMAT_REMB, sender, PACKET_HEADER_BYTES + 16);
    if (out == NULL)
        return false;
    uint32_t exponent = 0;
    while (bps >> exponent >= 1u << 18)
        exponent++;
    memcpy(out + 12, "REMB", 4);
    out[16] = 1;
    rh_put24(out + 17, exponent << 18 | (uint32_t)(bps >> exponent));
    rh_put32(out + 20, ssrc);
    return true;
}
