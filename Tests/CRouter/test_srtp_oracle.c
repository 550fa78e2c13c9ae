/* Our SRTP against libsrtp2, in both directions. SPDX-License-Identifier: Apache-2.0
 *
 * Once on each cipher backend that this build and machine have.
 * Random packets with CSRCs, extension blocks and sizes from nothing up, loss, reordering,
 * duplicates and several rollovers of the sequence number. */
#include <srtp2/srtp.h>

#include "crypto/srtp.h"
#include "wire/bytes.h"
#include "wire/seq.h"
#include "wire_support.h"

enum { PACKET_MAX = 1600, ROUNDS = 4000, SOURCES = 3, WINDOW = 1024 };

static const enum rh_srtp_profile profiles[] = {
    RH_SRTP_AEAD_AES_128_GCM, RH_SRTP_AES128_CM_HMAC_SHA1_80,
};

static const struct rh_cipher_backend *backend; /* of the running group of tests */

struct both {
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
    srtp_t their_send, their_receive;
};

static srtp_t their_session(
    enum rh_srtp_profile profile, const struct rh_srtp_keys *keys, srtp_ssrc_type_t direction)
{
    uint8_t key[30];
    bool is_gcm = profile == RH_SRTP_AEAD_AES_128_GCM;
    memcpy(key, keys->key, 16);
    memcpy(key + 16, keys->salt, is_gcm ? 12 : 14);
    srtp_policy_t policy = {.key = key, .window_size = WINDOW, .ssrc.type = direction};
    if (is_gcm) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    }
    srtp_t session = NULL;
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

static void both_init(struct both *both, enum rh_srtp_profile profile, uint64_t seed)
{
    struct dice dice = {seed};
    struct rh_srtp_keys keys;
    roll_bytes(&dice, keys.key, sizeof keys.key);
    roll_bytes(&dice, keys.salt, sizeof keys.salt);
    assert_int_equal(rh_srtp_send_init(&both->send, backend, profile, &keys), RH_OK);
    assert_int_equal(rh_srtp_receive_init(&both->receive, backend, profile, &keys), RH_OK);
    both->their_send = their_session(profile, &keys, ssrc_any_outbound);
    both->their_receive = their_session(profile, &keys, ssrc_any_inbound);
}

static void both_deinit(struct both *both)
{
    rh_srtp_send_deinit(&both->send);
    rh_srtp_receive_deinit(&both->receive);
    srtp_dealloc(both->their_send);
    srtp_dealloc(both->their_receive);
}

/* A random RTP packet in clear. Returns its bytes. */
static size_t make_rtp(struct dice *dice, uint32_t ssrc, uint64_t seq64, uint8_t *out)
{
    uint8_t csrcs = (uint8_t)(roll_percent(dice, 20) ? roll_below(dice, 16) : 0);
    bool has_block = roll_percent(dice, 50);
    rh_put32(out, 0x80000000 | (uint32_t)csrcs << 24 | roll_below(dice, 256) << 16
                      | (uint16_t)seq64);
    out[0] |= has_block ? 0x10 : 0;
    roll_bytes(dice, out + 4, 4);
    rh_put32(out + 8, ssrc);
    size_t size = 12;
    roll_bytes(dice, out + size, 4u * csrcs);
    size += 4u * csrcs;
    if (has_block) {
        uint16_t words = (uint16_t)roll_below(dice, 20);
        rh_put32(out + size, 0xbede0000 | words);
        roll_bytes(dice, out + size + 4, 4u * words);
        size += 4 + 4u * words;
    }
    size_t payload_bytes = roll_below(dice, roll_percent(dice, 10) ? 3 : 1250);
    roll_bytes(dice, out + size, payload_bytes);
    return size + payload_bytes;
}

