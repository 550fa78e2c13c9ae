/* The ciphers that SRTP is made of, behind one table of functions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend is chosen once at start and serves every key. Only the init functions allocate; no
 * other function does. All backends give identical bytes. */
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
    struct rh_pieces aad;
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
    /* out = in XOR AES-128-CTR key stream from block iv on; in and out the same or apart. */
    void (*ctr_xor)(
        void *ctr, const uint8_t iv[RH_CTR_IV_BYTES], const uint8_t *in, size_t bytes,
        uint8_t *out);

    void (*hmac_init)(struct rh_hmac_state *state, const uint8_t key[RH_HMAC_KEY_BYTES]);
    void (*hmac_sign)(
        const struct rh_hmac_state *state, const struct rh_pieces *pieces,
        uint8_t tag[RH_HMAC_TAG_BYTES]);
};

/* OpenSSL: EVP ciphers with one context a key, SHA-1 in its low-level form (the only one that
 * copies a state without allocating). */
extern const struct rh_cipher_backend rh_cipher_evp;

/* The fastest backend of this build and machine. */
const struct rh_cipher_backend *rh_cipher_choose(void);

#endif
