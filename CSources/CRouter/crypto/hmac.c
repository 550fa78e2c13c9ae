/* HMAC-SHA1 (RFC 2104), the key hashed in once. SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA1_*: EVP offers no copy of a state without allocation */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "crypto/cipher.h"

struct hmac_sha1 {
    SHA_CTX inner, outer;
};
static_assert(sizeof(struct hmac_sha1) <= RH_HMAC_STATE_BYTES);
static_assert(alignof(struct hmac_sha1) <= 16);

/* One padded key block (RFC 2104 section 2) into a fresh state. */
static void begin(SHA_CTX *state, const uint8_t *key, uint8_t pad)
{
    uint8_t block[SHA_CBLOCK];
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < RH_HMAC_KEY_BYTES; i++)
        block[i] ^= key[i];
    SHA1_Init(state);
    SHA1_Update(state, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

void rh_hmac_init(struct rh_hmac_state *state, const uint8_t key[RH_HMAC_KEY_BYTES])
{
    struct hmac_sha1 *hmac = (struct hmac_sha1 *)state->bytes;
    begin(&hmac->inner, key, 0x36);
    begin(&hmac->outer, key, 0x5c);
}

void rh_hmac_sign(
    const struct rh_hmac_state *state, const struct rh_pieces *pieces,
    uint8_t tag[RH_HMAC_TAG_BYTES])
{
    const struct hmac_sha1 *hmac = (const struct hmac_sha1 *)state->bytes;
    SHA_CTX sha = hmac->inner;
    SHA1_Update(&sha, pieces->first, pieces->first_bytes);
    SHA1_Update(&sha, pieces->second, pieces->second_bytes);
    SHA1_Final(tag, &sha);
    sha = hmac->outer;
    SHA1_Update(&sha, tag, RH_HMAC_TAG_BYTES);
    SHA1_Final(tag, &sha);
}
