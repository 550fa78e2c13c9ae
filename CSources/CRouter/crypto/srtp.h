/* SRTP and SRTCP (RFC 3711), profiles AEAD_AES_128_GCM (RFC 7714) and AES_CM_128_HMAC_SHA1_80.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A context holds the session keys of one direction of one peer. Replay state is the caller's, one
 * struct rh_srtp_source an SSRC; the outgoing numbers are the caller's too. Numbers are seq64 as in
 * wire/seq.h: the SRTP packet index is seq64 - RH_SEQ64_FIRST. Key derivation rate 0, no MKI.
 * Only rh_srtp_*_init allocates. Owner of contexts: the peer, 0.5 KiB and 1 KiB, and two
 * ciphers of the backend each. */
#ifndef RH_CRYPTO_SRTP_H
#define RH_CRYPTO_SRTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/cipher.h"
#include "rh_router.h"
#include "wire/packet.h"

enum {
    RH_SRTP_TAG_BYTES_MAX = 16,  /* appended to RTP: GCM 16, CM 10 */
    RH_SRTCP_OVERHEAD_MAX = 20,  /* appended to RTCP: tag and index */
    RH_SRTP_SALT_BYTES = 14,     /* the first 12 for GCM */
    RH_SRTP_REPLAY_PACKETS = 1024,
    RH_SRTCP_SOURCES_MAX = 32,   /* SSRCs with replay state of a peer's RTCP */
};

/* Session keys of one kind of packet. Owner: a context. */
struct rh_srtp_key {
    void *cipher; /* GCM or CTR of the backend */
    uint8_t salt[16]; /* RH_SRTP_SALT_BYTES, GCM 12; then 0 */
    struct rh_hmac_state hmac; /* CM only */
};

/* Replay state of one received SSRC (RFC 3711 section 3.3.2). All zero at first. 136 B. */
struct rh_srtp_source {
    uint64_t highest_seq64; /* 0: nothing authenticated yet */
    uint64_t window[RH_SRTP_REPLAY_PACKETS / 64]; /* bit seq64 % 1024: was received */
};

struct rh_srtcp_source {
    uint32_t ssrc;
    uint32_t highest_index; /* 31 bits */
    uint64_t window;        /* bit n: highest_index - n was received; 0: place is free */
};

/* Protects what a peer is sent. */
struct rh_srtp_send {
    const struct rh_cipher_backend *backend; /* NULL: not initialised */
    enum rh_srtp_profile profile;
    uint32_t rtcp_index; /* next, 31 bits; one sequence for all SSRCs */
    struct rh_srtp_key rtp, rtcp;
};

/* Opens what a peer sends. */
struct rh_srtp_receive {
    const struct rh_cipher_backend *backend;
    enum rh_srtp_profile profile;
    uint32_t rtcp_replaced_next; /* place given up next when a 33rd SSRC sends RTCP */
    struct rh_srtp_key rtp, rtcp;
    struct rh_srtcp_source rtcp_sources[RH_SRTCP_SOURCES_MAX];
};

/* Session keys of one direction (RFC 3711 section 4.3.1), for tests and other programs. */
struct rh_srtp_session_keys {
    uint8_t rtp_key[16], rtcp_key[16];
    uint8_t rtp_salt[RH_SRTP_SALT_BYTES], rtcp_salt[RH_SRTP_SALT_BYTES];
    uint8_t rtp_auth[RH_HMAC_KEY_BYTES], rtcp_auth[RH_HMAC_KEY_BYTES];
};

/* Derives session keys. GCM salts take part as 14 bytes with two zero bytes behind (RFC 7714
 * section 11). Returns RH_SYSTEM without memory. */
enum rh_result rh_srtp_derive(
    const struct rh_cipher_backend *backend, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *master, struct rh_srtp_session_keys *keys);

/* Make and end contexts. init returns RH_SYSTEM when memory is refused and RH_UNSUPPORTED for
 * another profile; the context is then all zero and needs no deinit, which a zero context
 * survives. */
enum rh_result rh_srtp_send_init(
    struct rh_srtp_send *send, const struct rh_cipher_backend *backend,
    enum rh_srtp_profile profile, const struct rh_srtp_keys *master);
void rh_srtp_send_deinit(struct rh_srtp_send *send);
enum rh_result rh_srtp_receive_init(
    struct rh_srtp_receive *receive, const struct rh_cipher_backend *backend,
    enum rh_srtp_profile profile, const struct rh_srtp_keys *master);
void rh_srtp_receive_deinit(struct rh_srtp_receive *receive);

/* Bytes that protecting one RTP packet adds: 16 or 10. */
static inline size_t rh_srtp_tag_bytes(enum rh_srtp_profile profile)
{
    return profile == RH_SRTP_AEAD_AES_128_GCM ? RH_GCM_TAG_BYTES : 10;
}

/* Authenticates and decrypts one RTP packet in place.
 *
 * source  of packet->ssrc; changed only on RH_OK
 * packet  of rh_packet_parse_header for these bytes
 * bytes   size on entry with, on RH_OK without the tag; contents undefined when RH_UNAUTHENTIC
 * seq64   out; written only on RH_OK
 * Returns RH_TRUNCATED when there is no room for header and tag, RH_REPLAYED, RH_UNAUTHENTIC. */
struct rh_srtp_packet {
    uint8_t *bytes;
    size_t size;
    uint64_t seq64;
};
enum rh_result rh_srtp_unprotect_rtp(
    const struct rh_srtp_receive *receive, struct rh_srtp_source *source,
    const struct rh_packet *packet, struct rh_srtp_packet *srtp);

/* One RTP packet to protect, out of place: the header is in out already, the payload is read from
 * where it is. payload == out + header_bytes (in place) is allowed too; other overlaps are
 * not. */
struct rh_srtp_outgoing {
    uint8_t *out; /* header; room for header_bytes + payload_bytes + RH_SRTP_TAG_BYTES_MAX */
    size_t header_bytes;
    const uint8_t *payload;
    size_t payload_bytes;
    uint64_t seq64; /* lower 16 bits as in the header; never twice with other bytes under one key
                       and SSRC, but for identical resends */
};

/* Protects one RTP packet. Returns the bytes of the SRTP packet at out. */
size_t rh_srtp_protect_rtp(const struct rh_srtp_send *send, const struct rh_srtp_outgoing *packet);

/* Authenticates and, where the E bit says so, decrypts one RTCP packet in place (RFC 3711 section
 * 3.4, RFC 7714 section 9).
 *
 * size  in/out as above
 * Returns RH_TRUNCATED, RH_MALFORMED (no RTCP version 2, or more than RH_AAD_BYTES_MAX),
 * RH_REPLAYED, RH_UNAUTHENTIC. */
enum rh_result rh_srtp_unprotect_rtcp(
    struct rh_srtp_receive *receive, uint8_t *bytes, size_t *size);

/* Encrypts and authenticates one RTCP packet (plain, compound or reduced-size), out of place.
 *
 * bytes, size  8 bytes or more
 * out          room for size + RH_SRTCP_OVERHEAD_MAX; apart from bytes
 * Returns the bytes of the SRTCP packet; 0 when all 2^31 numbers of the key are used up. */
size_t rh_srtp_protect_rtcp(
    struct rh_srtp_send *send, const uint8_t *bytes, size_t size, uint8_t *out);

#endif
