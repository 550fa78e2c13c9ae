/* SRTP: published vectors, replay, hostile bytes, memory. SPDX-License-Identifier: Apache-2.0
 *
 * Everything runs once on each cipher backend that this build and machine have. */
#include <openssl/crypto.h>

#include "crypto/srtp.h"
#include "wire/bytes.h"
#include "wire/seq.h"
#include "wire_support.h"

static const struct rh_cipher_backend *backend; /* of the running group of tests */

static size_t allocations; /* of OpenSSL since the program began */

static void *count_malloc(size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return malloc(bytes);
}

static void *count_realloc(void *memory, size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    allocations++;
    return realloc(memory, bytes);
}

static void plain_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

static const enum rh_srtp_profile profiles[] = {
    RH_SRTP_AEAD_AES_128_GCM, RH_SRTP_AES128_CM_HMAC_SHA1_80,
};

static struct rh_srtp_keys master_of(struct dice *dice)
{
    struct rh_srtp_keys keys;
    roll_bytes(dice, keys.key, sizeof keys.key);
    roll_bytes(dice, keys.salt, sizeof keys.salt);
    return keys;
}

struct pair {
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
};

static void pair_init(struct pair *pair, enum rh_srtp_profile profile, uint64_t seed)
{
    struct dice dice = {seed};
    struct rh_srtp_keys keys = master_of(&dice);
    assert_int_equal(rh_srtp_send_init(&pair->send, backend, profile, &keys), RH_OK);
    assert_int_equal(rh_srtp_receive_init(&pair->receive, backend, profile, &keys), RH_OK);
}

static void pair_deinit(struct pair *pair)
{
    rh_srtp_send_deinit(&pair->send);
    rh_srtp_receive_deinit(&pair->receive);
    assert_null(pair->send.backend);
}

static const char payload_text[] = "forty-two bytes of payload, not a word more";

/* Writes and protects a packet. Returns its bytes. */
static size_t make_rtp(
    const struct rh_srtp_send *send, uint32_t ssrc, uint64_t seq64, uint8_t *out)
{
    rh_put32(out, 0x80600000 | (uint16_t)seq64);
    rh_put32(out + 4, 0x01020304);
    rh_put32(out + 8, ssrc);
    struct rh_srtp_outgoing packet = {
        .out = out, .header_bytes = 12, .payload = (const uint8_t *)payload_text,
        .payload_bytes = sizeof payload_text, .seq64 = seq64,
    };
    return rh_srtp_protect_rtp(send, &packet);
}

static enum rh_result open_rtp(
    const struct rh_srtp_receive *receive, struct rh_srtp_source *source,
    struct rh_srtp_packet *srtp)
{
    struct rh_packet packet;
    enum rh_result result = rh_packet_parse_header(srtp->bytes, srtp->size, &packet);
    return result != RH_OK ? result : rh_srtp_unprotect_rtp(receive, source, &packet, srtp);
}

/* RFC 3711 appendix B.2. */
static void counterModeGivesThePublishedKeyStream(void **state)
{
    (void)state;
    uint8_t key[16], iv[16], expected[48], out[48] = {0};
    from_hex("2B7E151628AED2A6ABF7158809CF4F3C", key, 16);
    from_hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000", iv, 16);
    from_hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB"
             "41E95B3BB0A2E8DD477901E4FCA894C0", expected, 48);
    void *ctr = backend->ctr_init(key);
    assert_non_null(ctr);
    backend->ctr_xor(ctr, iv, out, sizeof out, out);
    assert_memory_equal(out, expected, sizeof expected);
    from_hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF", iv, 16);
    from_hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE"
             "6A2CC3787889374FBEB4C81B17BA6C44", expected, 48);
    memset(out, 0, sizeof out);
    backend->ctr_xor(ctr, iv, out, sizeof out, out);
    assert_memory_equal(out, expected, 16); /* block FEFF; FF00 and FF01 follow */
    backend->ctr_deinit(ctr);
}

/* RFC 2202 section 3, test case 1 and 2 of 20-byte keys. */
static void hmacGivesThePublishedTag(void **state)
{
    (void)state;
    uint8_t key[20], expected[20], tag[20];
    memset(key, 0x0b, sizeof key);
    from_hex("b617318655057264e28bc0b6fb378c8ef146be00", expected, 20);
    struct rh_hmac_state hmac;
    backend->hmac_init(&hmac, key);
    struct rh_pieces pieces = {(const uint8_t *)"Hi T", 4, (const uint8_t *)"here", 4};
    backend->hmac_sign(&hmac, &pieces, tag);
    assert_memory_equal(tag, expected, sizeof expected);
}

