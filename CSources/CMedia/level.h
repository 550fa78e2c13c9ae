/* Audio levels (RFC 6464). SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_MEDIA_LEVEL_H
#define RH_MEDIA_LEVEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* The level of some samples as -dBov: 0 is as loud as a full-scale square wave, 127 is silence. */
static inline uint8_t rh_clip_level(const int16_t *samples, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)samples[i] * samples[i];
    if (count == 0 || sum == 0)
        return 127;
    double level = -10 * log10(sum / (double)count / (32767.0 * 32767.0));
    return (uint8_t)(level < 0 ? 0 : level > 127 ? 127 : lround(level));
}

#endif
