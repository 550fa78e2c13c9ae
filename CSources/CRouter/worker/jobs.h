/* Jobs from any thread to a worker's thread: an unbounded queue of many producers, one consumer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A linked queue after D. Vyukov: a push is one exchange and never waits. Jobs of one thread
 * stay in order. The only memory taken after start-up: 16 B a waiting job, on control calls
 * alone. Owner: struct rh_worker. */
#ifndef RH_WORKER_JOBS_H
#define RH_WORKER_JOBS_H

#include <stdatomic.h>

struct rh_job {
    _Atomic(struct rh_job *) next;
    void *job;
};

struct rh_jobs {
    alignas(64) _Atomic(struct rh_job *) head; /* newest; producers */
    alignas(64) struct rh_job *tail;           /* oldest; consumer */
    struct rh_job stub;
};

void rh_jobs_init(struct rh_jobs *jobs);

/* Frees the nodes of jobs that were never taken. */
void rh_jobs_deinit(struct rh_jobs *jobs);

/* Adds a job (not NULL). any thread. */
void rh_jobs_push(struct rh_jobs *jobs, void *job);

/* Takes the oldest job. Returns NULL when there is none, or when the oldest is just being
 * pushed: the pusher's wake-up comes after it. Consumer only. */
void *rh_jobs_pop(struct rh_jobs *jobs);

#endif