/* RFC 3711 appendix B.3; the first 20 of the 94 bytes of authentication key. */
static void keysAreDerivedAsPublished(void **state)
{
    (void)state;
    struct rh_srtp_keys master;
    struct rh_srtp_session_keys keys;
    uint8_t expected[20];
    from_hex("E1F97A0D3E018BE0D64FA32C06DE4139", master.key, 16);
    from_hex("0EC675AD498AFEEBB6960B3AABE6", master.salt, 14);
    enum rh_result result = rh_srtp_derive(
        backend, RH_SRTP_AES128_CM_HMAC_SHA1_80, &master, &keys);
    assert_int_equal(result, RH_OK);
    from_hex("C61E7A93744F39EE10734AFE3FF7A087", expected, 16);
    assert_memory_equal(keys.rtp_key, expected, 16);
    from_hex("30CBBC08863D8C85D49DB34A9AE1", expected, 14);
    assert_memory_equal(keys.rtp_salt, expected, 14);
    from_hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4", expected, 20);
    assert_memory_equal(keys.rtp_auth, expected, 20);
}

/* RFC 7714 sections 16 and 17 give session keys. */
static void session_init(struct pair *pair)
{
    uint8_t key[16];
    from_hex("000102030405060708090a0b0c0d0e0f", key, 16);
    memset(pair, 0, sizeof *pair);
    pair->send.backend = pair->receive.backend = backend;
    pair->send.profile = pair->receive.profile = RH_SRTP_AEAD_AES_128_GCM;
    struct rh_srtp_key *const all[] = {
        &pair->send.rtp, &pair->send.rtcp, &pair->receive.rtp, &pair->receive.rtcp,
    };
    for (size_t i = 0; i < 4; i++) {
        all[i]->cipher = backend->gcm_init(key, i < 2);
        assert_non_null(all[i]->cipher);
        from_hex("517569642070726f2071756f", all[i]->salt, 12);
    }
}

/* RFC 7714 section 16.1.1 and 16.1.2. */
static void gcmRtpPacketsAreAsPublished(void **state)
{
    (void)state;
    uint8_t plain[64], expected[96], out[96];
    size_t plain_bytes = from_hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120"
        "696e2070 61727465 73207472 6573", plain, sizeof plain);
    size_t expected_bytes = from_hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f"
        "42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce", expected,
        sizeof expected);
    struct pair pair;
    session_init(&pair);
    memcpy(out, plain, 12);
    struct rh_srtp_outgoing packet = {
        .out = out, .header_bytes = 12, .payload = plain + 12, .payload_bytes = plain_bytes - 12,
        .seq64 = RH_SEQ64_FIRST + 0xf17b,
    };
    assert_int_equal(rh_srtp_protect_rtp(&pair.send, &packet), expected_bytes);
    assert_memory_equal(out, expected, expected_bytes);
    struct rh_srtp_source source = {0};
    struct rh_srtp_packet srtp = {.bytes = out, .size = expected_bytes};
    assert_int_equal(open_rtp(&pair.receive, &source, &srtp), RH_OK);
    assert_int_equal(srtp.size, plain_bytes);
    assert_int_equal(srtp.seq64, RH_SEQ64_FIRST + 0xf17b);
    assert_memory_equal(out, plain, plain_bytes);
    pair_deinit(&pair);
}

/* RFC 7714 section 17.1.1 and 17.1.2. */
static void gcmRtcpPacketsAreAsPublished(void **state)
{
    (void)state;
    uint8_t plain[64], expected[96], out[96];
    size_t plain_bytes = from_hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef"
        "deadbeef deadbeef deadbeef deadbeef", plain, sizeof plain);
    size_t expected_bytes = from_hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1"
        "730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        expected, sizeof expected);
    struct pair pair;
    session_init(&pair);
    pair.send.rtcp_index = 0x5d4;
    assert_int_equal(rh_srtp_protect_rtcp(&pair.send, plain, plain_bytes, out), expected_bytes);
    assert_memory_equal(out, expected, expected_bytes);
    size_t size = expected_bytes;
    assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, out, &size), RH_OK);
    assert_int_equal(size, plain_bytes);
    assert_memory_equal(out, plain, plain_bytes);
    pair_deinit(&pair);
}

