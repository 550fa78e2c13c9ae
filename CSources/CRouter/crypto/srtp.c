/* SRTP and SRTCP packets. SPDX-License-Identifier: Apache-2.0 */
#include "crypto/srtp.h"

#include <string.h>

#include "wire/assert.h"
#include "wire/bytes.h" /* little-endian only, as is make_iv */
#include "wire/seq.h"

enum {
    CM_TAG_BYTES = 10,
    IV_BYTES = 16, /* of CTR; GCM reads the first 12 */
    RTCP_HEADER_BYTES = 8, /* stays in clear, sender's SSRC included */
    RTCP_INDEX_BYTES = 4,
    WINDOW_BITS = RH_SRTP_REPLAY_PACKETS,
    RTCP_WINDOW_BITS = 64,
};

static_assert(sizeof((struct rh_srtp_key){0}.salt) == IV_BYTES);

static const uint32_t rtcp_is_encrypted = 0x80000000; /* E of the index word */

/* ---- Initialisation vectors ---------------------------------------------------------------- */

/* Vectors are put together in registers and stored as a whole: a cipher that loads 16 bytes right
 * after several shorter stores waits for each of them. */
typedef uint64_t vector __attribute__((vector_size(16)));

/* Salt XOR 16 bytes given as two numbers. */
static inline void make_iv(
    const struct rh_srtp_key *key, uint64_t high, uint64_t low, uint8_t iv[IV_BYTES])
{
    vector salt;
    memcpy(&salt, key->salt, sizeof salt);
    vector made = salt ^ (vector){__builtin_bswap64(high), __builtin_bswap64(low)};
    memcpy(iv, &made, sizeof made);
}

/* RFC 3711 section 4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16. */
static inline void make_ctr_iv(
    const struct rh_srtp_key *key, uint32_t ssrc, uint64_t index, uint8_t iv[IV_BYTES])
{
    make_iv(key, ssrc, index << 16, iv);
}

/* RFC 7714 section 8.1: two zero bytes, SSRC, 48 bits of index. Section 9.1 for RTCP: two zero
 * bytes, SSRC, two zero bytes, 32 bits of index without E, which is the same. The last 4 of the 16
 * bytes are not used. */
static inline void make_gcm_iv(
    const struct rh_srtp_key *key, uint32_t ssrc, uint64_t index, uint8_t iv[IV_BYTES])
{
    make_iv(key, (uint64_t)ssrc << 16 | index >> 32, index << 32, iv);
}

/* Compares in a time that does not depend on where the difference is. */
static bool is_equal(const uint8_t *left, const uint8_t *right, size_t bytes)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < bytes; i++)
        difference |= left[i] ^ right[i];
    return difference == 0;
}

/* ---- Replay ---------------------------------------------------------------------------------- */

static bool is_replayed(const struct rh_srtp_source *source, uint64_t seq64)
{
    if (seq64 < RH_SEQ64_FIRST)
        return true; /* below rollover 0 */
    if (source->highest_seq64 == 0 || seq64 > source->highest_seq64)
        return false;
    if (source->highest_seq64 - seq64 >= WINDOW_BITS)
        return true;
    uint64_t place = seq64 % WINDOW_BITS;
    return source->window[place / 64] >> (place % 64) & 1;
}

static void note_received(struct rh_srtp_source *source, uint64_t seq64)
{
    if (seq64 > source->highest_seq64) {
        uint64_t advance = seq64 - source->highest_seq64;
        if (advance >= WINDOW_BITS) {
            memset(source->window, 0, sizeof source->window);
        } else {
            for (uint64_t at = source->highest_seq64 + 1; at < seq64; at++)
                source->window[at % WINDOW_BITS / 64] &= ~(1ull << (at % 64));
        }
        source->highest_seq64 = seq64;
    }
    source->window[seq64 % WINDOW_BITS / 64] |= 1ull << (seq64 % 64);
}

/* Place of the SSRC's state; NULL when there is none yet. */
static struct rh_srtcp_source *find_rtcp_source(struct rh_srtp_receive *receive, uint32_t ssrc)
{
    for (size_t i = 0; i < RH_SRTCP_SOURCES_MAX; i++)
        if (receive->rtcp_sources[i].ssrc == ssrc && receive->rtcp_sources[i].window != 0)
            return &receive->rtcp_sources[i];
    return NULL;
}

