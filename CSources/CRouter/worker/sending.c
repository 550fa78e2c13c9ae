/* When and how a worker sends. SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "wire/assert.h"
#include "worker/worker.h"

/* Hands the queue to the kernel and counts. */
static void flush(struct rh_worker *worker, bool give_up)
{
    if (worker->forwarder.queue.count == 0)
        return;
    struct rh_media *media = &worker->forwarder.media;
    struct rh_udp_sent sent = rh_udp_flush(&worker->udp, &worker->forwarder.queue, give_up);
    RH_COUNT(media, sent_packets, sent.packets);
    RH_COUNT(media, sent_bytes, sent.bytes);
    RH_COUNT(media, sent_messages, sent.messages);
    RH_COUNT(media, segmented_messages, sent.segmented_messages);
    RH_COUNT(media, segmented_packets, sent.segmented_packets);
    RH_COUNT(media, segmentation_refused, sent.refused);
    RH_COUNT(media, send_calls, sent.calls);
    RH_COUNT(media, send_dropped, sent.dropped);
    RH_COUNT(media, send_errors, sent.errors);
    if (worker->udp.segmentation_refused && !worker->forwarder.segmentation_off) {
        worker->forwarder.segmentation_off = true;
        RH_COUNT(media, segmentation_off, 1);
    }
    rh_worker_watch(worker);
}

void rh_worker_flush(struct rh_worker *worker)
{
    flush(worker, true);
}

void rh_worker_flush_some(struct rh_worker *worker)
{
    flush(worker, false);
}

void rh_worker_send_pending(struct rh_worker *worker)
{
    struct rh_forwarder *forwarder = &worker->forwarder;
    if (rh_forwarder_has_pending(forwarder)) {
        uint64_t now_us = rh_now_us(worker);
        while (rh_forwarder_write_pending(forwarder, now_us) == RH_FULL)
            flush(worker, true);
    }
    worker->send_due_us = 0;
    flush(worker, false);
}

/* What is due goes out at the end of this wake-up. */
static void on_send_timer(uv_timer_t *timer)
{
    (void)timer;
}

void rh_worker_send_due(struct rh_worker *worker)
{
    if (!rh_forwarder_has_pending(&worker->forwarder)) {
        flush(worker, false);
        return;
    }
    uint64_t now_us = rh_worker_now_us(worker);
    if (worker->send_due_us == 0)
        worker->send_due_us = now_us + worker->send_window_us;
    if (now_us >= worker->send_due_us) {
        rh_worker_send_pending(worker);
        return;
    }
    flush(worker, false);
    if (!uv_is_active((uv_handle_t *)&worker->send_timer))
        uv_timer_start(
            &worker->send_timer, on_send_timer, (worker->send_due_us - now_us + 999) / 1000, 0);
}

void rh_worker_adapt_window(struct rh_worker *worker, uint64_t now_us)
{
    struct rh_counters *counters = &worker->forwarder.media.counters;
    uint64_t elapsed_us = now_us - worker->rate_at_us;
    if (elapsed_us == 0)
        return;
    uint64_t newly = counters->forwarded_packets - worker->rate_packets;
    uint64_t rate = newly * 1000000 / elapsed_us;
    worker->rate = (uint32_t)((3ull * worker->rate + (rate < UINT32_MAX ? rate : 0)) / 4);
    worker->rate_at_us = now_us;
    worker->rate_packets = counters->forwarded_packets;
    uint64_t above = worker->rate > RH_WINDOW_RATE_LOW ? worker->rate - RH_WINDOW_RATE_LOW : 0;
    uint64_t whole = RH_WINDOW_RATE_FULL - RH_WINDOW_RATE_LOW;
    if (above > whole)
        above = whole;
    worker->send_window_us = (uint32_t)(worker->config.send_window_us * above / whole);
    __atomic_store_n(&counters->send_window_us, worker->send_window_us, __ATOMIC_RELAXED);
}

void rh_worker_forward(struct rh_worker *worker, struct rh_forward_job *job)
{
    while (rh_forward(&worker->forwarder, job, rh_worker_now_us(worker)) == RH_FULL) {
        RH_COUNT(&worker->forwarder.media, queue_full, 1);
        rh_worker_send_pending(worker);
    }
}
