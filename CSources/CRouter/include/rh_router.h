/* The packet path of a Roundhouse media worker: public interface of CRouter.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A worker is one thread with one libuv loop and one UDP socket. Everything a worker owns (peers,
 * tracks, slots, packet buffers) is touched on its own thread only: each function below that takes
 * a worker must be called on that worker's thread, except where its comment says "any thread".
 *
 *   peer      one participant's transport: an address, SRTP keys, header-extension ids
 *   track     one source published by a peer, with 1 to 3 simulcast encodings
 *   mirror    a track whose packets come from another worker over a relay ring
 *   slot      one outgoing RTP stream of a peer: SSRC, sequence numbers and timestamps of its own,
 *             bound to at most one track at a time; binding another track continues the numbers
 *
 * Handles are never reused while anyone can hold an old one: index and generation; 0 is "none".
 * A stale handle gives RH_STALE and changes nothing. Times are microseconds of CLOCK_MONOTONIC. */
#ifndef RH_ROUTER_H
#define RH_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rh_result {
    RH_OK = 0,
    RH_TRUNCATED,    /* bytes end before the structure does */
    RH_MALFORMED,    /* bytes contradict the format */
    RH_UNSUPPORTED,  /* valid, but nothing this build handles */
    RH_FULL,         /* a stated limit is reached */
    RH_STALE,        /* the handle names nothing that still exists */
    RH_REPLAYED,     /* SRTP index seen before or too old (RFC 3711 section 3.3.2) */
    RH_UNAUTHENTIC,  /* SRTP authentication failed */
    RH_SYSTEM,       /* the operating system refused; errno is kept */
};

typedef uint32_t rh_peer_id;
typedef uint32_t rh_track_id;
typedef uint32_t rh_slot_id;

enum { RH_ENCODINGS_MAX = 3, RH_MID_BYTES_MAX = 16, RH_WORKERS_MAX = 64 };

/* An IP address and UDP port. family 4 or 6; port in host byte order; IPv4 in ip[0..3]. */
struct rh_address {
    uint8_t family;
    uint8_t reserved;
    uint16_t port;
    uint8_t ip[16];
};

enum rh_media_kind { RH_AUDIO = 1, RH_VIDEO = 2 };

enum rh_codec {
    RH_CODEC_NONE = 0,
    RH_CODEC_OPUS,
    RH_CODEC_VP8,
    RH_CODEC_VP9,
    RH_CODEC_H264,
    RH_CODEC_AV1,
};

/* ---- What a worker tells its owner ------------------------------------------------------- */

enum rh_datagram_kind {
    RH_DATAGRAM_STUN = 1, /* as received (RFC 8489); peer may be 0 */
    RH_DATAGRAM_DTLS,     /* as received; peer is 0 for an address that no peer has */
    RH_DATAGRAM_RTCP,     /* authenticated and decrypted compound or reduced-size packet */
};

/* A datagram that the packet path does not handle itself. bytes are valid during the call only. */
struct rh_datagram {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t kind; /* enum rh_datagram_kind */
    rh_peer_id peer;
    struct rh_address from;
};

enum rh_event_kind {
    RH_EVENT_SOURCE_BOUND = 1, /* ssrc now feeds (track, encoding); count 1 for its RTX stream */
    RH_EVENT_SOURCE_UNKNOWN,   /* peer sends ssrc of no track; at most one a second */
    RH_EVENT_GAP,              /* (track, encoding): count packets from seq64 on have not arrived */
    RH_EVENT_KEYFRAME_WANTED,  /* (track, encoding): a slot waits for one; once a wake-up */
    RH_EVENT_KEYFRAME,         /* (track, encoding): the first packet of a keyframe arrived */
    RH_EVENT_SWITCHED,         /* slot now carries (track, encoding), beginning with a keyframe */
};