/* Protects a packet in clear as forwarding does: header copied, payload read where it is. */
static size_t protect(
    const struct rh_srtp_send *send, const uint8_t *clear, size_t size, uint64_t seq64,
    uint8_t *out)
{
    struct rh_packet packet;
    assert_int_equal(rh_packet_parse_header(clear, size, &packet), RH_OK);
    memcpy(out, clear, packet.header_bytes);
    struct rh_srtp_outgoing outgoing = {
        .out = out, .header_bytes = packet.header_bytes, .payload = clear + packet.header_bytes,
        .payload_bytes = size - packet.header_bytes, .seq64 = seq64,
    };
    return rh_srtp_protect_rtp(send, &outgoing);
}

static void ourRtpIsTheirs(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct both both;
        both_init(&both, profiles[p], 21 + p);
        struct dice dice = {31 + p};
        uint64_t seq64[SOURCES];
        for (size_t i = 0; i < SOURCES; i++)
            seq64[i] = RH_SEQ64_FIRST + roll_below(&dice, 0x7000);
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t clear[PACKET_MAX], ours[PACKET_MAX], theirs[PACKET_MAX];
            size_t source = roll_below(&dice, SOURCES);
            size_t size = make_rtp(&dice, 100 + (uint32_t)source, seq64[source], clear);
            size_t our_size = protect(&both.send, clear, size, seq64[source], ours);
            int their_size = (int)size;
            memcpy(theirs, clear, size);
            assert_int_equal(
                srtp_protect(both.their_send, theirs, &their_size), srtp_err_status_ok);
            assert_int_equal(our_size, their_size);
            assert_memory_equal(ours, theirs, our_size);
            if (!roll_percent(&dice, 15)) { /* the rest is lost */
                assert_int_equal(
                    srtp_unprotect(both.their_receive, ours, &their_size), srtp_err_status_ok);
                assert_int_equal(their_size, size);
                assert_memory_equal(ours, clear, size);
            }
            seq64[source] += roll_percent(&dice, 5) ? 1 + roll_below(&dice, 5000) : 1;
        }
        for (size_t i = 0; i < SOURCES; i++)
            assert_true(seq64[i] > 3 * RH_SEQ64_FIRST);
        both_deinit(&both);
    }
}

/* A packet of theirs on its way: kept back for a while, sent twice or with a turned bit. */
struct flying {
    uint64_t seq64;
    size_t clear_size;
    int size;
    uint8_t clear[PACKET_MAX], bytes[PACKET_MAX];
    bool was_received;
};

static enum rh_result deliver(
    const struct both *both, struct rh_srtp_source *source, struct flying *flying,
    size_t turned_bit)
{
    uint8_t bytes[PACKET_MAX];
    memcpy(bytes, flying->bytes, (size_t)flying->size);
    if (turned_bit != 0)
        bytes[turned_bit / 8] ^= (uint8_t)(1 << turned_bit % 8);
    struct rh_packet packet;
    enum rh_result result = rh_packet_parse_header(bytes, (size_t)flying->size, &packet);
    if (result != RH_OK)
        return result;
    struct rh_srtp_packet srtp = {.bytes = bytes, .size = (size_t)flying->size};
    result = rh_srtp_unprotect_rtp(&both->receive, source, &packet, &srtp);
    if (result == RH_OK) {
        assert_int_equal(srtp.size, flying->clear_size);
        assert_memory_equal(bytes, flying->clear, srtp.size);
        assert_int_equal(srtp.seq64, flying->seq64);
    }
    return result;
}

