/* Log-linear histograms: edges and quantiles. SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include "wire/assert.h"

static_assert(RH_LOAD_BUCKETS == 256 + 21 * 128, "edges below");

uint64_t rh_load_bucket_lower_ns(uint32_t index)
{
    RH_ASSERT(index <= RH_LOAD_BUCKETS);
    if (index < 256)
        return (uint64_t)index << 7;
    uint32_t shift = (index - 256) / 128 + 1;
    return (uint64_t)(128 + (index - 256) % 128) << shift << 7;
}

uint64_t rh_load_histogram_count(const uint64_t *buckets)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < RH_LOAD_BUCKETS; i++)
        count += buckets[i];
    return count;
}

uint64_t rh_load_histogram_quantile_ns(const uint64_t *buckets, double fraction)
{
    uint64_t count = rh_load_histogram_count(buckets);
    if (count == 0)
        return 0;
    double wanted = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    uint64_t rank = (uint64_t)(wanted * (double)(count - 1)), seen = 0;
    for (uint32_t i = 0; i < RH_LOAD_BUCKETS; i++) {
        seen += buckets[i];
        if (seen > rank)
            return rh_load_bucket_lower_ns(i + 1);
    }
    return rh_load_bucket_lower_ns(RH_LOAD_BUCKETS);
}
