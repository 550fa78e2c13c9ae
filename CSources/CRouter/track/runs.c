/* The resend map. SPDX-License-Identifier: Apache-2.0 */
#include "track/runs.h"

#include "wire/assert.h"

static_assert(sizeof(struct rh_run) == 32);

/* The run that is age runs older than the newest. */
static const struct rh_run *older(const struct rh_runs *runs, uint32_t age)
{
    return &runs->items[(runs->newest + RH_RUNS_PER_SLOT - age) % RH_RUNS_PER_SLOT];
}

void rh_runs_begin(struct rh_runs *runs, const struct rh_run *run)
{
    const struct rh_run *newest = rh_runs_newest(runs);
    RH_ASSERT(newest == NULL || run->first_out_seq64 >= newest->first_out_seq64);
    bool replaces = newest != NULL && run->first_out_seq64 == newest->first_out_seq64;
    if (!replaces) {
        runs->newest = (runs->newest + 1) % RH_RUNS_PER_SLOT;
        if (runs->count < RH_RUNS_PER_SLOT)
            runs->count++;
    }
    runs->items[runs->newest] = *run;
}

struct rh_run_place rh_runs_find_out(const struct rh_runs *runs, uint64_t out_seq64)
{
    for (uint32_t age = 0; age < runs->count; age++) {
        const struct rh_run *run = older(runs, age);
        if (out_seq64 >= run->first_out_seq64)
            return (struct rh_run_place){
                run, run->first_in_seq64 + (out_seq64 - run->first_out_seq64)};
    }
    return (struct rh_run_place){0};
}

struct rh_run_place rh_runs_find_in(
    const struct rh_runs *runs, const struct rh_run *like, uint64_t in_seq64,
    uint64_t next_out_seq64)
{
    uint64_t end_out = next_out_seq64;
    for (uint32_t age = 0; age < runs->count; age++) {
        const struct rh_run *run = older(runs, age);
        uint64_t out = run->first_out_seq64 + (in_seq64 - run->first_in_seq64);
        if (run->track == like->track && run->encoding == like->encoding
            && run->epoch == like->epoch && in_seq64 >= run->first_in_seq64 && out < end_out)
            return (struct rh_run_place){run, out};
        end_out = run->first_out_seq64;
    }
    return (struct rh_run_place){0};
}
