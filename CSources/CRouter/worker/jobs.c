/* The job queue. SPDX-License-Identifier: Apache-2.0 */
#include "worker/jobs.h"

#include <stdlib.h>

#include "wire/assert.h"

static void push_node(struct rh_jobs *jobs, struct rh_job *node)
{
    atomic_store_explicit(&node->next, NULL, memory_order_relaxed);
    struct rh_job *previous = atomic_exchange_explicit(&jobs->head, node, memory_order_acq_rel);
    atomic_store_explicit(&previous->next, node, memory_order_release);
}

void rh_jobs_init(struct rh_jobs *jobs)
{
    atomic_init(&jobs->stub.next, NULL);
    jobs->stub.job = NULL;
    atomic_init(&jobs->head, &jobs->stub);
    jobs->tail = &jobs->stub;
}

void rh_jobs_deinit(struct rh_jobs *jobs)
{
    while (rh_jobs_pop(jobs) != NULL)
        continue;
}

/* The node of one waiting job, the only memory taken after start-up. */
static struct rh_job *init_node(void *job)
{
    struct rh_job *node = malloc(sizeof *node);
    RH_ASSERT(node != NULL);
    node->job = job;
    return node;
}

static void deinit_node(struct rh_job *node)
{
    free(node);
}

void rh_jobs_push(struct rh_jobs *jobs, void *job)
{
    RH_ASSERT(job != NULL);
    push_node(jobs, init_node(job));
}

/* Takes the node at the tail, which is known to have a successor. */
static void *take(struct rh_jobs *jobs, struct rh_job *next)
{
    struct rh_job *node = jobs->tail;
    void *job = node->job;
    jobs->tail = next;
    deinit_node(node);
    return job;
}

void *rh_jobs_pop(struct rh_jobs *jobs)
{
    struct rh_job *next = atomic_load_explicit(&jobs->tail->next, memory_order_acquire);
    if (jobs->tail == &jobs->stub) {
        if (next == NULL)
            return NULL;
        jobs->tail = next;
        next = atomic_load_explicit(&jobs->tail->next, memory_order_acquire);
    }
    if (next != NULL)
        return take(jobs, next);
    if (jobs->tail != atomic_load_explicit(&jobs->head, memory_order_acquire))
        return NULL;
    push_node(jobs, &jobs->stub);
    next = atomic_load_explicit(&jobs->tail->next, memory_order_acquire);
    return next != NULL ? take(jobs, next) : NULL;
}
