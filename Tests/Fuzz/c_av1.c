/* Any bytes as an AV1 payload with or without a dependency descriptor.
 * SPDX-License-Identifier: Apache-2.0 */
#include "payload_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_payload(RH_CODEC_AV1, bytes, size);
    return 0;
}
