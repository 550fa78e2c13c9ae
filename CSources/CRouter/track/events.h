/* What the packet path tells its owner at the end of a wake-up.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A bounded array, emptied by the worker. An event that finds it full is counted by the caller;
 * whoever pushes a state change keeps a mark at its object so that it can be announced again.
 * Owner: struct rh_media. */
#ifndef RH_TRACK_EVENTS_H
#define RH_TRACK_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "rh_router.h"

struct rh_events {
    struct rh_event *items; /* RH_EVENTS_MAX */
    uint32_t count;
    bool overflowed; /* something is to be announced again */
};

bool rh_events_init(struct rh_events *events);
void rh_events_deinit(struct rh_events *events);

/* Adds an event. Returns false, and marks the overflow, when the array is full. */
static inline bool rh_events_push(struct rh_events *events, struct rh_event event)
{
    if (events->count == RH_EVENTS_MAX) {
        events->overflowed = true;
        return false;
    }
    events->items[events->count++] = event;
    return true;
}

#endif
