/* Little-endian numbers of files. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_MEDIA_LITTLE_H
#define RH_MEDIA_LITTLE_H

#include <stdint.h>

static inline uint16_t rh_little16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t rh_little32(const uint8_t *bytes)
{
    return rh_little16(bytes) | (uint32_t)rh_little16(bytes + 2) << 16;
}

static inline uint64_t rh_little64(const uint8_t *bytes)
{
    return rh_little32(bytes) | (uint64_t)rh_little32(bytes + 4) << 32;
}

#endif
