/* Generation handles. SPDX-License-Identifier: Apache-2.0 */
#include "track/handles.h"

#include <stdlib.h>

#include "limits.h"
#include "wire/assert.h"

enum { INDEX_BITS = 18 };
static_assert(1 << INDEX_BITS == RH_HANDLES_MAX);

bool rh_handles_init(struct rh_handles *handles, uint32_t capacity)
{
    RH_ASSERT(capacity > 0 && capacity <= RH_HANDLES_MAX);
    *handles = (struct rh_handles){.capacity = capacity};
    handles->handle = calloc(capacity, sizeof *handles->handle);
    handles->resting = calloc(capacity, sizeof *handles->resting);
    handles->live = calloc(capacity, sizeof *handles->live);
    if (handles->handle == NULL || handles->resting == NULL || handles->live == NULL) {
        rh_handles_deinit(handles);
        return false;
    }
    return true;
}

void rh_handles_deinit(struct rh_handles *handles)
{
    free(handles->handle);
    free(handles->resting);
    free(handles->live);
    *handles = (struct rh_handles){0};
}

uint32_t rh_handles_take(struct rh_handles *handles)
{
    uint32_t index;
    bool fresh = handles->touched < handles->capacity;
    if (fresh && handles->resting_count <= RH_HANDLES_RESTING) {
        index = handles->touched++;
        handles->handle[index] = 1u << INDEX_BITS | index;
    } else if (handles->resting_count > 0) {
        index = handles->resting[handles->resting_head];
        handles->resting_head = (handles->resting_head + 1) % handles->capacity;
        handles->resting_count--;
    } else {
        return 0;
    }
    RH_ASSERT(!handles->live[index]);
    handles->live[index] = 1;
    return handles->handle[index];
}

void rh_handles_release(struct rh_handles *handles, uint32_t handle)
{
    uint32_t index = rh_handles_index(handles, handle);
    RH_ASSERT(index != RH_NO_INDEX);
    handles->live[index] = 0;
    uint32_t next = handle + (1u << INDEX_BITS);
    if (next >> INDEX_BITS == 0)
        next += 1u << INDEX_BITS;
    handles->handle[index] = next;
    uint32_t tail = (handles->resting_head + handles->resting_count) % handles->capacity;
    handles->resting[tail] = index;
    handles->resting_count++;
}
