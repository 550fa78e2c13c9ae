/* The cipher backend over Intel's multi-buffer library. SPDX-License-Identifier: Apache-2.0
 *
 * The library's manager is used as a table of functions for this CPU: AES-128-GCM by its direct
 * calls, AES-128-CTR by bursts of one job. Neither uses the manager's job queues, so all workers
 * share one manager, which is made once and kept for the life of the process. A key is 1 KiB, of
 * which a packet of 1100 bytes reads all and one of 100 bytes a third. */
#include "crypto/cipher.h"

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
#define NO_COMPAT_IMB_API_053 /* its old names collide with OpenSSL's */
#include <intel-ipsec-mb.h>
#if IMB_VERSION_NUM >= IMB_VERSION(1, 3, 0) /* has bursts */
#define HAS_IPSECMB
#endif
#endif

#ifdef HAS_IPSECMB

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "wire/assert.h"

enum { ALIGNMENT = 64, AES_128_ROUND_KEY_BYTES = 11 * 16 };

/* Written once; NULL before the first use and where the library cannot be used. */
static _Atomic(IMB_MGR *) manager;

struct gcm_key {
    alignas(ALIGNMENT) struct gcm_key_data data;
};

struct ctr_key {
    alignas(ALIGNMENT) uint8_t round_keys[AES_128_ROUND_KEY_BYTES];
};

static IMB_MGR *table(void)
{
    return atomic_load_explicit(&manager, memory_order_acquire);
}

static void key_deinit(void *key, size_t bytes)
{
    if (key == NULL)
        return;
    OPENSSL_cleanse(key, bytes);
    free(key);
}

static void *gcm_init(const uint8_t key[RH_CIPHER_KEY_BYTES], bool is_sealing)
{
    (void)is_sealing; /* the same for both directions */
    struct gcm_key *gcm = aligned_alloc(ALIGNMENT, sizeof *gcm);
    if (gcm != NULL)
        IMB_AES128_GCM_PRE(table(), key, &gcm->data);
    return gcm;
}

static void gcm_deinit(void *gcm)
{
    key_deinit(gcm, sizeof(struct gcm_key));
}

/* The library takes additional data in one piece. Returns where it lies: in the job when there is
 * one, else in joined. */
static const uint8_t *join(
    const struct rh_pieces *aad, uint8_t joined[RH_AAD_BYTES_MAX], size_t *bytes)
{
    *bytes = aad->first_bytes + aad->second_bytes;
    if (aad->second_bytes == 0)
        return aad->first;
    RH_ASSERT(aad->first_bytes <= RH_AAD_BYTES_MAX);
    RH_ASSERT(aad->second_bytes <= RH_AAD_BYTES_MAX - aad->first_bytes);
    memcpy(joined, aad->first, aad->first_bytes);
    memcpy(joined + aad->first_bytes, aad->second, aad->second_bytes);
    return joined;
}

/* The library refuses arguments without a word: a NULL that is not empty is our mistake. */
static void check_job(const void *gcm, const struct rh_gcm_job *job)
{
    RH_ASSERT(gcm != NULL);
    RH_ASSERT(job->iv != NULL);
    RH_ASSERT(job->tag != NULL);
    RH_ASSERT(job->bytes == 0 || (job->in != NULL && job->out != NULL));
    RH_ASSERT(job->aad.first_bytes == 0 || job->aad.first != NULL);
}

static void gcm_seal(void *gcm, const struct rh_gcm_job *job)
{
    check_job(gcm, job);
    struct gcm_context_data context;
    uint8_t joined[RH_AAD_BYTES_MAX];
    size_t aad_bytes;
    const uint8_t *aad = join(&job->aad, joined, &aad_bytes);
    IMB_AES128_GCM_ENC(
        table(), &((struct gcm_key *)gcm)->data, &context, job->out, job->in, job->bytes, job->iv,
        aad, aad_bytes, job->tag, RH_GCM_TAG_BYTES);
}

static bool gcm_open(void *gcm, const struct rh_gcm_job *job)
{
    check_job(gcm, job);
    struct gcm_context_data context;
    uint8_t joined[RH_AAD_BYTES_MAX], tag[RH_GCM_TAG_BYTES];
    size_t aad_bytes;
    const uint8_t *aad = join(&job->aad, joined, &aad_bytes);
    IMB_AES128_GCM_DEC(
        table(), &((struct gcm_key *)gcm)->data, &context, job->out, job->in, job->bytes, job->iv,
        aad, aad_bytes, tag, RH_GCM_TAG_BYTES);
    return CRYPTO_memcmp(tag, job->tag, RH_GCM_TAG_BYTES) == 0;
}

static void *ctr_init(const uint8_t key[RH_CIPHER_KEY_BYTES])
{
    struct ctr_key *ctr = aligned_alloc(ALIGNMENT, sizeof *ctr);
    if (ctr == NULL)
        return NULL;
    alignas(16) uint8_t unused[AES_128_ROUND_KEY_BYTES]; /* round keys of the inverse cipher */
    IMB_AES_KEYEXP_128(table(), key, ctr->round_keys, unused);
    OPENSSL_cleanse(unused, sizeof unused);
    return ctr;
}

static void ctr_deinit(void *ctr)
{
    key_deinit(ctr, sizeof(struct ctr_key));
}

static void ctr_xor(
    void *ctr, const uint8_t iv[RH_CTR_IV_BYTES], const uint8_t *in, size_t bytes, uint8_t *out)
{
    if (bytes == 0)
        return;
    RH_ASSERT(ctr != NULL && in != NULL && out != NULL);
    IMB_JOB job; /* the call reads these fields only; clearing the rest is dearer than the cipher */
    job.enc_keys = ((struct ctr_key *)ctr)->round_keys;
    job.src = in;
    job.dst = out;
    job.cipher_start_src_offset_in_bytes = 0;
    job.msg_len_to_cipher_in_bytes = bytes;
    job.iv = iv;
    job.iv_len_in_bytes = RH_CTR_IV_BYTES;
    uint32_t done = IMB_SUBMIT_CIPHER_BURST_NOCHECK(
        table(), &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
    RH_ASSERT(done == 1);
}

static const struct rh_cipher_backend backend = {
    .name = "ipsec-mb",
    .gcm_init = gcm_init,
    .gcm_deinit = gcm_deinit,
    .gcm_seal = gcm_seal,
    .gcm_open = gcm_open,
    .ctr_init = ctr_init,
    .ctr_deinit = ctr_deinit,
    .ctr_xor = ctr_xor,
    .hmac_init = rh_hmac_init,
    .hmac_sign = rh_hmac_sign,
};

/* NULL where this CPU lacks what the library is fast by, or the library finds itself broken. */
static IMB_MGR *manager_init(void)
{
    const uint64_t wanted = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    IMB_MGR *made = alloc_mb_mgr(0);
    if (made == NULL)
        return NULL;
    init_mb_mgr_auto(made, NULL);
    if (imb_get_errno(made) == 0 && (made->features & wanted) == wanted)
        return made;
    free_mb_mgr(made);
    return NULL;
}

const struct rh_cipher_backend *rh_cipher_ipsecmb(void)
{
    if (table() != NULL)
        return &backend;
    IMB_MGR *made = manager_init(), *expected = NULL;
    if (made == NULL)
        return NULL;
    if (!atomic_compare_exchange_strong(&manager, &expected, made))
        free_mb_mgr(made); /* another thread was first */
    return &backend;
}

#else

const struct rh_cipher_backend *rh_cipher_ipsecmb(void)
{
    return NULL;
}

#endif