/* A state change seen on the packet path. Fields that a kind does not name are 0. */
struct rh_event {
    uint32_t kind; /* enum rh_event_kind */
    uint32_t encoding;
    rh_peer_id peer;
    rh_track_id track;
    rh_slot_id slot;
    uint32_t ssrc;
    uint32_t count;
    uint64_t seq64;
};

/* All that a wake-up of the loop has to tell; arrays are valid during the call only. */
struct rh_batch {
    uint64_t now_us;
    const struct rh_datagram *datagrams;
    const struct rh_event *events;
    uint32_t datagram_count;
    uint32_t event_count;
    bool tick; /* the worker's timer fired */
};

/* Calls into the owner, all on the worker's thread. */
struct rh_worker_calls {
    void *context;
    /* a job from rh_worker_enqueue */
    void (*run_job)(void *context, void *job);
    void (*on_batch)(void *context, const struct rh_batch *batch);
};

/* ---- Workers ------------------------------------------------------------------------------ */

struct rh_worker;

struct rh_worker_config {
    struct rh_worker_calls calls;
    struct rh_address bind;       /* port 0: any */
    uint32_t index;               /* place among the workers of this process, < RH_WORKERS_MAX */
    uint32_t tick_us;             /* period of batches with tick set; 1000 or more */
    uint32_t peers_max;           /* 0: default of limits.h; so for the next three */
    uint32_t tracks_max;
    uint32_t slots_max;
    uint32_t buffers_max;         /* packet buffers */
    uint32_t socket_buffer_bytes; /* wanted SO_RCVBUF and SO_SNDBUF; the kernel may grant less */
    uint32_t send_window_us;      /* a media packet waits so long for company, at most; 0: never */
    uint32_t padding_bytes_max;   /* RTP padding that makes a packet as long as its neighbours */
    bool segmentation_off;        /* one packet a kernel message: no UDP_SEGMENT */
    bool coalescing_off;          /* no UDP_GRO */
};

enum { RH_LATENCY_BUCKETS = 20 };

/* Counters since start; readable from any thread, each exact on its own. */
struct rh_counters {
    uint64_t received_packets, received_bytes;   /* datagrams from the socket */
    uint64_t sent_packets, sent_bytes;           /* datagrams handed to the kernel */
    uint64_t forwarded_packets;                  /* RTP packets written for a slot */
    uint64_t resent_packets;                     /* answers to NACK */
    uint64_t relayed_packets, relay_full;        /* to other workers; dropped at a full ring */
    uint64_t send_calls, receive_calls;          /* system calls */
    uint64_t sent_messages;                      /* to the kernel, of 1 or more packets each */
    uint64_t segmented_messages, segmented_packets; /* those with UDP_SEGMENT; packets in them */
    uint64_t segmentation_refused;               /* messages of UDP_SEGMENT sent in pieces */
    uint64_t segmentation_off;                   /* 1: not used, by choice or refused for good */
    uint64_t coalesced_messages, coalesced_packets; /* read by UDP_GRO; packets in them */
    uint64_t padded_packets, padding_bytes;      /* sent longer than they were */
    uint64_t queue_full;                         /* send queues flushed early for want of room */
    uint64_t send_dropped;                       /* the kernel took no more (EAGAIN, ENOBUFS) */
    uint64_t send_errors;                        /* any other error of a send */
    uint64_t kernel_dropped;                     /* SO_RXQ_OVFL */
    uint64_t drop_unknown_address, drop_unknown_source, drop_malformed, drop_unauthentic;
    uint64_t drop_replayed, drop_no_keys, drop_no_buffer, drop_unhandled, drop_muted;
    uint64_t events_lost;                        /* event queue was full; state is re-announced */
    uint64_t jobs_run, loop_lag_max_us;
    uint64_t relay_lag_max_us;                   /* longest way of a packet through a relay ring */
    uint64_t busy_us;                            /* CPU time of the thread: by time, its load */
    uint64_t send_window_us;                     /* the adaptive window now */
    /* Packets by the time from their receive call to the kernel's having them: bucket i holds
     * 2^i to 2^(i+1) us, the first also less, the last also more. */
    uint64_t forward_latency[RH_LATENCY_BUCKETS];
    uint64_t peers, tracks, slots, buffers_used; /* now */
    uint64_t receive_buffer_bytes, send_buffer_bytes; /* granted by the kernel */
};

