/* The state of the load tool's loop. SPDX-License-Identifier: Apache-2.0
 *
 * Everything here is touched by the loop's thread alone, but for what is marked "any thread":
 * the job queue, the table of endpoint places (behind a mutex) and the wake-up descriptor.
 * Memory: a loop 0.9 MiB, an endpoint 2.2 KiB and 8 B for each table place, a stream 0.4 KiB and 40
 * B for each packet of its history, a slot 1.5 KiB. */
#ifndef RH_LOAD_LOOP_H
#define RH_LOAD_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "arrivals.h"
#include "crypto/srtp.h"
#include "histogram.h"
#include "rh_load.h"
#include "rtcp.h"
#include "worker/jobs.h"

enum {
    RH_LOAD_RECEIVE_MESSAGES = 8,      /* read in one recvmmsg */
    RH_LOAD_MESSAGE_BYTES = 65536,     /* what GRO puts together at most */
    RH_LOAD_OUTBOX_DATAGRAMS = 128,
    RH_LOAD_OUTBOX_BYTES = RH_LOAD_OUTBOX_DATAGRAMS * (RH_LOAD_DATAGRAM_BYTES_MAX + 4),
    RH_LOAD_MISSING_MAX = 32,          /* numbers of a slot that are asked for at a time */
    RH_LOAD_RESEND_TRIES = 8,
    RH_LOAD_MARKERS = 16,              /* frames of a slot whose end is known */
};

#define RH_LOAD_MS UINT64_C(1000000)
#define RH_LOAD_SECOND UINT64_C(1000000000)
#define RH_LOAD_NEVER UINT64_MAX

/* ---- Sending ---- */

/* One packet that was sent, enough to write it again. Owner: a stream's history. */
struct rh_load_sent {
    uint64_t seq64;          /* 0: free */
    uint64_t sent_ns;        /* of the stamp */
    uint64_t resent_ns;      /* 0: never */
    uint32_t timestamp;
    uint32_t frame;          /* clip: index; shape: payload bytes */
    uint16_t packet, packets; /* of the frame */
    uint16_t picture_id;     /* clip: offset of the cursor */
    uint8_t tl0;             /* so */
    bool is_keyframe;
};

/* The frame that is being sent. */
struct rh_load_current {
    bool is_begun;
    struct rh_load_sent sent; /* of its next packet */
};

/* Owner: an endpoint. */
struct rh_load_stream {
    struct rh_load_stream_config config;
    struct rh_load_stream_report report;
    uint64_t begin_ns;       /* media time 0; 0: not begun */
    uint64_t due_ns;         /* next packet or frame */
    uint64_t media_time;     /* of the next frame, clock units since begin_ns */
    uint64_t frame_number;   /* of the next frame of a shape */
    uint64_t next_seq64, next_rtx_seq64;
    uint64_t octets;         /* payload, for sender reports */
    uint64_t described_until_ns; /* MID and RID are written until then */
    uint32_t last_timestamp;
    uint64_t last_timestamp_ns;
    uint64_t random;
    bool wants_keyframe;
    struct rh_clip_cursor cursor;
    struct rh_load_current current;
    struct rh_load_sent *history; /* place seq64 % history_packets; NULL: none */
    uint32_t history_packets;
};

/* ---- Receiving ---- */

struct rh_load_missing {
    uint64_t seq64;      /* 0: free */
    uint64_t ask_ns;
    uint32_t tries;
};

/* The newest keyframe, while it comes. Numbers are 0 while unknown. */
struct rh_load_frame_search {
    uint64_t first_seq64, last_seq64;
    uint64_t arrival_ns; /* of its first packet */
    uint32_t timestamp;
};

/* A frame's last packet that was opened. */
struct rh_load_marker {
    uint64_t seq64;
    uint32_t timestamp;
};

/* Owner: an endpoint. What every packet touches comes first. */
struct rh_load_slot {
    alignas(64) struct rh_load_slot_config config;
    double units_per_ns;
    uint32_t until_open;          /* packets until the next is opened */
    bool is_resting;              /* the next packet begins something new */
    bool is_marked;
    bool is_searching;            /* for the first complete frame: every packet is opened */
    uint64_t bytes, frames;
    uint64_t last_frame_ns;       /* 0: resting */
    uint64_t last_packet_ns, first_packet_ns, longest_gap_ns;
    struct rh_load_arrivals arrivals;

    uint64_t rest_ns;             /* resting since; packets still on their way do not end it */
    uint32_t source_id;
    uint64_t source_packet_ns, source_frame_ns;
    struct rh_load_mark mark;     /* the newest */
    uint64_t mark_first_packet_ns, mark_first_frame_ns;
    struct rh_load_frame_search search;
    uint32_t marker_count;        /* place of the next, modulo RH_LOAD_MARKERS */
    struct rh_load_marker markers[RH_LOAD_MARKERS];
    uint64_t recovered, nacked, decrypted, unauthentic, padding_packets, keyframes;
    uint64_t rtx_highest_seq64;   /* 0: none yet */
    uint32_t sender_report;       /* middle of its NTP time */
    uint64_t sender_report_ns;    /* 0: none came */
    uint64_t reported_packets;    /* at the last receiver report */
    uint64_t picture_loss_ns;     /* of our last PLI */
    uint32_t missing_count;
    struct rh_load_missing missing[RH_LOAD_MISSING_MAX];
};

