/* Any bytes as SRTP: as they are, and protected with the right key first, whole and with one bit
 * turned. SPDX-License-Identifier: Apache-2.0
 *
 * First byte: bit 0 the profile, bit 1 the backend; the second and third: which bit is turned. */
#include "srtp_target.h"
#include "wire/bytes.h"
#include "wire/seq.h"

static void open_raw(const struct srtp_target *target, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    struct rh_srtp_source source = {0};
    struct rh_srtp_packet srtp = {.bytes = copy, .size = size};
    struct rh_packet packet;
    if (rh_packet_parse_header(copy, size, &packet) == RH_OK)
        RH_ASSERT(rh_srtp_unprotect_rtp(&target->receive, &source, &packet, &srtp) != RH_OK);
    RH_ASSERT(source.highest_seq64 == 0);
    free(copy);
}

static void round_trip(
    const struct srtp_target *target, const uint8_t *bytes, size_t size, size_t turned)
{
    uint8_t out[SRTP_INPUT_MAX + RH_SRTP_TAG_BYTES_MAX];
    struct rh_packet packet;
    if (rh_packet_parse_header(bytes, size, &packet) != RH_OK)
        return;
    memcpy(out, bytes, packet.header_bytes);
    struct rh_srtp_outgoing outgoing = {
        .out = out, .header_bytes = packet.header_bytes, .payload = bytes + packet.header_bytes,
        .payload_bytes = size - packet.header_bytes,
        .seq64 = RH_SEQ64_FIRST + (uint64_t)packet.seq};
    struct rh_srtp_packet srtp = {
        .bytes = out, .size = rh_srtp_protect_rtp(&target->send, &outgoing)};
    struct rh_srtp_source source = {0};
    turned %= srtp.size * 8;
    out[turned / 8] ^= (uint8_t)(1 << turned % 8);
    open_raw(target, out, srtp.size);
    out[turned / 8] ^= (uint8_t)(1 << turned % 8);
    RH_ASSERT(rh_srtp_unprotect_rtp(&target->receive, &source, &packet, &srtp) == RH_OK);
    RH_ASSERT(srtp.size == size && memcmp(out, bytes, size) == 0);
    RH_ASSERT(rh_srtp_unprotect_rtp(&target->receive, &source, &packet, &srtp) != RH_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 3 || size > SRTP_INPUT_MAX)
        return 0;
    struct srtp_target target;
    srtp_target_init(&target, bytes[0]);
    open_raw(&target, bytes + 3, size - 3);
    round_trip(&target, bytes + 3, size - 3, rh_get16(bytes + 1));
    srtp_target_deinit(&target);
    return 0;
}