/* The cipher backend of this process: "ipsec-mb" or "openssl". any thread. */
const char *rh_cipher_name(void);

/* Makes a worker: its memory and its socket, bound but not yet read. any thread.
 * Returns RH_SYSTEM (errno) when memory or the socket is refused; *worker is then NULL. */
enum rh_result rh_worker_create(const struct rh_worker_config *config, struct rh_worker **worker);

/* Lets source send relayed packets to target (one bounded ring). Before either is started. */
enum rh_result rh_worker_connect(struct rh_worker *source, struct rh_worker *target);

/* Starts the thread. any thread. */
enum rh_result rh_worker_start(struct rh_worker *worker);

/* Ends the loop after the jobs already enqueued and joins the thread. any other thread; once. */
void rh_worker_stop(struct rh_worker *worker);

/* Frees everything. After rh_worker_stop of this worker and of all connected with it. */
void rh_worker_destroy(struct rh_worker *worker);

/* Runs job by calls.run_job on the worker's thread, in order. any thread. After stop began, jobs
 * are still run until the queue is empty. */
void rh_worker_enqueue(struct rh_worker *worker, void *job);

/* True on the worker's thread. any thread. */
bool rh_worker_is_current(const struct rh_worker *worker);

/* any thread */
uint16_t rh_worker_port(const struct rh_worker *worker);
/* any thread */
void rh_worker_counters(const struct rh_worker *worker, struct rh_counters *counters);
uint64_t rh_now_us(const struct rh_worker *worker); /* CLOCK_MONOTONIC; any thread */

/* Queues one datagram (STUN, DTLS) as it is; flushed before the loop sleeps.
 * RH_FULL when size exceeds the packet limit. */
enum rh_result rh_worker_send(
    struct rh_worker *worker, const struct rh_address *to, const uint8_t *bytes, size_t size);

/* ---- Peers -------------------------------------------------------------------------------- */

/* Header-extension ids (RFC 8285), the same in both directions and in every bundled section.
 * 0: not negotiated. */
struct rh_extension_ids {
    uint8_t mid;                   /* RFC 9143 section 15 */
    uint8_t rid, repaired_rid;     /* RFC 8852 */
    uint8_t abs_send_time;         /* 24-bit 6.18 fixed-point seconds */
    uint8_t transport_seq;         /* transport-wide sequence number */
    uint8_t audio_level;           /* RFC 6464 */
    uint8_t dependency_descriptor; /* AV1 RTP specification appendix A */
    uint8_t video_orientation;     /* 3GPP TS 26.114; forwarded when both sides have it */
};

enum rh_srtp_profile {
    RH_SRTP_AES128_CM_HMAC_SHA1_80 = 0x0001, /* RFC 5764 section 4.1.2 */
    RH_SRTP_AEAD_AES_128_GCM = 0x0007,       /* RFC 7714 section 14.2 */
};

/* Master keys of one direction. salt: 14 bytes for CM, 12 for GCM, the rest unused. */
struct rh_srtp_keys {
    uint8_t key[16];
    uint8_t salt[14];
};

enum rh_result rh_peer_create(struct rh_worker *worker, rh_peer_id *peer);
enum rh_result rh_peer_set_extensions(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_extension_ids *ids);

/* Datagrams from address now belong to peer; up to 8 addresses, the oldest not selected gives way.
 * An address that another peer had moves. */
enum rh_result rh_peer_add_address(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_address *address);
/* The address to which everything for the peer is sent (the nominated pair). Adds it if new. */
enum rh_result rh_peer_select_address(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_address *address);
/* Stops sending (consent expired); receiving goes on. */
enum rh_result rh_peer_clear_selection(struct rh_worker *worker, rh_peer_id peer);