static void eachPacketIsAcceptedOnce(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 1);
        struct rh_srtp_source source = {0};
        uint8_t bytes[128];
        struct rh_srtp_packet srtp = {.bytes = bytes};
        const struct { uint32_t index; enum rh_result result; } rows[] = {
            {5000, RH_OK}, {5000, RH_REPLAYED}, {4999, RH_OK}, {4999, RH_REPLAYED},
            {3977, RH_OK}, {3976, RH_REPLAYED}, /* 1024 numbers are remembered */
            {5001, RH_OK}, {3977, RH_REPLAYED}, {6024, RH_OK}, {5001, RH_REPLAYED},
            {5002, RH_OK}, {30000, RH_OK}, {28977, RH_OK}, {28976, RH_REPLAYED},
            {28975, RH_REPLAYED}, /* its bit is that of 29999, which never came */
            {28977, RH_REPLAYED},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            srtp.size = make_rtp(&pair.send, 9, RH_SEQ64_FIRST + rows[i].index, bytes);
            if (open_rtp(&pair.receive, &source, &srtp) != rows[i].result)
                fail_msg("profile %zu row %zu", p, i);
        }
        pair_deinit(&pair);
    }
}

static void rolloversAreFollowedThroughLossAndReordering(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 2);
        struct rh_srtp_source source = {0};
        struct dice dice = {p};
        uint64_t highest = RH_SEQ64_FIRST + 1000;
        for (int i = 0; i < 5000; i++) {
            uint64_t seq64 = highest - 200 + roll_below(&dice, 800);
            uint8_t bytes[128];
            struct rh_srtp_packet srtp = {.bytes = bytes};
            srtp.size = make_rtp(&pair.send, 9, seq64, bytes);
            enum rh_result result = open_rtp(&pair.receive, &source, &srtp);
            assert_true(result == RH_OK || (result == RH_REPLAYED && seq64 <= highest));
            if (result == RH_OK)
                assert_int_equal(srtp.seq64, seq64);
            highest = seq64 > highest ? seq64 : highest;
        }
        assert_true(source.highest_seq64 > 10 * RH_SEQ64_FIRST);
        pair_deinit(&pair);
    }
}

/* Nothing is noted of a packet whose tag is wrong, wherever a bit was turned. */
static void turnedBitsAreNoticedAndChangeNothing(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 3);
        struct rh_srtp_source source = {0};
        uint8_t good[128], bytes[128];
        size_t size = make_rtp(&pair.send, 9, RH_SEQ64_FIRST + 7, good);
        for (size_t bit = 0; bit < size * 8; bit++) {
            memcpy(bytes, good, size);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct rh_srtp_packet srtp = {.bytes = bytes, .size = size};
            assert_int_not_equal(open_rtp(&pair.receive, &source, &srtp), RH_OK);
            assert_int_equal(source.highest_seq64, 0);
        }
        struct rh_srtp_packet srtp = {.bytes = good, .size = size};
        assert_int_equal(open_rtp(&pair.receive, &source, &srtp), RH_OK);
        pair_deinit(&pair);
    }
}

static void everyPrefixIsRefused(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 4);
        struct rh_srtp_source source = {0};
        uint8_t rtp[128], rtcp[128];
        size_t rtp_bytes = make_rtp(&pair.send, 9, RH_SEQ64_FIRST, rtp);
        uint8_t report[28] = {0x80, 201, 0, 6, 1, 2, 3, 4};
        size_t rtcp_bytes = rh_srtp_protect_rtcp(&pair.send, report, sizeof report, rtcp);
        for (size_t cut = 0; cut < rtp_bytes; cut++) {
            uint8_t *exact = exact_copy(rtp, cut);
            struct rh_srtp_packet srtp = {.bytes = exact, .size = cut};
            assert_int_not_equal(open_rtp(&pair.receive, &source, &srtp), RH_OK);
            free(exact);
        }
        for (size_t cut = 0; cut < rtcp_bytes; cut++) {
            uint8_t *exact = exact_copy(rtcp, cut);
            size_t size = cut;
            assert_int_not_equal(rh_srtp_unprotect_rtcp(&pair.receive, exact, &size), RH_OK);
            free(exact);
        }
        assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, rtcp, &rtcp_bytes), RH_OK);
        pair_deinit(&pair);
    }
}

static void rtcpIsAcceptedOnceAnSsrc(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 5);
        for (uint32_t ssrc = 0; ssrc < RH_SRTCP_SOURCES_MAX + 5; ssrc++) {
            uint8_t report[12] = {0x80, 206, 0, 2}, first[64], second[64], again[64];
            rh_put32(report + 4, ssrc);
            size_t size = rh_srtp_protect_rtcp(&pair.send, report, sizeof report, first);
            rh_srtp_protect_rtcp(&pair.send, report, sizeof report, second);
            memcpy(again, first, size);
            size_t in = size;
            assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, second, &in), RH_OK);
            assert_int_equal(in, sizeof report);
            assert_memory_equal(second, report, sizeof report);
            in = size;
            assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, first, &in), RH_OK);
            in = size;
            assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, again, &in), RH_REPLAYED);
        }
        pair_deinit(&pair);
    }
}

