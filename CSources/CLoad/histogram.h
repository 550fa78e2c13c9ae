/* Log-linear histograms of durations. SPDX-License-Identifier: Apache-2.0
 *
 * RH_LOAD_BUCKETS counters, see rh_load.h: unit 128 ns; 256 buckets of one unit, then 128 for each
 * doubling. 23 KiB each. Owner: struct rh_load_loop. */
#ifndef RH_LOAD_HISTOGRAM_H
#define RH_LOAD_HISTOGRAM_H

#include "rh_load.h"

struct rh_load_histogram {
    uint64_t buckets[RH_LOAD_BUCKETS];
};

/* The bucket of a duration; the last for all that are longer. */
static inline uint32_t rh_load_bucket_of(uint64_t ns)
{
    uint64_t units = ns >> 7;
    if (units < 256)
        return (uint32_t)units;
    uint32_t shift = 56 - (uint32_t)__builtin_clzll(units); /* units >> shift is 128..255 */
    uint64_t bucket = 256 + (uint64_t)(shift - 1) * 128 + ((units >> shift) - 128);
    return bucket < RH_LOAD_BUCKETS ? (uint32_t)bucket : RH_LOAD_BUCKETS - 1;
}

static inline void rh_load_histogram_add(struct rh_load_histogram *histogram, uint64_t ns)
{
    histogram->buckets[rh_load_bucket_of(ns)]++;
}

#endif