/* Where an SSRC leads. Open addressing; ssrc_used false: free. */
struct rh_load_place {
    uint32_t ssrc;
    uint16_t slot;
    bool is_used, is_rtx;
};

/* One participant's transport. Owner: the loop. */
struct rh_load_endpoint {
    rh_load_endpoint_id id;
    struct rh_load_endpoint_config config;
    int fd;
    bool is_v6, has_remote, has_keys;
    struct rh_srtp_send send;
    struct rh_srtp_receive receive;
    struct rh_extension_map extensions;
    uint64_t due_ns;              /* the next of anything below */
    uint64_t rtcp_due_ns, missing_due_ns, watch_until_ns;
    uint16_t transport_seq;
    uint32_t kernel_drops_last;
    struct rh_load_endpoint_report report;
    struct rh_load_stream *streams[RH_LOAD_STREAMS_PER_ENDPOINT];
    uint32_t stream_count;
    struct rh_load_slot **slots;
    uint32_t slot_count, slot_capacity;
    struct rh_load_place *places; /* a power of two, at most half full */
    uint32_t place_mask;          /* count - 1; places NULL: none */
};

/* Datagrams for one socket, gathered and sent together. Owner: the loop. */
struct rh_load_outbox {
    struct rh_load_endpoint *endpoint; /* whose they are; NULL: empty */
    uint32_t count;
    uint32_t used_bytes;
    uint16_t sizes[RH_LOAD_OUTBOX_DATAGRAMS];
    uint32_t offsets[RH_LOAD_OUTBOX_DATAGRAMS];
    uint8_t *arena; /* RH_LOAD_OUTBOX_BYTES */
};

/* A wish from another thread; freed after it ran unless done is set. */
struct rh_load_command {
    void (*run)(struct rh_load_loop *loop, struct rh_load_command *command);
    rh_load_endpoint_id endpoint;
    void *waiter;      /* sem_t of the caller that waits; NULL: the loop frees the command */
    void *context;     /* of run; for waiting callers */
    uint32_t bytes;    /* of arguments */
    alignas(max_align_t) uint8_t arguments[];
};

/* Owner of a place: the loop's thread; the arrays themselves: behind places_lock. */
struct rh_load_endpoint_place {
    struct rh_load_endpoint *endpoint; /* loop's thread; NULL: none */
    uint64_t due_ns;                   /* so; copied from the endpoint, kept dense */
};

struct rh_load_loop {
    struct rh_load_loop_config config;
    uint64_t tick_ns, started_ns;
    uint64_t now_ns;              /* read once a wake-up */
    int64_t realtime_offset_ns;   /* CLOCK_REALTIME - CLOCK_MONOTONIC, read once a wake-up */
    uint64_t random;              /* of the impairment */
    uint64_t sample_random;       /* of what is opened */
    uint64_t loss_out, loss_in;   /* of 2^32 */
    const struct rh_cipher_backend *backend;

    pthread_t thread;
    struct rh_jobs jobs;          /* any thread */
    int wake_fd, epoll_fd;        /* wake_fd: any thread writes */
    atomic_bool is_stopping;      /* any thread */

    pthread_mutex_t places_lock;
    uint16_t *generations;        /* behind the lock; of endpoint places */
    uint32_t *free_places;        /* so; a stack */
    uint32_t free_count;          /* so */

    struct rh_load_endpoint_place *endpoints;
    uint32_t endpoint_end;        /* places in use are below this */
    uint32_t sockets_granted_bytes;

    struct rh_load_outbox outbox;
    struct rh_load_receive_batch *batch; /* see sockets.c */
    struct rh_load_loop_report totals;
    struct rh_load_histogram histograms[RH_LOAD_HISTOGRAMS];
};