static void theLastRtcpNumberIsTheEnd(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, RH_SRTP_AEAD_AES_128_GCM, 6);
    uint8_t report[12] = {0x80, 206, 0, 2}, out[64];
    pair.send.rtcp_index = 0x7fffffff;
    assert_int_equal(rh_srtp_protect_rtcp(&pair.send, report, sizeof report, out), 32);
    assert_int_equal(rh_srtp_protect_rtcp(&pair.send, report, sizeof report, out), 0);
    pair_deinit(&pair);
}

static void outOfPlaceAndInPlaceGiveTheSameBytes(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 7);
        uint8_t apart[128], same[128];
        size_t size = make_rtp(&pair.send, 5, RH_SEQ64_FIRST + 1, apart);
        memcpy(same, apart, 12);
        memcpy(same + 12, payload_text, sizeof payload_text);
        struct rh_srtp_outgoing packet = {
            .out = same, .header_bytes = 12, .payload = same + 12,
            .payload_bytes = sizeof payload_text, .seq64 = RH_SEQ64_FIRST + 1,
        };
        assert_int_equal(rh_srtp_protect_rtp(&pair.send, &packet), size);
        assert_memory_equal(apart, same, size);
        assert_int_equal(size, 12 + sizeof payload_text + rh_srtp_tag_bytes(profiles[p]));
        pair_deinit(&pair);
    }
}

static void packetsAllocateNothing(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct pair pair;
        pair_init(&pair, profiles[p], 8);
        struct rh_srtp_source source = {0};
        rh_cipher_evp.ctr_deinit(rh_cipher_evp.ctr_init((const uint8_t[16]){0}));
        size_t before = allocations;
        assert_true(before > 0); /* they are counted */
        for (uint64_t i = 0; i < 1000; i++) {
            uint8_t bytes[128], report[28] = {0x80, 201, 0, 6}, rtcp[64];
            struct rh_srtp_packet srtp = {.bytes = bytes};
            srtp.size = make_rtp(&pair.send, 5, RH_SEQ64_FIRST + i, bytes);
            assert_int_equal(open_rtp(&pair.receive, &source, &srtp), RH_OK);
            size_t size = rh_srtp_protect_rtcp(&pair.send, report, sizeof report, rtcp);
            assert_int_equal(rh_srtp_unprotect_rtcp(&pair.receive, rtcp, &size), RH_OK);
        }
        assert_int_equal(allocations, before);
        pair_deinit(&pair);
    }
}

static void otherProfilesAreRefused(void **state)
{
    (void)state;
    struct rh_srtp_keys keys = {0};
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
    enum rh_srtp_profile other = (enum rh_srtp_profile)2;
    assert_int_equal(
        rh_srtp_send_init(&send, backend, other, &keys), RH_UNSUPPORTED);
    assert_int_equal(
        rh_srtp_receive_init(&receive, backend, other, &keys), RH_UNSUPPORTED);
    rh_srtp_send_deinit(&send);
    rh_srtp_receive_deinit(&receive);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, plain_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counterModeGivesThePublishedKeyStream),
        cmocka_unit_test(hmacGivesThePublishedTag),
        cmocka_unit_test(keysAreDerivedAsPublished),
        cmocka_unit_test(gcmRtpPacketsAreAsPublished),
        cmocka_unit_test(gcmRtcpPacketsAreAsPublished),
        cmocka_unit_test(eachPacketIsAcceptedOnce),
        cmocka_unit_test(rolloversAreFollowedThroughLossAndReordering),
        cmocka_unit_test(turnedBitsAreNoticedAndChangeNothing),
        cmocka_unit_test(everyPrefixIsRefused),
        cmocka_unit_test(rtcpIsAcceptedOnceAnSsrc),
        cmocka_unit_test(theLastRtcpNumberIsTheEnd),
        cmocka_unit_test(outOfPlaceAndInPlaceGiveTheSameBytes),
        cmocka_unit_test(packetsAllocateNothing),
        cmocka_unit_test(otherProfilesAreRefused),
    };
    const struct rh_cipher_backend *list[RH_CIPHERS_MAX];
    size_t count = rh_cipher_list(list);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        backend = list[i];
        failed += cmocka_run_group_tests_name(backend->name, tests, NULL, NULL);
    }
    return failed;
}
