/* DTLS-SRTP over OpenSSL without sockets (RFC 6347, RFC 5764), and the two hashes that STUN needs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams go in by rh_dtls_receive and come out by rh_dtls_take; a handle belongs to one thread
 * at a time. Keys are given out only after a fingerprint of the peer's certificate was accepted. */
#ifndef RH_DTLS_H
#define RH_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RH_DTLS_MTU = 1200,             /* bytes of a datagram that is sent, at most */
    RH_DTLS_QUEUE_MAX = 16,         /* datagrams that wait in rh_dtls_take, at most */
    RH_DTLS_DATAGRAM_MAX = 1600,    /* longer ones are not taken in */
    RH_DTLS_KEYING_BYTES_MAX = 60,  /* two keys of 16 and two salts of 14 bytes (RFC 5764 4.2) */
    RH_DTLS_HASH_BYTES_MAX = 64,
};

enum rh_dtls_hash { RH_DTLS_SHA256 = 1, RH_DTLS_SHA384, RH_DTLS_SHA512 };

enum rh_dtls_state {
    RH_DTLS_HANDSHAKING = 1,
    RH_DTLS_ESTABLISHED, /* handshake done; the fingerprint may still be unchecked */
    RH_DTLS_CLOSED,      /* close_notify came */
    RH_DTLS_FAILED,
};

/* A private key and certificate (ECDSA P-256, self-signed) with everything that connections share.
 * Immutable after creation: any thread may use it. */
struct rh_dtls_context;
struct rh_dtls;

/* Makes a key and a certificate that is valid from a day ago for `days` days.
 * NULL: OpenSSL refused. */
struct rh_dtls_context *rh_dtls_context_create(uint32_t days);
void rh_dtls_context_destroy(struct rh_dtls_context *context);

/* Writes the hash of our certificate's DER form; returns its bytes, 0 on failure. */
size_t rh_dtls_context_fingerprint(
    const struct rh_dtls_context *context, enum rh_dtls_hash hash,
    uint8_t out[RH_DTLS_HASH_BYTES_MAX]);

/* Makes one side of a connection. is_client: sends the ClientHello at rh_dtls_start.
 * timer_us: the first retransmission after so much time; doubled each time, 1 s at most.
 * NULL: no memory. */
struct rh_dtls *rh_dtls_create(
    const struct rh_dtls_context *context, bool is_client, uint32_t timer_us);
void rh_dtls_destroy(struct rh_dtls *dtls);

/* The client's first flight; nothing for a server. */
enum rh_dtls_state rh_dtls_start(struct rh_dtls *dtls);
/* Takes in one datagram. Application data is read and dropped. Accepts any bytes. */
enum rh_dtls_state rh_dtls_receive(struct rh_dtls *dtls, const uint8_t *bytes, size_t size);
/* Resends a flight when its time has come. */
enum rh_dtls_state rh_dtls_on_tick(struct rh_dtls *dtls);
/* Says close_notify. */
void rh_dtls_close(struct rh_dtls *dtls);
enum rh_dtls_state rh_dtls_get_state(const struct rh_dtls *dtls);

/* Moves the oldest datagram to be sent to out; returns its bytes, 0: none waits. */
size_t rh_dtls_take(struct rh_dtls *dtls, uint8_t out[RH_DTLS_DATAGRAM_MAX]);
/* Datagrams that found the queue full. */
uint32_t rh_dtls_overflows(const struct rh_dtls *dtls);

/* True when the peer's certificate has this hash: rh_dtls_export then works. */
bool rh_dtls_accept_fingerprint(
    struct rh_dtls *dtls, enum rh_dtls_hash hash, const uint8_t *bytes, size_t size);

/* The negotiated SRTP protection profile's number (RFC 5764 section 4.1.2); 0: none. */
uint16_t rh_dtls_srtp_profile(const struct rh_dtls *dtls);
/* Writes `size` bytes of EXTRACTOR-dtls_srtp (RFC 5764 section 4.2): client key, server key, client
 * salt, server salt. False before ESTABLISHED or without an accepted fingerprint. */
bool rh_dtls_export(struct rh_dtls *dtls, uint8_t *out, size_t size);

/* Why the state is FAILED, or "". Valid until the next call with this handle. */
const char *rh_dtls_reason(const struct rh_dtls *dtls);

/* HMAC-SHA1 (RFC 2104). False when OpenSSL refuses. */
bool rh_hmac_sha1(
    const uint8_t *key, size_t key_size, const uint8_t *bytes, size_t size, uint8_t out[20]);
/* Cryptographically random bytes. False when OpenSSL has no entropy. */
bool rh_random(uint8_t *out, size_t size);
/* Constant-time comparison. */
bool rh_equal(const uint8_t *a, const uint8_t *b, size_t size);

#endif
