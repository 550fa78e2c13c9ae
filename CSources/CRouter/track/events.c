/* The event array. SPDX-License-Identifier: Apache-2.0 */
#include "track/events.h"

#include <stdlib.h>

bool rh_events_init(struct rh_events *events)
{
    *events = (struct rh_events){.items = calloc(RH_EVENTS_MAX, sizeof *events->items)};
    return events->items != NULL;
}

void rh_events_deinit(struct rh_events *events)
{
    free(events->items);
    *events = (struct rh_events){0};
}
