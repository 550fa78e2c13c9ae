/* The ciphers that SRTP is made of, behind one table of functions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend is chosen once at start and serves every key. Only the init functions and the first
 * listing allocate; no other function does. All backends give identical bytes. */
#ifndef RH_CRYPTO_CIPHER_H
#define RH_CRYPTO_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RH_CIPHER_KEY_BYTES = 16,
    RH_GCM_IV_BYTES = 12,
    RH_GCM_TAG_BYTES = 16,
    RH_CTR_IV_BYTES = 16,
    RH_HMAC_KEY_BYTES = 20,
    RH_HMAC_TAG_BYTES = 20,
    RH_HMAC_STATE_BYTES = 208,
    RH_AAD_BYTES_MAX = 1536, /* of two pieces together: a packet and an index word */
    RH_CIPHERS_MAX = 2,
};

/* Bytes to be authenticated in order; NULL with 0 for an unused second piece. */
struct rh_pieces {
    const uint8_t *first;
    size_t first_bytes;
    const uint8_t *second;
    size_t second_bytes;
};

/* One AES-128-GCM operation. in and out are the same or do not overlap. */
struct rh_gcm_job {
    const uint8_t *iv;    /* RH_GCM_IV_BYTES */
    struct rh_pieces aad; /* one piece of any size, or two of RH_AAD_BYTES_MAX together */
    const uint8_t *in;
    size_t bytes;         /* of in and of out, the tag not counted; may be 0 */
    uint8_t *out;
    uint8_t *tag;         /* RH_GCM_TAG_BYTES: written by seal, read by open */
};

/* HMAC-SHA1 keyed once: the backend's inner and outer state. */
struct rh_hmac_state {
    alignas(16) uint8_t bytes[RH_HMAC_STATE_BYTES];
};

struct rh_cipher_backend {
    const char *name;

    /* A cipher for one key and one direction, NULL when memory is refused. */
    void *(*gcm_init)(const uint8_t key[RH_CIPHER_KEY_BYTES], bool is_sealing);
    void (*gcm_deinit)(void *gcm);
    void (*gcm_seal)(void *gcm, const struct rh_gcm_job *job);
    /* Returns false when the tag is wrong; out is then undefined. */
    bool (*gcm_open)(void *gcm, const struct rh_gcm_job *job);

    void *(*ctr_init)(const uint8_t key[RH_CIPHER_KEY_BYTES]);
    void (*ctr_deinit)(void *ctr);
    /* out = in XOR AES-128-CTR key stream from block iv on; in and out the same or apart. The
     * last 32 bits of iv do not overflow within bytes: SRTP's last 16 begin at 0. */
    void (*ctr_xor)(
        void *ctr, const uint8_t iv[RH_CTR_IV_BYTES], const uint8_t *in, size_t bytes,
        uint8_t *out);

    void (*hmac_init)(struct rh_hmac_state *state, const uint8_t key[RH_HMAC_KEY_BYTES]);
    void (*hmac_sign)(
        const struct rh_hmac_state *state, const struct rh_pieces *pieces,
        uint8_t tag[RH_HMAC_TAG_BYTES]);
};

/* HMAC-SHA1 of every backend (RFC 2104), over OpenSSL's SHA-1 in its low-level form: the only one
 * that copies a state without allocating. */
void rh_hmac_init(struct rh_hmac_state *state, const uint8_t key[RH_HMAC_KEY_BYTES]);
void rh_hmac_sign(
    const struct rh_hmac_state *state, const struct rh_pieces *pieces,
    uint8_t tag[RH_HMAC_TAG_BYTES]);

/* OpenSSL's EVP ciphers with one context a key: everywhere. */
extern const struct rh_cipher_backend rh_cipher_evp;

/* Intel's multi-buffer library, on x86-64 and where its header was there at build time. NULL in
 * another build, on a CPU without AES-NI and CLMUL, when the library's self-test fails or when
 * memory is refused. The first call makes the library's dispatch table; any thread. */
const struct rh_cipher_backend *rh_cipher_ipsecmb(void);

/* The backends that this build and machine have, fastest first: 1 to RH_CIPHERS_MAX. any thread.
 * Returns how many. */
size_t rh_cipher_list(const struct rh_cipher_backend *list[RH_CIPHERS_MAX]);

/* The backend with that name; the fastest one for NULL and for a name that is not there. */
const struct rh_cipher_backend *rh_cipher_named(const char *name);

/* The backend of this process: the one that environment variable ROUNDHOUSE_CIPHER names
 * ("openssl" or "ipsec-mb") when it is there, else the fastest. Decided by the first call and the
 * same from then on. any thread. */
const struct rh_cipher_backend *rh_cipher_choose(void);

#endif