static void theirRtpIsOursWhateverTheNetworkDoes(void **state)
{
    (void)state;
    static struct flying held[64];
    for (size_t p = 0; p < 2; p++) {
        struct both both;
        both_init(&both, profiles[p], 41 + p);
        struct dice dice = {51 + p};
        struct rh_srtp_source source = {0};
        memset(held, 0, sizeof held);
        uint64_t seq64 = RH_SEQ64_FIRST + 20, highest = 0;
        size_t accepted = 0;
        for (int round = 0; round < 3 * ROUNDS; round++) {
            struct flying *place = &held[roll_below(&dice, 64)];
            if (place->size != 0 && !roll_percent(&dice, 10)) {
                bool is_old = highest != 0 && highest >= place->seq64 + WINDOW;
                if (roll_percent(&dice, 10)) { /* a forgery in between changes nothing */
                    size_t bit = 8 + roll_below(&dice, (uint32_t)place->size * 8 - 8);
                    assert_int_not_equal(deliver(&both, &source, place, bit), RH_OK);
                }
                enum rh_result expected =
                    place->was_received || is_old ? RH_REPLAYED : RH_OK;
                assert_int_equal(deliver(&both, &source, place, 0), expected);
                accepted += expected == RH_OK;
                place->was_received = true;
                highest = !is_old && place->seq64 > highest ? place->seq64 : highest;
                if (roll_percent(&dice, 30))
                    continue; /* and once more later */
            }
            place->seq64 = seq64;
            place->was_received = false;
            place->clear_size = make_rtp(&dice, 7, seq64, place->clear);
            place->size = (int)place->clear_size;
            memcpy(place->bytes, place->clear, place->clear_size);
            assert_int_equal(
                srtp_protect(both.their_send, place->bytes, &place->size), srtp_err_status_ok);
            seq64 += roll_percent(&dice, 2) ? 1 + roll_below(&dice, 1500) : 1;
        }
        assert_true(accepted > ROUNDS && seq64 > 3 * RH_SEQ64_FIRST);
        both_deinit(&both);
    }
}

static size_t make_rtcp(struct dice *dice, uint8_t *out)
{
    uint16_t words = (uint16_t)(1 + roll_below(dice, 60));
    roll_bytes(dice, out, 4u + 4u * words);
    rh_put32(out, 0x80000000 | (200 + roll_below(dice, 7)) << 16 | words);
    rh_put32(out + 4, 200 + roll_below(dice, 4));
    return 4u + 4u * words;
}

static void ourRtcpIsTheirs(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct both both;
        both_init(&both, profiles[p], 61 + p);
        struct dice dice = {71 + p};
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t clear[512], bytes[512];
            size_t clear_size = make_rtcp(&dice, clear);
            int size = (int)rh_srtp_protect_rtcp(&both.send, clear, clear_size, bytes);
            if (roll_percent(&dice, 10))
                continue;
            assert_int_equal(
                srtp_unprotect_rtcp(both.their_receive, bytes, &size), srtp_err_status_ok);
            assert_int_equal(size, clear_size);
            assert_memory_equal(bytes, clear, clear_size);
        }
        both_deinit(&both);
    }
}

static void theirRtcpIsOurs(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct both both;
        both_init(&both, profiles[p], 81 + p);
        struct dice dice = {91 + p};
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t clear[512], bytes[512], again[512];
            size_t clear_size = make_rtcp(&dice, clear);
            int their_size = (int)clear_size;
            memcpy(bytes, clear, clear_size);
            assert_int_equal(
                srtp_protect_rtcp(both.their_send, bytes, &their_size), srtp_err_status_ok);
            memcpy(again, bytes, (size_t)their_size);
            if (roll_percent(&dice, 10)) {
                size_t size = (size_t)their_size;
                uint8_t forged[512];
                memcpy(forged, bytes, size);
                forged[4 + roll_below(&dice, (uint32_t)size - 4)] ^= 0x40;
                assert_int_not_equal(
                    rh_srtp_unprotect_rtcp(&both.receive, forged, &size), RH_OK);
            }
            size_t size = (size_t)their_size;
            assert_int_equal(rh_srtp_unprotect_rtcp(&both.receive, bytes, &size), RH_OK);
            assert_int_equal(size, clear_size);
            assert_memory_equal(bytes, clear, clear_size);
            size = (size_t)their_size;
            assert_int_equal(rh_srtp_unprotect_rtcp(&both.receive, again, &size), RH_REPLAYED);
        }
        both_deinit(&both);
    }
}

int main(void)
{
    if (srtp_init() != srtp_err_status_ok)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ourRtpIsTheirs),
        cmocka_unit_test(theirRtpIsOursWhateverTheNetworkDoes),
        cmocka_unit_test(ourRtcpIsTheirs),
        cmocka_unit_test(theirRtcpIsOurs),
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
