/* Cipher backends against each other, and which one is chosen. SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL is the measure of every other backend: random keys, sizes, pieces of additional data, in
 * place and out of place. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>

#include "crypto/cipher.h"
#include "wire/bytes.h"
#include "wire_support.h"

enum { ROUNDS = 3000, BYTES_MAX = 1500, THREADS = 4 };

static const struct rh_cipher_backend *others[RH_CIPHERS_MAX];
static size_t other_count;

/* One random GCM operation; buffers end where their allocation does. */
struct trial {
    uint8_t key[RH_CIPHER_KEY_BYTES], iv[RH_GCM_IV_BYTES];
    uint8_t *first, *second, *clear;
    size_t first_bytes, second_bytes, bytes;
};

static uint8_t *rolled(struct dice *dice, size_t bytes)
{
    uint8_t *out = malloc(bytes == 0 ? 1 : bytes);
    assert_non_null(out);
    roll_bytes(dice, out, bytes);
    return out;
}

static struct trial trial_init(struct dice *dice)
{
    struct trial trial = {0};
    roll_bytes(dice, trial.key, sizeof trial.key);
    roll_bytes(dice, trial.iv, sizeof trial.iv);
    trial.bytes = roll_percent(dice, 30) ? roll_below(dice, 70) : roll_below(dice, BYTES_MAX);
    trial.first_bytes = roll_percent(dice, 80) ? 12 + roll_below(dice, 60) : roll_below(dice, 1500);
    trial.second_bytes = roll_percent(dice, 50) ? 0 : roll_below(dice, 36);
    trial.first = rolled(dice, trial.first_bytes);
    trial.second = rolled(dice, trial.second_bytes);
    trial.clear = rolled(dice, trial.bytes);
    return trial;
}

static void trial_deinit(struct trial *trial)
{
    free(trial->first);
    free(trial->second);
    free(trial->clear);
}

static struct rh_gcm_job job_of(
    const struct trial *trial, const uint8_t *in, uint8_t *out, uint8_t *tag)
{
    return (struct rh_gcm_job){
        .iv = trial->iv, .in = in, .bytes = trial->bytes, .out = out, .tag = tag,
        .aad = {trial->first, trial->first_bytes, trial->second, trial->second_bytes}};
}

/* Seals a trial; in place when out begins as the clear bytes. */
static void seal(
    const struct rh_cipher_backend *backend, const struct trial *trial, const uint8_t *in,
    uint8_t *out, uint8_t *tag)
{
    void *gcm = backend->gcm_init(trial->key, true);
    assert_non_null(gcm);
    struct rh_gcm_job job = job_of(trial, in, out, tag);
    backend->gcm_seal(gcm, &job);
    backend->gcm_deinit(gcm);
}

static bool open(
    const struct rh_cipher_backend *backend, const struct trial *trial, uint8_t *bytes,
    uint8_t *tag)
{
    void *gcm = backend->gcm_init(trial->key, false);
    assert_non_null(gcm);
    struct rh_gcm_job job = job_of(trial, bytes, bytes, tag);
    bool is_authentic = backend->gcm_open(gcm, &job);
    backend->gcm_deinit(gcm);
    return is_authentic;
}

static void gcmBytesAreTheSameOnEveryBackend(void **state)
{
    (void)state;
    struct dice dice = {71};
    for (int round = 0; round < ROUNDS; round++) {
        struct trial trial = trial_init(&dice);
        uint8_t *expected = exact_copy(trial.clear, trial.bytes), expected_tag[RH_GCM_TAG_BYTES];
        seal(&rh_cipher_evp, &trial, trial.clear, expected, expected_tag);
        for (size_t i = 0; i < other_count; i++) {
            uint8_t *out = exact_copy(trial.clear, trial.bytes), tag[RH_GCM_TAG_BYTES] = {0};
            if (roll_percent(&dice, 50))
                seal(others[i], &trial, out, out, tag);
            else
                seal(others[i], &trial, trial.clear, out, tag);
            assert_memory_equal(out, expected, trial.bytes);
            assert_memory_equal(tag, expected_tag, sizeof tag);
            assert_true(open(others[i], &trial, out, tag));
            assert_memory_equal(out, trial.clear, trial.bytes);
            free(out);
        }
        assert_true(open(&rh_cipher_evp, &trial, expected, expected_tag));
        assert_memory_equal(expected, trial.clear, trial.bytes);
        free(expected);
        trial_deinit(&trial);
    }
}

/* Turns one bit of the text, the tag, the vector or the additional data. */
static void turn_bit(struct dice *dice, struct trial *trial, uint8_t *text, uint8_t *tag)
{
    struct {
        uint8_t *bytes;
        size_t count;
    } places[] = {
        {text, trial->bytes}, {tag, RH_GCM_TAG_BYTES}, {trial->iv, RH_GCM_IV_BYTES},
        {trial->first, trial->first_bytes}, {trial->second, trial->second_bytes},
    };
    size_t place = roll_below(dice, 5);
    if (places[place].count == 0)
        place = 1;
    places[place].bytes[roll_below(dice, (uint32_t)places[place].count)] ^=
        (uint8_t)(1 << roll_below(dice, 8));
}