/* Uniform over 64 bits (SplitMix64). state: any value. */
static inline uint64_t rh_load_random(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* True when a datagram is lost; chance in 2^-32. */
static inline bool rh_load_is_lost(struct rh_load_loop *loop, uint64_t chance)
{
    return chance != 0 && (rh_load_random(&loop->random) & UINT32_MAX) < chance;
}

static inline struct rh_load_media_totals *rh_load_totals(struct rh_load_loop *loop, uint8_t kind)
{
    return kind == RH_AUDIO ? &loop->totals.audio : &loop->totals.video;
}

/* ---- loop.c ---- */

/* The endpoint; NULL when it is gone. Loop's thread. */
struct rh_load_endpoint *rh_load_find_endpoint(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint);
/* Something of the endpoint is due at due_ns or later; wakes nobody: it is seen at the tick. */
void rh_load_schedule(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint64_t due_ns);
/* Hands a command to the thread. any thread. */
void rh_load_enqueue(struct rh_load_loop *loop, struct rh_load_command *command);
bool rh_load_is_current(const struct rh_load_loop *loop); /* any thread */

/* ---- sockets.c ---- */

/* any thread: opens and binds; fills fd, is_v6. */
enum rh_result rh_load_socket_open(
    const struct rh_load_loop *loop, const struct rh_address *bind_to,
    struct rh_load_endpoint *endpoint, struct rh_address *local);
uint32_t rh_load_socket_granted(int fd);
bool rh_load_socket_connect(struct rh_load_endpoint *endpoint, const struct rh_address *remote);
struct rh_load_receive_batch *rh_load_receive_init(void);
void rh_load_receive_deinit(struct rh_load_receive_batch *batch);
/* Reads all that waits on every socket. */
void rh_load_receive_all(struct rh_load_loop *loop);

/* ---- outbox.c ---- */

/* Room for one datagram of at most RH_LOAD_DATAGRAM_BYTES_MAX for the endpoint; sends first what
 * another endpoint has there, or when full. */
uint8_t *rh_load_outbox_reserve(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);
/* Takes the reserved datagram. */
void rh_load_outbox_commit(struct rh_load_loop *loop, size_t size);
void rh_load_outbox_flush(struct rh_load_loop *loop);
/* At once, unscheduled; to NULL: the remote. */
void rh_load_send_now(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, const struct rh_address *to,
    const uint8_t *bytes, size_t size);

/* ---- payload.c ---- */

/* Writes a packet's payload, stamp included. out: RH_LOAD_DATAGRAM_BYTES_MAX. Returns its bytes. */
size_t rh_load_payload_write(
    const struct rh_load_stream_config *config, const struct rh_load_sent *sent, uint8_t *out);
bool rh_load_payload_marker(
    const struct rh_load_stream_config *config, const struct rh_load_sent *sent);
/* The stamp at a payload's end. Returns false when there is none. */
bool rh_load_stamp_read(
    const uint8_t *payload, size_t bytes, uint32_t *source_id, uint64_t *sent_ns);

/* ---- header.c ---- */

struct rh_load_header {
    const struct rh_extension_ids *ids;
    const char *mid, *rid, *repaired_rid; /* "": not written */
    uint32_t timestamp, ssrc, abs_send_time;
    uint16_t seq, transport_seq;
    uint8_t payload_type, audio_level;
    bool marker, has_audio_level, has_voice;
};
/* Writes an RTP header with its extensions (RFC 8285). out: 128 bytes. Returns its bytes. */
size_t rh_load_header_write(const struct rh_load_header *header, uint8_t *out);

/* ---- streams.c ---- */

enum rh_result rh_load_stream_check(const struct rh_load_stream_config *config);
struct rh_load_stream *rh_load_stream_create(const struct rh_load_stream_config *config);
void rh_load_stream_destroy(struct rh_load_stream *stream);
struct rh_load_stream *rh_load_find_stream(struct rh_load_endpoint *endpoint, uint32_t ssrc);
/* Sends what is due of every stream. Returns when the next is. */
uint64_t rh_load_streams_tick(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);
/* Sends one packet again by RTX. */
void rh_load_stream_resend(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_stream *stream,
    uint16_t seq);

/* ---- slots.c ---- */

/* Makes or changes a slot. False: no memory or the endpoint is full. */
bool rh_load_slot_expect(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_slot_config *config);
void rh_load_slot_forget_ssrc(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, uint32_t ssrc);
void rh_load_slots_destroy(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);
struct rh_load_slot *rh_load_find_slot(struct rh_load_endpoint *endpoint, uint32_t ssrc);
void rh_load_slot_apply_mark(
    struct rh_load_loop *loop, struct rh_load_slot *slot, const struct rh_load_mark *mark);
/* Settles the mark when what it waits for has come. */
void rh_load_slot_note_mark(struct rh_load_loop *loop, struct rh_load_slot *slot);
void rh_load_slot_fill_report(
    const struct rh_load_slot *slot, struct rh_load_slot_report *report);
/* Finds who an SSRC is. NULL: nobody. */
const struct rh_load_place *rh_load_find_place(
    const struct rh_load_endpoint *endpoint, uint32_t ssrc);

/* ---- media.c ---- */

struct rh_load_received {
    uint8_t *bytes;
    size_t size;
    uint64_t arrival_ns;
};
/* Fetches what counting the RTP packet at bytes (12 or more) will touch. */
void rh_load_prefetch(const struct rh_load_endpoint *endpoint, const uint8_t *bytes);
/* One datagram that is RTP. */
void rh_load_on_rtp(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received);

/* ---- feedback.c ---- */

/* One datagram that is RTCP. */
void rh_load_on_rtcp(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint,
    const struct rh_load_received *received);
/* Sender and receiver reports when due, NACKs when due. Returns when the next is. */
uint64_t rh_load_feedback_tick(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);
void rh_load_send_pli(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot);
void rh_load_send_bye(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);
/* A number of the slot is missing: ask for it soon. */
void rh_load_note_missing(
    struct rh_load_loop *loop, struct rh_load_endpoint *endpoint, struct rh_load_slot *slot,
    uint64_t first_seq64, uint32_t count);

#endif