/* Keys from DTLS (RFC 5764 section 4.2): receive is the remote side's write key. Sequence state of
 * both directions starts anew. */
enum rh_result rh_peer_set_srtp(
    struct rh_worker *worker, rh_peer_id peer, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *receive, const struct rh_srtp_keys *send);

/* Protects one RTCP packet (plain, compound or reduced-size) and queues it. */
enum rh_result rh_peer_send_rtcp(
    struct rh_worker *worker, rh_peer_id peer, const uint8_t *bytes, size_t size);

/* One received packet that carried a transport-wide sequence number. */
struct rh_arrival {
    uint64_t arrival_us;
    uint16_t transport_seq;
};
/* Takes the oldest arrivals, in order of arrival; those beyond the record's size were dropped. */
uint32_t rh_peer_take_arrivals(
    struct rh_worker *worker, rh_peer_id peer, struct rh_arrival *arrivals, uint32_t count_max);

struct rh_peer_report {
    uint64_t received_packets, received_bytes, sent_packets, sent_bytes; /* RTP only */
    uint64_t last_received_us; /* any authenticated packet; 0: never */
    bool has_keys, has_selection;
};
enum rh_result rh_peer_get_report(
    const struct rh_worker *worker, rh_peer_id peer, struct rh_peer_report *report);

/* Destroys the peer with its tracks and slots; slots bound to those tracks become unbound. */
enum rh_result rh_peer_destroy(struct rh_worker *worker, rh_peer_id peer);

/* ---- Tracks -------------------------------------------------------------------------------- */

/* What a publisher was answered for one section. A packet is matched by SSRC, else by MID with RID
 * (or repaired RID), else by the declared SSRCs, else by payload type when only one track has
 * it. */
struct rh_track_config {
    uint8_t kind;             /* enum rh_media_kind */
    uint8_t codec;            /* enum rh_codec */
    uint8_t payload_type;
    uint8_t rtx_payload_type; /* 0: none */
    uint8_t encoding_count;   /* 1..RH_ENCODINGS_MAX, lowest first */
    uint32_t clock_rate;      /* Hz */
    char mid[RH_MID_BYTES_MAX + 1];
    char rid[RH_ENCODINGS_MAX][RH_MID_BYTES_MAX + 1]; /* "" without simulcast */
    uint32_t ssrc[RH_ENCODINGS_MAX];                  /* 0: not declared */
    uint32_t rtx_ssrc[RH_ENCODINGS_MAX];
};

enum rh_result rh_track_create(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_track_config *config,
    rh_track_id *track);
/* A track without a peer whose packets come over a relay ring. */
enum rh_result rh_mirror_create(
    struct rh_worker *worker, const struct rh_track_config *config, rh_track_id *mirror);
/* Relays every accepted packet of track to mirror on the worker with that index. */
enum rh_result rh_track_add_branch(
    struct rh_worker *worker, rh_track_id track, uint32_t worker_index, rh_track_id mirror);
enum rh_result rh_track_remove_branch(
    struct rh_worker *worker, rh_track_id track, uint32_t worker_index);
/* A muted track's packets are received, acknowledged and dropped. */
enum rh_result rh_track_set_muted(struct rh_worker *worker, rh_track_id track, bool muted);
enum rh_result rh_track_destroy(struct rh_worker *worker, rh_track_id track);

