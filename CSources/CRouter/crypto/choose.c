/* Which cipher backend this process uses. SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"

static const char override_variable[] = "ROUNDHOUSE_CIPHER";

/* Written once; NULL before the first choice. */
static _Atomic(const struct rh_cipher_backend *) chosen;

size_t rh_cipher_list(const struct rh_cipher_backend *list[RH_CIPHERS_MAX])
{
    size_t count = 0;
    const struct rh_cipher_backend *ipsecmb = rh_cipher_ipsecmb();
    if (ipsecmb != NULL)
        list[count++] = ipsecmb;
    list[count++] = &rh_cipher_evp;
    return count;
}

const struct rh_cipher_backend *rh_cipher_named(const char *name)
{
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    for (size_t i = 0; name != NULL && i < count; i++)
        if (strcmp(name, list[i]->name) == 0)
            return list[i];
    return list[0];
}

const struct rh_cipher_backend *rh_cipher_choose(void)
{
    const struct rh_cipher_backend *backend =
        atomic_load_explicit(&chosen, memory_order_acquire);
    if (backend != NULL)
        return backend;
    const struct rh_cipher_backend *expected = NULL;
    backend = rh_cipher_named(getenv(override_variable));
    if (atomic_compare_exchange_strong(&chosen, &expected, backend))
        return backend;
    return expected; /* another thread was first */
}
