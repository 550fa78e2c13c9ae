/* Any bytes as an H.264 byte stream. SPDX-License-Identifier: Apache-2.0 */
// Fuzz-Sources: CSources/CMedia
// Fuzz-Libraries: vpx opus
#include "clip_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct rh_clip_error error = {""};
    const struct rh_clip_video_options options = {.payload_bytes_max = RH_CLIP_PAYLOAD_BYTES_MIN};
    fuzz_clip(rh_clip_read_h264(bytes, size, &options, &error), &error);
    return 0;
}
