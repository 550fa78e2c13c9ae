/* Any bytes as an H.264 payload. SPDX-License-Identifier: Apache-2.0 */
#include "payload_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_payload(RH_CODEC_H264, bytes, size);
    return 0;
}
