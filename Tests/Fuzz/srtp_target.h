/* Contexts with one fixed key, made once a process. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_FUZZ_SRTP_TARGET_H
#define RH_FUZZ_SRTP_TARGET_H

#include <stdlib.h>
#include <string.h>

#include "crypto/srtp.h"
#include "wire/assert.h"

enum { SRTP_INPUT_MAX = 4096 };

struct srtp_target {
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
};

/* choice: bit 0 the profile GCM, bit 1 OpenSSL's ciphers whatever the machine has. */
static inline void srtp_target_init(struct srtp_target *target, uint8_t choice)
{
    const struct rh_srtp_keys keys = {
        .key = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
        .salt = {21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34}};
    enum rh_srtp_profile profile =
        choice & 1 ? RH_SRTP_AEAD_AES_128_GCM : RH_SRTP_AES128_CM_HMAC_SHA1_80;
    const struct rh_cipher_backend *backend = choice & 2 ? &rh_cipher_evp : rh_cipher_choose();
    if (rh_srtp_send_init(&target->send, backend, profile, &keys) != RH_OK
        || rh_srtp_receive_init(&target->receive, backend, profile, &keys) != RH_OK)
        abort();
}

static inline void srtp_target_deinit(struct srtp_target *target)
{
    rh_srtp_send_deinit(&target->send);
    rh_srtp_receive_deinit(&target->receive);
}

#endif
