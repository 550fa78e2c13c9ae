/* Lists of waiting packets. SPDX-License-Identifier: Apache-2.0 */
#include "forward/pending.h"

#include <stdlib.h>

bool rh_pending_init(struct rh_pending *pending, uint32_t peers_max)
{
    *pending = (struct rh_pending){
        .packets = calloc(RH_PENDING_PACKETS, sizeof *pending->packets),
        .lists = calloc(peers_max, sizeof *pending->lists),
        .peers = calloc(peers_max, sizeof *pending->peers)};
    if (pending->packets == NULL || pending->lists == NULL || pending->peers == NULL) {
        rh_pending_deinit(pending);
        return false;
    }
    for (uint32_t i = 0; i < peers_max; i++)
        pending->lists[i] = (struct rh_pending_list){RH_NO_INDEX, RH_NO_INDEX};
    return true;
}

void rh_pending_deinit(struct rh_pending *pending)
{
    free(pending->packets);
    free(pending->lists);
    free(pending->peers);
    *pending = (struct rh_pending){0};
}

void rh_pending_restart(struct rh_pending *pending)
{
    pending->count = 0;
    pending->peer_count = 0;
    pending->peer_next = 0;
}
