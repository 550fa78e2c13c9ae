/* Any bytes as an IVF file. SPDX-License-Identifier: Apache-2.0 */
// Fuzz-Sources: CSources/CMedia
// Fuzz-Libraries: vpx opus
#include "clip_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rh_clip_error error = {""};
    fuzz_clip(rh_clip_read_ivf(bytes, size, 0, &error), &error);
    return 0;
}