/* Packet and byte counts and sequence numbers begin anew when another SSRC replaces ssrc. */
struct rh_encoding_report {
    uint32_t ssrc, rtx_ssrc;      /* 0: nothing received yet */
    uint64_t received_packets;    /* distinct, resends included */
    uint64_t received_bytes;      /* RTP payload bytes */
    uint64_t first_seq64, highest_seq64; /* extended sequence numbers */
    uint64_t duplicate_packets, late_packets;
    uint32_t jitter;              /* RFC 3550 appendix A.8, clock units */
    uint64_t last_arrival_us;
    uint64_t keyframes;
    uint64_t audio_level_sum, audio_level_count; /* of -dBov 0..127 (RFC 6464), running totals */
    uint32_t waiting_slots;       /* slots that wait for a keyframe of this encoding */
    uint32_t active_slots;        /* slots that carry it */
};
enum rh_result rh_encoding_get_report(
    const struct rh_worker *worker, rh_track_id track, uint32_t encoding,
    struct rh_encoding_report *report);
/* True when the packet arrived (or is too old to know). */
bool rh_encoding_has(
    const struct rh_worker *worker, rh_track_id track, uint32_t encoding, uint64_t seq64);
/* The publisher's newest sender report (RFC 3550 section 6.4.1): ntp is the 64-bit NTP time.
 * Used to align timestamps when a slot switches encodings. For a mirror the owner repeats it
 * there. */
enum rh_result rh_encoding_set_sender_report(
    struct rh_worker *worker, rh_track_id track, uint32_t encoding, uint64_t ntp, uint32_t rtp);

/* ---- Slots --------------------------------------------------------------------------------- */

struct rh_slot_config {
    uint8_t kind; /* enum rh_media_kind */
    uint32_t ssrc, rtx_ssrc; /* rtx_ssrc 0: resends go out on ssrc itself, identical bytes */
    uint32_t clock_rate;
    char mid[RH_MID_BYTES_MAX + 1]; /* written as header extension while negotiated */
};

/* The best layers a slot may carry. encoding: index in the track; spatial, temporal: 255 = all. */
struct rh_target {
    uint8_t encoding, spatial, temporal;
};

struct rh_slot_binding {
    rh_track_id track;
    uint8_t payload_type, rtx_payload_type; /* the subscriber's numbers for the track's codec */
    struct rh_target target;
};

enum rh_result rh_slot_create(
    struct rh_worker *worker, rh_peer_id peer, const struct rh_slot_config *config,
    rh_slot_id *slot);
/* Carries another track from its next keyframe on (audio: from its next packet on); the old one
 * stops at once. Outgoing numbers continue. */
enum rh_result rh_slot_bind(
    struct rh_worker *worker, rh_slot_id slot, const struct rh_slot_binding *binding);
enum rh_result rh_slot_unbind(struct rh_worker *worker, rh_slot_id slot);
/* Changes layers of the bound track; another encoding takes over at its next keyframe and the
 * old one goes on until then. */
enum rh_result rh_slot_set_target(
    struct rh_worker *worker, rh_slot_id slot, struct rh_target target);
enum rh_result rh_slot_set_paused(struct rh_worker *worker, rh_slot_id slot, bool paused);
/* Answers a NACK (RFC 4585 section 6.2.1) for the slot with RTX (RFC 4588) from the track's
 * history. The same packet at most once in rtt_us. Returns how many packets were queued. */
uint32_t rh_slot_resend(
    struct rh_worker *worker, rh_slot_id slot, const uint16_t *seqs, uint32_t count,
    uint32_t rtt_us);

struct rh_slot_report {
    rh_track_id track;        /* 0: unbound */
    uint8_t encoding;         /* being carried; 255: none yet */
    uint8_t target_encoding;
    bool paused;
    uint32_t ssrc;
    uint64_t sent_packets, sent_bytes; /* RTP packets, payload octets: counts of a sender report */
    uint64_t resent_packets;
    uint16_t last_seq;
    uint32_t last_timestamp;    /* outgoing */
    /* outgoing = incoming of the carried encoding + offset (mod 2^32) */
    uint32_t timestamp_offset;
    uint64_t last_sent_us;      /* 0: never */
};
enum rh_result rh_slot_get_report(
    const struct rh_worker *worker, rh_slot_id slot, struct rh_slot_report *report);
enum rh_result rh_slot_destroy(struct rh_worker *worker, rh_slot_id slot);

#endif