static void everyBackendNoticesATurnedBit(void **state)
{
    (void)state;
    struct dice dice = {72};
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    for (int round = 0; round < ROUNDS; round++) {
        const struct rh_cipher_backend *backend = list[(size_t)round % count];
        struct trial trial = trial_init(&dice);
        uint8_t *text = exact_copy(trial.clear, trial.bytes), tag[RH_GCM_TAG_BYTES];
        seal(backend, &trial, text, text, tag);
        turn_bit(&dice, &trial, text, tag);
        assert_false(open(backend, &trial, text, tag));
        free(text);
        trial_deinit(&trial);
    }
}

static void counterModeAndHmacAreTheSameOnEveryBackend(void **state)
{
    (void)state;
    struct dice dice = {73};
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t key[RH_HMAC_KEY_BYTES], iv[RH_CTR_IV_BYTES];
        roll_bytes(&dice, key, sizeof key);
        roll_bytes(&dice, iv, sizeof iv);
        if (roll_percent(&dice, 20))
            memset(iv + 13, 0xff, 3); /* the counter carries */
        iv[12] = 0;
        size_t bytes = roll_percent(&dice, 30) ? roll_below(&dice, 70) : roll_below(&dice, 1500);
        uint8_t *in = rolled(&dice, bytes), *expected = rolled(&dice, bytes);
        uint8_t tag[RH_HMAC_TAG_BYTES], other_tag[RH_HMAC_TAG_BYTES];
        struct rh_pieces pieces = {in, bytes, iv, roll_below(&dice, 17)};
        struct rh_hmac_state hmac;
        void *ctr = rh_cipher_evp.ctr_init(key);
        rh_cipher_evp.ctr_xor(ctr, iv, in, bytes, expected);
        rh_cipher_evp.ctr_deinit(ctr);
        rh_cipher_evp.hmac_init(&hmac, key);
        rh_cipher_evp.hmac_sign(&hmac, &pieces, tag);
        for (size_t i = 0; i < other_count; i++) {
            uint8_t *out = exact_copy(in, bytes);
            ctr = others[i]->ctr_init(key);
            assert_non_null(ctr);
            others[i]->ctr_xor(ctr, iv, roll_percent(&dice, 50) ? out : in, bytes, out);
            assert_memory_equal(out, expected, bytes);
            others[i]->ctr_deinit(ctr);
            others[i]->hmac_init(&hmac, key);
            others[i]->hmac_sign(&hmac, &pieces, other_tag);
            assert_memory_equal(tag, other_tag, sizeof tag);
            free(out);
        }
        free(in);
        free(expected);
    }
}

static void aNameChoosesABackendAndAnUnknownOneTheFastest(void **state)
{
    (void)state;
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    assert_in_range(count, 1, RH_CIPHERS_MAX);
    assert_ptr_equal(rh_cipher_named(NULL), list[0]);
    assert_ptr_equal(rh_cipher_named("rot13"), list[0]);
    assert_ptr_equal(rh_cipher_named(""), list[0]);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(rh_cipher_named(list[i]->name), list[i]);
    assert_ptr_equal(rh_cipher_named("openssl"), &rh_cipher_evp);
#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)
    if (__builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul"))
        assert_string_equal(list[0]->name, "ipsec-mb");
#endif
}

static void *choose(void *place)
{
    *(const struct rh_cipher_backend **)place = rh_cipher_choose();
    return NULL;
}

/* The environment says "openssl"; later words are not heard. */
static void theChoiceIsMadeOnceWhoeverAsks(void **state)
{
    (void)state;
    assert_int_equal(setenv("ROUNDHOUSE_CIPHER", "openssl", 1), 0);
    pthread_t threads[THREADS];
    const struct rh_cipher_backend *chosen[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, choose, &chosen[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_ptr_equal(chosen[i], &rh_cipher_evp);
    assert_int_equal(setenv("ROUNDHOUSE_CIPHER", "ipsec-mb", 1), 0);
    assert_ptr_equal(rh_cipher_choose(), &rh_cipher_evp);
}

int main(void)
{
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    for (size_t i = 0; i < count; i++)
        if (list[i] != &rh_cipher_evp)
            others[other_count++] = list[i];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcmBytesAreTheSameOnEveryBackend),
        cmocka_unit_test(everyBackendNoticesATurnedBit),
        cmocka_unit_test(counterModeAndHmacAreTheSameOnEveryBackend),
        cmocka_unit_test(aNameChoosesABackendAndAnUnknownOneTheFastest),
        cmocka_unit_test(theChoiceIsMadeOnceWhoeverAsks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
