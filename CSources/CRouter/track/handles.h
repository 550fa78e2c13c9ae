/* Generation handles: names of pool places that turn stale instead of naming something new.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A handle is generation (14 bits, never 0) and index (18 bits). A released place rests until
 * RH_HANDLES_RESTING others were released after it, so a number comes back after four million uses
 * at the earliest, and memory is touched only little beyond the most places ever taken.
 * Owner: the pool that embeds it. 9 B a place. */
#ifndef RH_TRACK_HANDLES_H
#define RH_TRACK_HANDLES_H

#include <stdbool.h>
#include <stdint.h>

#define RH_NO_INDEX UINT32_MAX

enum { RH_HANDLES_RESTING = 256 };

struct rh_handles {
    uint32_t *handle;    /* of each place, the next to be given while it is free; 0: never taken */
    uint32_t *resting;   /* ring of released places */
    uint8_t *live;       /* 1: taken */
    uint32_t capacity;
    uint32_t touched;    /* places taken at least once: 0..touched-1 */
    uint32_t resting_head;
    uint32_t resting_count;
};

/* Makes capacity free places. Returns false when memory is refused. */
bool rh_handles_init(struct rh_handles *handles, uint32_t capacity);
void rh_handles_deinit(struct rh_handles *handles);

/* Takes a place. Returns its handle, 0 when all are taken. */
uint32_t rh_handles_take(struct rh_handles *handles);

/* Gives a place back; the handle is stale from now on. Asserts that it was live. */
void rh_handles_release(struct rh_handles *handles, uint32_t handle);

/* Returns how many places are taken. */
static inline uint32_t rh_handles_count(const struct rh_handles *handles)
{
    return handles->touched - handles->resting_count;
}

/* Returns the place a handle has or had, without a look at whether it is live. */
static inline uint32_t rh_handle_place(uint32_t handle)
{
    return handle & ((1u << 18) - 1);
}

/* Returns the place a handle names, RH_NO_INDEX for a stale or impossible one. */
static inline uint32_t rh_handles_index(const struct rh_handles *handles, uint32_t handle)
{
    uint32_t index = rh_handle_place(handle);
    if (index >= handles->touched || handles->handle[index] != handle || !handles->live[index])
        return RH_NO_INDEX;
    return index;
}

#endif