static bool is_rtcp_replayed(const struct rh_srtcp_source *source, uint32_t index)
{
    if (source == NULL || index > source->highest_index)
        return false;
    uint32_t age = source->highest_index - index;
    return age >= RTCP_WINDOW_BITS || (source->window >> age & 1);
}

static void note_rtcp_received(
    struct rh_srtp_receive *receive, struct rh_srtcp_source *source, uint32_t ssrc,
    uint32_t index)
{
    for (size_t i = 0; source == NULL && i < RH_SRTCP_SOURCES_MAX; i++)
        if (receive->rtcp_sources[i].window == 0)
            source = &receive->rtcp_sources[i];
    if (source == NULL) {
        source = &receive->rtcp_sources[receive->rtcp_replaced_next];
        receive->rtcp_replaced_next = (receive->rtcp_replaced_next + 1) % RH_SRTCP_SOURCES_MAX;
        source->window = 0;
    }
    if (source->window == 0) {
        *source = (struct rh_srtcp_source){.ssrc = ssrc, .highest_index = index, .window = 1};
    } else if (index > source->highest_index) {
        uint32_t advance = index - source->highest_index;
        source->window = advance < RTCP_WINDOW_BITS ? source->window << advance | 1 : 1;
        source->highest_index = index;
    } else {
        source->window |= 1ull << (source->highest_index - index);
    }
}

/* ---- RTP ------------------------------------------------------------------------------------- */

static bool open_rtp_gcm(
    const struct rh_srtp_receive *receive, const struct rh_packet *packet,
    const struct rh_srtp_packet *srtp)
{
    uint8_t iv[IV_BYTES];
    make_gcm_iv(&receive->rtp, packet->ssrc, srtp->seq64 - RH_SEQ64_FIRST, iv);
    uint8_t *content = srtp->bytes + packet->header_bytes;
    size_t content_bytes = srtp->size - packet->header_bytes - RH_GCM_TAG_BYTES;
    return receive->backend->gcm_open(
        receive->rtp.cipher,
        &(struct rh_gcm_job){
            .iv = iv,
            .aad = {.first = srtp->bytes, .first_bytes = packet->header_bytes},
            .in = content,
            .bytes = content_bytes,
            .out = content,
            .tag = content + content_bytes,
        });
}

static bool open_rtp_cm(
    const struct rh_srtp_receive *receive, const struct rh_packet *packet,
    const struct rh_srtp_packet *srtp)
{
    uint64_t index = srtp->seq64 - RH_SEQ64_FIRST;
    size_t signed_bytes = srtp->size - CM_TAG_BYTES;
    uint8_t rollover[4], tag[RH_HMAC_TAG_BYTES];
    rh_put32(rollover, (uint32_t)(index >> 16));
    struct rh_pieces pieces = {srtp->bytes, signed_bytes, rollover, sizeof rollover};
    receive->backend->hmac_sign(&receive->rtp.hmac, &pieces, tag);
    if (!is_equal(tag, srtp->bytes + signed_bytes, CM_TAG_BYTES))
        return false;
    uint8_t iv[IV_BYTES];
    make_ctr_iv(&receive->rtp, packet->ssrc, index, iv);
    uint8_t *content = srtp->bytes + packet->header_bytes;
    receive->backend->ctr_xor(
        receive->rtp.cipher, iv, content, signed_bytes - packet->header_bytes, content);
    return true;
}

enum rh_result rh_srtp_unprotect_rtp(
    const struct rh_srtp_receive *receive, struct rh_srtp_source *source,
    const struct rh_packet *packet, struct rh_srtp_packet *srtp)
{
    RH_ASSERT(receive->backend != NULL);
    RH_ASSERT(packet->header_bytes >= RH_RTP_HEADER_BYTES);
    bool is_gcm = receive->profile == RH_SRTP_AEAD_AES_128_GCM;
    size_t tag_bytes = is_gcm ? RH_GCM_TAG_BYTES : CM_TAG_BYTES;
    if (srtp->size < packet->header_bytes + tag_bytes)
        return RH_TRUNCATED;
    uint64_t seq64 = source->highest_seq64 == 0
        ? RH_SEQ64_FIRST + (uint64_t)packet->seq
        : rh_seq_extend(source->highest_seq64, packet->seq);
    if (is_replayed(source, seq64))
        return RH_REPLAYED;
    struct rh_srtp_packet candidate = {srtp->bytes, srtp->size, seq64};
    bool is_authentic = is_gcm ? open_rtp_gcm(receive, packet, &candidate)
                               : open_rtp_cm(receive, packet, &candidate);
    if (!is_authentic)
        return RH_UNAUTHENTIC;
    note_received(source, seq64);
    srtp->size -= tag_bytes;
    srtp->seq64 = seq64;
    return RH_OK;
}

