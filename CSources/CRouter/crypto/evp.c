/* The cipher backend over OpenSSL. SPDX-License-Identifier: Apache-2.0
 *
 * A cipher is one EVP_CIPHER_CTX that keeps its expanded key; a packet sets the IV only, which
 * neither fetches nor allocates. */
#include "crypto/cipher.h"

#include <openssl/evp.h>

#include "wire/assert.h"

static void *cipher_init(const EVP_CIPHER *cipher, const uint8_t *key, bool is_sealing)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL)
        return NULL;
    if (EVP_CipherInit_ex(context, cipher, NULL, key, NULL, is_sealing) != 1) {
        EVP_CIPHER_CTX_free(context);
        return NULL;
    }
    return context;
}

static void cipher_deinit(void *context)
{
    EVP_CIPHER_CTX_free(context);
}

static void *gcm_init(const uint8_t key[RH_CIPHER_KEY_BYTES], bool is_sealing)
{
    return cipher_init(EVP_aes_128_gcm(), key, is_sealing);
}

static void *ctr_init(const uint8_t key[RH_CIPHER_KEY_BYTES])
{
    return cipher_init(EVP_aes_128_ctr(), key, true);
}

static void update(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t bytes)
{
    if (bytes == 0)
        return;
    int written = 0;
    int is_done = EVP_CipherUpdate(context, out, &written, in, (int)bytes);
    RH_ASSERT(is_done == 1);
    RH_ASSERT((size_t)written == bytes);
}

static void gcm_run(EVP_CIPHER_CTX *context, const struct rh_gcm_job *job)
{
    int is_done = EVP_CipherInit_ex(context, NULL, NULL, NULL, job->iv, -1);
    RH_ASSERT(is_done == 1);
    update(context, NULL, job->aad.first, job->aad.first_bytes);
    update(context, NULL, job->aad.second, job->aad.second_bytes);
    update(context, job->out, job->in, job->bytes);
}

static void gcm_seal(void *gcm, const struct rh_gcm_job *job)
{
    gcm_run(gcm, job);
    uint8_t none[16];
    int written = 0;
    int is_done = EVP_EncryptFinal_ex(gcm, none, &written);
    RH_ASSERT(is_done == 1);
    is_done = EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, RH_GCM_TAG_BYTES, job->tag);
    RH_ASSERT(is_done == 1);
}

static bool gcm_open(void *gcm, const struct rh_gcm_job *job)
{
    gcm_run(gcm, job);
    uint8_t none[16];
    int written = 0;
    int is_done = EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, RH_GCM_TAG_BYTES, job->tag);
    RH_ASSERT(is_done == 1);
    return EVP_DecryptFinal_ex(gcm, none, &written) == 1;
}

static void ctr_xor(
    void *ctr, const uint8_t iv[RH_CTR_IV_BYTES], const uint8_t *in, size_t bytes, uint8_t *out)
{
    int is_done = EVP_CipherInit_ex(ctr, NULL, NULL, NULL, iv, -1);
    RH_ASSERT(is_done == 1);
    update(ctr, out, in, bytes);
}

const struct rh_cipher_backend rh_cipher_evp = {
    .name = "openssl",
    .gcm_init = gcm_init,
    .gcm_deinit = cipher_deinit,
    .gcm_seal = gcm_seal,
    .gcm_open = gcm_open,
    .ctr_init = ctr_init,
    .ctr_deinit = cipher_deinit,
    .ctr_xor = ctr_xor,
    .hmac_init = rh_hmac_init,
    .hmac_sign = rh_hmac_sign,
};
