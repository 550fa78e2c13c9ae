/* Any bytes as SRTCP: as they are, and protected with the right key first, whole and with one bit
 * turned. SPDX-License-Identifier: Apache-2.0
 *
 * First byte: bit 0 the profile, bit 1 the backend; the second and third: which bit is turned. */
#include "srtp_target.h"
#include "wire/bytes.h"

enum { ROOM = SRTP_INPUT_MAX + RH_SRTCP_OVERHEAD_MAX };

static void round_trip(
    struct srtp_target *target, const uint8_t *bytes, size_t size, size_t turned)
{
    uint8_t out[ROOM], copy[ROOM];
    size_t protected_bytes = rh_srtp_protect_rtcp(&target->send, bytes, size, out);
    turned %= protected_bytes * 8;
    memcpy(copy, out, protected_bytes);
    copy[turned / 8] ^= (uint8_t)(1 << turned % 8);
    size_t in = protected_bytes;
    RH_ASSERT(rh_srtp_unprotect_rtcp(&target->receive, copy, &in) != RH_OK);
    in = protected_bytes;
    enum rh_result result = rh_srtp_unprotect_rtcp(&target->receive, out, &in);
    bool is_rtcp = bytes[0] >> 6 == 2 && protected_bytes <= RH_AAD_BYTES_MAX;
    RH_ASSERT(result == (is_rtcp ? RH_OK : RH_MALFORMED));
    if (result == RH_OK)
        RH_ASSERT(in == size && memcmp(out, bytes, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 3 || size > SRTP_INPUT_MAX)
        return 0;
    struct srtp_target target;
    srtp_target_init(&target, bytes[0]);
    size_t in = size - 3;
    uint8_t *copy = malloc(in + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes + 3, in);
    RH_ASSERT(rh_srtp_unprotect_rtcp(&target.receive, copy, &in) != RH_OK);
    free(copy);
    if (size - 3 >= 8)
        round_trip(&target, bytes + 3, size - 3, rh_get16(bytes + 1));
    srtp_target_deinit(&target);
    return 0;
}
