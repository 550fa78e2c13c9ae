/* One worker: a thread with a libuv loop, a UDP socket and a forwarder.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A wake-up: the clock is read once; datagrams, relayed packets and jobs are handled; then the
 * owner is told what there is to tell, in one batch, and what was written is sent. Owner:
 * whoever called rh_worker_create. Only jobs, relay rings, counters and the wake-up are touched
 * by other threads. */
#ifndef RH_WORKER_WORKER_H
#define RH_WORKER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "forward/forward.h"
#include "rh_router.h"
#include "worker/jobs.h"
#include "worker/udp.h"

struct rh_worker {
    struct rh_forwarder forwarder;
    struct rh_udp udp;
    struct rh_jobs jobs;
    struct rh_worker_config config;

    uint64_t now_us;     /* of this wake-up; 0: not read yet */
    uint64_t tick_at_us; /* when the next tick is due */
    bool tick;           /* fired in this wake-up */
    uint64_t send_due_us;    /* when what waits for subscribers is written; 0: nothing waits */
    uint32_t send_window_us; /* how long it waits now */
    uint64_t rate_at_us;     /* when the rate was measured last, */
    uint64_t rate_packets;   /* forwarded packets by then, */
    uint32_t rate;           /* and packets a second, smoothed */
    int watched_events;      /* of the socket, in the loop */
    bool pauses_reading;     /* the socket is looked at when read_timer fires */

    struct rh_buffer *spare[RH_RECEIVE_BATCH]; /* buffers for the next receive call */
    uint32_t spare_count;
    struct rh_datagram datagrams[RH_DATAGRAMS_MAX]; /* for the owner, in this wake-up */
    struct rh_buffer *datagram_buffers[RH_DATAGRAMS_MAX]; /* which hold their bytes */
    uint32_t datagram_count;

    struct rh_worker *targets[RH_WORKERS_MAX]; /* whom a relay ring leads to; NULL: none */

    uv_loop_t loop;
    int wake_fd;        /* an eventfd: something is to be done for other threads */
    _Atomic bool woken; /* wake_fd was written and not yet read */
    uv_poll_t wake;
    uv_timer_t timer;
    uv_timer_t send_timer;
    uv_timer_t read_timer;
    uv_poll_t readable;
    uv_prepare_t prepare;
    uv_check_t check;
    pthread_t thread;              /* the starter's */
    _Atomic(uintptr_t) thread_id;  /* pthread_self of the running thread; 0: none */
    _Atomic bool running;  /* the thread exists */
    _Atomic bool stopping; /* rh_worker_stop was called */
};

/* Tells the loop what to watch the socket for: readability, but in a pause of reading, and
 * writability while the kernel takes no more. */
void rh_worker_watch(struct rh_worker *worker);

/* Sends what the send queue holds; what the kernel does not take is given up. */
void rh_worker_flush(struct rh_worker *worker);

/* The same, but what the kernel does not take stays. */
void rh_worker_flush_some(struct rh_worker *worker);

/* Writes and sends all that waits for subscribers. */
void rh_worker_send_pending(struct rh_worker *worker);

/* Sends now what is due, and sees to it that the rest is sent in time. Ends each wake-up. */
void rh_worker_send_due(struct rh_worker *worker);

/* Sets the time that packets wait for company: it grows with the rate, since few packets find none
 * anyhow. Each tick. */
void rh_worker_adapt_window(struct rh_worker *worker, uint64_t now_us);

/* Has the loop run jobs and drain relay rings. any thread. */
void rh_worker_wake(struct rh_worker *worker);

/* Time of this wake-up. */
uint64_t rh_worker_now_us(struct rh_worker *worker);

/* Forwards a packet held in buffer (and gives the buffer back), flushing as often as needed. */
void rh_worker_forward(struct rh_worker *worker, struct rh_forward_job *job);

#endif