static size_t seal_rtp_gcm(
    const struct rh_srtp_send *send, const struct rh_srtp_outgoing *packet, uint32_t ssrc)
{
    uint8_t iv[IV_BYTES];
    make_gcm_iv(&send->rtp, ssrc, packet->seq64 - RH_SEQ64_FIRST, iv);
    uint8_t *content = packet->out + packet->header_bytes;
    send->backend->gcm_seal(
        send->rtp.cipher,
        &(struct rh_gcm_job){
            .iv = iv,
            .aad = {.first = packet->out, .first_bytes = packet->header_bytes},
            .in = packet->payload,
            .bytes = packet->payload_bytes,
            .out = content,
            .tag = content + packet->payload_bytes,
        });
    return packet->header_bytes + packet->payload_bytes + RH_GCM_TAG_BYTES;
}

static size_t seal_rtp_cm(
    const struct rh_srtp_send *send, const struct rh_srtp_outgoing *packet, uint32_t ssrc)
{
    uint64_t index = packet->seq64 - RH_SEQ64_FIRST;
    uint8_t iv[IV_BYTES];
    make_ctr_iv(&send->rtp, ssrc, index, iv);
    send->backend->ctr_xor(
        send->rtp.cipher, iv, packet->payload, packet->payload_bytes,
        packet->out + packet->header_bytes);
    size_t signed_bytes = packet->header_bytes + packet->payload_bytes;
    uint8_t rollover[4], tag[RH_HMAC_TAG_BYTES];
    rh_put32(rollover, (uint32_t)(index >> 16));
    struct rh_pieces pieces = {packet->out, signed_bytes, rollover, sizeof rollover};
    send->backend->hmac_sign(&send->rtp.hmac, &pieces, tag);
    memcpy(packet->out + signed_bytes, tag, CM_TAG_BYTES);
    return signed_bytes + CM_TAG_BYTES;
}

size_t rh_srtp_protect_rtp(const struct rh_srtp_send *send, const struct rh_srtp_outgoing *packet)
{
    RH_ASSERT(send->backend != NULL);
    RH_ASSERT(packet->seq64 >= RH_SEQ64_FIRST);
    RH_ASSERT(packet->header_bytes >= RH_RTP_HEADER_BYTES);
    RH_ASSERT(rh_get16(packet->out + 2) == (uint16_t)packet->seq64);
    uint32_t ssrc = rh_get32(packet->out + 8);
    return send->profile == RH_SRTP_AEAD_AES_128_GCM ? seal_rtp_gcm(send, packet, ssrc)
                                                     : seal_rtp_cm(send, packet, ssrc);
}

/* ---- RTCP ------------------------------------------------------------------------------------ */

/* header, content, tag, index word (RFC 7714 section 9.2, figure 4; section 9.3 when not encrypted:
 * everything before the tag is additional data). */
static bool open_rtcp_gcm(
    const struct rh_srtp_receive *receive, uint8_t *bytes, size_t size)
{
    uint32_t word = rh_get32(bytes + size - RTCP_INDEX_BYTES);
    size_t plain_bytes = size - RTCP_INDEX_BYTES - RH_GCM_TAG_BYTES;
    size_t clear_bytes = word & rtcp_is_encrypted ? (size_t)RTCP_HEADER_BYTES : plain_bytes;
    uint8_t iv[IV_BYTES];
    make_gcm_iv(&receive->rtcp, rh_get32(bytes + 4), word & ~rtcp_is_encrypted, iv);
    return receive->backend->gcm_open(
        receive->rtcp.cipher,
        &(struct rh_gcm_job){
            .iv = iv,
            .aad = {bytes, clear_bytes, bytes + size - RTCP_INDEX_BYTES, RTCP_INDEX_BYTES},
            .in = bytes + clear_bytes,
            .bytes = plain_bytes - clear_bytes,
            .out = bytes + clear_bytes,
            .tag = bytes + plain_bytes,
        });
}

