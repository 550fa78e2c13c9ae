/* SRTP key derivation and contexts (RFC 3711 section 4.3). SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include <string.h>

#include "crypto/srtp.h"
#include "wire/assert.h"

/* RFC 3711 section 4.3.2; RTCP's are 3 higher. */
enum { LABEL_ENCRYPTION = 0, LABEL_AUTHENTICATION = 1, LABEL_SALT = 2, LABELS_RTCP = 3 };

enum { LABEL_PLACE = 7 }; /* of the label in the 14 bytes that label and index make */

struct derivation {
    const struct rh_cipher_backend *backend;
    void *ctr; /* keyed with the master key */
    uint8_t salt[RH_SRTP_SALT_BYTES];
};

/* One session key: the key stream of (salt XOR label) * 2^16. */
static void derive(const struct derivation *from, uint8_t label, uint8_t *out, size_t bytes)
{
    uint8_t iv[RH_CTR_IV_BYTES] = {0};
    memcpy(iv, from->salt, sizeof from->salt);
    iv[LABEL_PLACE] ^= label;
    memset(out, 0, bytes);
    from->backend->ctr_xor(from->ctr, iv, out, bytes, out);
    explicit_bzero(iv, sizeof iv);
}

enum rh_result rh_srtp_derive(
    const struct rh_cipher_backend *backend, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *master, struct rh_srtp_session_keys *keys)
{
    struct derivation from = {.backend = backend, .ctr = backend->ctr_init(master->key)};
    if (from.ctr == NULL)
        return RH_SYSTEM;
    size_t salt_bytes = profile == RH_SRTP_AEAD_AES_128_GCM ? RH_GCM_IV_BYTES : RH_SRTP_SALT_BYTES;
    memcpy(from.salt, master->salt, salt_bytes);
    memset(keys, 0, sizeof *keys);
    derive(&from, LABEL_ENCRYPTION, keys->rtp_key, sizeof keys->rtp_key);
    derive(&from, LABEL_AUTHENTICATION, keys->rtp_auth, sizeof keys->rtp_auth);
    derive(&from, LABEL_SALT, keys->rtp_salt, salt_bytes);
    derive(&from, LABELS_RTCP + LABEL_ENCRYPTION, keys->rtcp_key, sizeof keys->rtcp_key);
    derive(&from, LABELS_RTCP + LABEL_AUTHENTICATION, keys->rtcp_auth, sizeof keys->rtcp_auth);
    derive(&from, LABELS_RTCP + LABEL_SALT, keys->rtcp_salt, salt_bytes);
    backend->ctr_deinit(from.ctr);
    explicit_bzero(&from, sizeof from);
    return RH_OK;
}

/* Both directions have the same keys but for the direction of their ciphers. */
struct context_setup {
    const struct rh_cipher_backend *backend;
    enum rh_srtp_profile profile;
    bool is_sealing;
};

static bool key_init(
    const struct context_setup *setup, const uint8_t *key, const uint8_t *salt,
    const uint8_t *auth, struct rh_srtp_key *out)
{
    memcpy(out->salt, salt, RH_SRTP_SALT_BYTES);
    if (setup->profile == RH_SRTP_AEAD_AES_128_GCM) {
        out->cipher = setup->backend->gcm_init(key, setup->is_sealing);
    } else {
        out->cipher = setup->backend->ctr_init(key);
        setup->backend->hmac_init(&out->hmac, auth);
    }
    return out->cipher != NULL;
}

static void key_deinit(
    const struct rh_cipher_backend *backend, enum rh_srtp_profile profile,
    struct rh_srtp_key *key)
{
    if (key->cipher == NULL)
        return;
    if (profile == RH_SRTP_AEAD_AES_128_GCM)
        backend->gcm_deinit(key->cipher);
    else
        backend->ctr_deinit(key->cipher);
}

/* Fills both keys. On failure what was made is unmade and both are zero again. */
static enum rh_result pair_init(
    const struct context_setup *setup, const struct rh_srtp_keys *master,
    struct rh_srtp_key *rtp, struct rh_srtp_key *rtcp)
{
    if (setup->profile != RH_SRTP_AEAD_AES_128_GCM
        && setup->profile != RH_SRTP_AES128_CM_HMAC_SHA1_80)
        return RH_UNSUPPORTED;
    struct rh_srtp_session_keys keys;
    enum rh_result result = rh_srtp_derive(setup->backend, setup->profile, master, &keys);
    if (result != RH_OK)
        return result;
    bool is_done = key_init(setup, keys.rtp_key, keys.rtp_salt, keys.rtp_auth, rtp)
        && key_init(setup, keys.rtcp_key, keys.rtcp_salt, keys.rtcp_auth, rtcp);
    explicit_bzero(&keys, sizeof keys);
    if (is_done)
        return RH_OK;
    key_deinit(setup->backend, setup->profile, rtp);
    key_deinit(setup->backend, setup->profile, rtcp);
    explicit_bzero(rtp, sizeof *rtp);
    explicit_bzero(rtcp, sizeof *rtcp);
    return RH_SYSTEM;
}

enum rh_result rh_srtp_send_init(
    struct rh_srtp_send *send, const struct rh_cipher_backend *backend,
    enum rh_srtp_profile profile, const struct rh_srtp_keys *master)
{
    memset(send, 0, sizeof *send);
    struct context_setup setup = {backend, profile, true};
    enum rh_result result = pair_init(&setup, master, &send->rtp, &send->rtcp);
    if (result != RH_OK)
        return result;
    send->backend = backend;
    send->profile = profile;
    return RH_OK;
}

void rh_srtp_send_deinit(struct rh_srtp_send *send)
{
    key_deinit(send->backend, send->profile, &send->rtp);
    key_deinit(send->backend, send->profile, &send->rtcp);
    explicit_bzero(send, sizeof *send);
}

enum rh_result rh_srtp_receive_init(
    struct rh_srtp_receive *receive, const struct rh_cipher_backend *backend,
    enum rh_srtp_profile profile, const struct rh_srtp_keys *master)
{
    memset(receive, 0, sizeof *receive);
    struct context_setup setup = {backend, profile, false};
    enum rh_result result = pair_init(&setup, master, &receive->rtp, &receive->rtcp);
    if (result != RH_OK)
        return result;
    receive->backend = backend;
    receive->profile = profile;
    return RH_OK;
}

void rh_srtp_receive_deinit(struct rh_srtp_receive *receive)
{
    key_deinit(receive->backend, receive->profile, &receive->rtp);
    key_deinit(receive->backend, receive->profile, &receive->rtcp);
    explicit_bzero(receive, sizeof *receive);
}
