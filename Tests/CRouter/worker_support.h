/* Real workers, and clients that speak SRTP through libsrtp2. SPDX-License-Identifier: Apache-2.0
 *
 * A client is a UDP socket on loopback and a libsrtp2 session in each direction: the independent
 * peer of every test of the packet path. Nothing sleeps; whatever is waited for has a deadline. */
#ifndef RH_TESTS_WORKER_SUPPORT_H
#define RH_TESTS_WORKER_SUPPORT_H

#include <pthread.h>
#include <semaphore.h>
#include <srtp2/srtp.h>

#include "rh_router.h"
#include "wire_support.h"

enum {
    EVENTS_KEPT_MAX = 4096,
    WAIT_MS = 10000,
    PT_AUDIO = 111, PT_VIDEO = 96, PT_RTX = 97, PT_VIDEO_OUT = 100, PT_RTX_OUT = 101,
    ID_MID = 1, ID_RID = 2, ID_REPAIRED = 3, ID_SEND_TIME = 4, ID_TRANSPORT = 5, ID_LEVEL = 6,
};

struct host {
    struct rh_worker *worker;
    pthread_mutex_t lock; /* of what follows */
    struct rh_event events[EVENTS_KEPT_MAX];
    uint32_t event_count;
    uint32_t datagrams[4]; /* by enum rh_datagram_kind */
    struct rh_datagram last_datagram;
    uint64_t ticks;
};

/* A started worker on 127.0.0.1; make, connect and start apart for several. */
void host_make(struct host *host, uint32_t index);
void host_start(struct host *host);
void host_end(struct host *host); /* stops and destroys */
void host_stop(struct host *host);
void host_destroy(struct host *host);

/* Runs a function on the worker's thread and waits until it is done. */
void host_run(
    struct host *host, void (*function)(struct host *host, void *argument), void *argument);

/* Waits until an event of that kind was told; copies the first one from place on. Returns the place
 * after it, 0 when it did not come. */
uint32_t host_wait_event(
    struct host *host, enum rh_event_kind kind, uint32_t from, struct rh_event *event);
/* Waits until count datagrams of that kind were told. */
bool host_wait_datagrams(struct host *host, enum rh_datagram_kind kind, uint32_t count);
struct rh_counters host_counters(const struct host *host);
/* Waits until a counter (offset in struct rh_counters) reached value. */
bool host_wait_counter(const struct host *host, size_t offset, uint64_t value);

struct client {
    struct host *host;
    int fd;
    rh_peer_id peer;
    srtp_t send, receive;
    struct rh_srtp_keys send_keys, receive_keys; /* the client's view */
    struct rh_address address;
};

/* A connected participant: socket, address, keys, extension ids. */
void client_make(
    struct client *client, struct host *host, enum rh_srtp_profile profile, uint64_t seed);
void client_end(struct client *client); /* socket and sessions; the peer is the worker's */

/* A packet to send; 0 and NULL leave an element out. */
struct packet {
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint8_t payload_type;
    bool marker;
    const char *mid, *rid;
    const uint8_t *payload;
    size_t payload_bytes;
};
void client_send(struct client *client, const struct packet *packet);
/* The same for several of one size (the last may be shorter) in one kernel message
 * (UDP_SEGMENT). */
void client_send_together(struct client *client, const struct packet *packets, uint32_t count);

/* Writes a VP8 payload (RFC 7741) whose body repeats fill; returns its bytes. */
struct vp8 {
    bool key, start;
    uint16_t picture_id;
    uint8_t tl0, tid, fill;
    size_t body_bytes;
};
size_t vp8_payload(const struct vp8 *vp8, uint8_t *out);

/* A received and opened packet. */
struct received {
    uint8_t bytes[1600];
    size_t size;
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint8_t payload_type;
    bool marker;
    const uint8_t *payload;
    size_t payload_bytes;
    char mid[20]; /* "" without */
    bool has_send_time;
};
/* Waits for the next media packet. Returns false when none came in time or it did not
 * authenticate. */
bool client_receive(struct client *client, struct received *received, int wait_ms);

/* Objects, made on the worker's thread. */
rh_track_id track_make(struct host *host, rh_peer_id peer, const struct rh_track_config *config);
rh_slot_id slot_make(struct host *host, rh_peer_id peer, const struct rh_slot_config *config);
enum rh_result slot_bind(struct host *host, rh_slot_id slot, const struct rh_slot_binding *binding);
struct rh_track_config video_config(const char *mid, uint8_t encodings);
struct rh_track_config audio_config(const char *mid);
struct rh_slot_config slot_config(uint8_t kind, uint32_t ssrc, const char *mid);

#endif