/* header, content, index word, tag (RFC 3711 section 3.4). */
static bool open_rtcp_cm(const struct rh_srtp_receive *receive, uint8_t *bytes, size_t size)
{
    size_t signed_bytes = size - CM_TAG_BYTES;
    uint8_t tag[RH_HMAC_TAG_BYTES];
    struct rh_pieces pieces = {bytes, signed_bytes, NULL, 0};
    receive->backend->hmac_sign(&receive->rtcp.hmac, &pieces, tag);
    if (!is_equal(tag, bytes + signed_bytes, CM_TAG_BYTES))
        return false;
    uint32_t word = rh_get32(bytes + signed_bytes - RTCP_INDEX_BYTES);
    if (!(word & rtcp_is_encrypted))
        return true;
    uint8_t iv[IV_BYTES];
    make_ctr_iv(&receive->rtcp, rh_get32(bytes + 4), word & ~rtcp_is_encrypted, iv);
    uint8_t *content = bytes + RTCP_HEADER_BYTES;
    receive->backend->ctr_xor(
        receive->rtcp.cipher, iv, content, signed_bytes - RTCP_INDEX_BYTES - RTCP_HEADER_BYTES,
        content);
    return true;
}

enum rh_result rh_srtp_unprotect_rtcp(
    struct rh_srtp_receive *receive, uint8_t *bytes, size_t *size)
{
    RH_ASSERT(receive->backend != NULL);
    bool is_gcm = receive->profile == RH_SRTP_AEAD_AES_128_GCM;
    size_t added_bytes = RTCP_INDEX_BYTES + (is_gcm ? RH_GCM_TAG_BYTES : CM_TAG_BYTES);
    if (*size < RTCP_HEADER_BYTES + added_bytes)
        return RH_TRUNCATED;
    if (bytes[0] >> 6 != 2 || *size > RH_AAD_BYTES_MAX)
        return RH_MALFORMED;
    size_t word_end = is_gcm ? *size : *size - CM_TAG_BYTES;
    uint32_t index = rh_get32(bytes + word_end - RTCP_INDEX_BYTES) & ~rtcp_is_encrypted;
    uint32_t ssrc = rh_get32(bytes + 4);
    struct rh_srtcp_source *source = find_rtcp_source(receive, ssrc);
    if (is_rtcp_replayed(source, index))
        return RH_REPLAYED;
    bool is_authentic = is_gcm ? open_rtcp_gcm(receive, bytes, *size)
                               : open_rtcp_cm(receive, bytes, *size);
    if (!is_authentic)
        return RH_UNAUTHENTIC;
    note_rtcp_received(receive, source, ssrc, index);
    *size -= added_bytes;
    return RH_OK;
}

size_t rh_srtp_protect_rtcp(
    struct rh_srtp_send *send, const uint8_t *bytes, size_t size, uint8_t *out)
{
    RH_ASSERT(send->backend != NULL);
    RH_ASSERT(size >= RTCP_HEADER_BYTES);
    if (send->rtcp_index & rtcp_is_encrypted)
        return 0;
    uint32_t index = send->rtcp_index++;
    uint32_t ssrc = rh_get32(bytes + 4);
    size_t content_bytes = size - RTCP_HEADER_BYTES;
    memcpy(out, bytes, RTCP_HEADER_BYTES);
    uint8_t word[RTCP_INDEX_BYTES];
    rh_put32(word, index | rtcp_is_encrypted);
    if (send->profile == RH_SRTP_AEAD_AES_128_GCM) {
        uint8_t iv[IV_BYTES];
        make_gcm_iv(&send->rtcp, ssrc, index, iv);
        struct rh_gcm_job job = {
            .iv = iv,
            .aad = {out, RTCP_HEADER_BYTES, word, sizeof word},
            .in = bytes + RTCP_HEADER_BYTES,
            .bytes = content_bytes,
            .out = out + RTCP_HEADER_BYTES,
            .tag = out + size,
        };
        send->backend->gcm_seal(send->rtcp.cipher, &job);
        memcpy(out + size + RH_GCM_TAG_BYTES, word, sizeof word);
        return size + RH_GCM_TAG_BYTES + sizeof word;
    }
    uint8_t iv[IV_BYTES], tag[RH_HMAC_TAG_BYTES];
    make_ctr_iv(&send->rtcp, ssrc, index, iv);
    send->backend->ctr_xor(
        send->rtcp.cipher, iv, bytes + RTCP_HEADER_BYTES, content_bytes, out + RTCP_HEADER_BYTES);
    memcpy(out + size, word, sizeof word);
    struct rh_pieces pieces = {out, size + sizeof word, NULL, 0};
    send->backend->hmac_sign(&send->rtcp.hmac, &pieces, tag);
    memcpy(out + size + sizeof word, tag, CM_TAG_BYTES);
    return size + sizeof word + CM_TAG_BYTES;
}
