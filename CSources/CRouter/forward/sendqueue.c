/* The send queue. SPDX-License-Identifier: Apache-2.0 */
#include "forward/sendqueue.h"

#include <stdlib.h>

bool rh_sendqueue_init(struct rh_sendqueue *queue)
{
    *queue = (struct rh_sendqueue){
        .arena = calloc(1, RH_SEND_QUEUE_BYTES),
        .entries = calloc(RH_SEND_QUEUE_MESSAGES, sizeof *queue->entries)};
    if (queue->arena == NULL || queue->entries == NULL) {
        rh_sendqueue_deinit(queue);
        return false;
    }
    return true;
}

void rh_sendqueue_deinit(struct rh_sendqueue *queue)
{
    free(queue->arena);
    free(queue->entries);
    *queue = (struct rh_sendqueue){0};
}
