/* The packet loop of the load tool: thousands of synthetic participants' media on few threads.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   loop      one I/O thread: sockets, clock, schedule; owns everything below
 *   endpoint  one participant's transport: a UDP socket of its own, SRTP keys, extension ids
 *   stream    one RTP stream that an endpoint publishes; named by its SSRC
 *   slot      one RTP stream that an endpoint receives; named by its SSRC
 *
 * The owner does ICE and DTLS: STUN and DTLS datagrams come up through on_datagram, answers go down
 * through rh_load_endpoint_send; keys come from rh_load_endpoint_set_srtp. Then the loop publishes,
 * counts what it receives, and speaks RTCP by itself.
 *
 * Every function may be called from any thread, also from inside the callbacks, unless its comment
 * says otherwise. Functions that change something copy their arguments, check what can be checked
 * at once, and return; the change happens on the loop's thread, in the order of the calls. What
 * fails only there (a handle that has gone stale, a full table) is counted in
 * rh_load_loop_report.commands_refused. Reports wait for the loop's thread: about 50 us when it
 * idles, at most one wake-up when it works.
 *
 * The loop sleeps until the next tick (1 ms) and then reads every socket that has something: a
 * datagram never wakes it. One-way delays do not suffer from that, they end at the kernel's receive
 * time stamp; the time from there to our reading is RH_LOAD_RECEIVE_LAG. Times are nanoseconds of
 * CLOCK_MONOTONIC unless their name says otherwise; rates are per second. */
#ifndef RH_LOAD_H
#define RH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rh_media_clip.h" /* struct rh_clip */
#include "rh_router.h" /* rh_result, rh_address, rh_srtp_*, rh_extension_ids, media, codecs */

struct rh_load_loop;

/* Index and generation; 0 is none. Never reused while anyone can hold an old one. */
typedef uint32_t rh_load_endpoint_id;

enum {
    RH_LOAD_ENDPOINTS_MAX = 16384,      /* of a loop */
    RH_LOAD_STREAMS_PER_ENDPOINT = 16,  /* published at a time */
    RH_LOAD_SLOTS_PER_ENDPOINT = 1024,  /* received at a time */
    RH_LOAD_DATAGRAM_BYTES_MAX = 1500,
    RH_LOAD_HISTORY_PACKETS_MAX = 1024, /* of a stream */
};

uint64_t rh_load_now_ns(void); /* CLOCK_MONOTONIC */

/* ---- Loops -------------------------------------------------------------------------------- */

enum rh_load_datagram_kind { RH_LOAD_STUN = 1, RH_LOAD_DTLS };

/* A datagram for the owner. bytes are valid during the call only. */
struct rh_load_datagram {
    const uint8_t *bytes;
    uint32_t size;
    uint32_t kind;              /* enum rh_load_datagram_kind */
    rh_load_endpoint_id endpoint;
    uint64_t user;              /* of the endpoint's config */
    struct rh_address from;
    uint64_t received_ns;       /* kernel's time stamp */
};

struct rh_load_calls {
    void *context;
    /* On the loop's thread: be quick, hand over to another thread. */
    void (*on_datagram)(void *context, const struct rh_load_datagram *datagram);
};

/* What happens to RTP and RTCP (not STUN, DTLS) on the way: each datagram is lost with this
 * probability. Loss in is taken before anything is counted. */
struct rh_load_impairment {
    double loss_out, loss_in; /* 0..1 */
    uint64_t seed;            /* same seed, same sequence of losses */
};

struct rh_load_loop_config {
    struct rh_load_calls calls;
    struct rh_load_impairment impairment; /* at first */
    uint32_t tick_us;             /* 0: 1000; 250 or more */
    uint32_t socket_buffer_bytes; /* wanted of each socket; 0: 4 MiB */
    uint32_t endpoints_max;       /* 0: RH_LOAD_ENDPOINTS_MAX */
    bool segmentation_off;        /* no UDP_SEGMENT */
    bool coalescing_off;          /* no UDP_GRO */
};

/* Makes the loop and starts its thread. RH_SYSTEM with errno; RH_FULL for values out of range. */
enum rh_result rh_load_loop_create(
    const struct rh_load_loop_config *config, struct rh_load_loop **loop);

/* Ends the thread, closes every socket, frees all. Not from a callback; no other call may run or
 * follow. */
void rh_load_loop_destroy(struct rh_load_loop *loop);

enum rh_result rh_load_loop_set_impairment(
    struct rh_load_loop *loop, const struct rh_load_impairment *impairment);

/* ---- Endpoints ---------------------------------------------------------------------------- */

enum rh_load_decrypt {
    RH_LOAD_DECRYPT_NONE,   /* RTP headers only; resent packets and RTCP are opened all the same */
    RH_LOAD_DECRYPT_SAMPLE, /* about one of decrypt_interval packets of a slot */
    RH_LOAD_DECRYPT_ALL,
};

struct rh_load_endpoint_config {
    uint64_t user;               /* handed back with each datagram and report */
    struct rh_address bind;      /* family 0: IPv4, any address and port */
    struct rh_extension_ids ids; /* written when publishing, read when receiving; 0: not used */
    uint8_t decrypt;             /* enum rh_load_decrypt */
    uint32_t decrypt_interval;   /* of RH_LOAD_DECRYPT_SAMPLE; 0: 16; below 2^31 */
    bool nack_on;                /* ask for missing packets (RFC 4585 section 6.2.1): of video, and
                                    of sound with RTX */
    bool picture_loss_on;        /* PLI for a video hole that resends did not fill */
    uint64_t remb_bps;           /* sent each second (draft-alvestrand-rmcat-remb-03); 0: none */
    uint32_t rtcp_ssrc;          /* sender of our RTCP while nothing is published; 0: 1 */
    char cname[32];              /* of SDES (RFC 3550 section 6.5.1); "": "load" */
};

/* Makes the socket at once, in the calling thread.
 *
 * local  out; where it is bound
 * Returns RH_FULL when endpoints_max exist, RH_SYSTEM with errno, RH_MALFORMED. */
enum rh_result rh_load_endpoint_create(
    struct rh_load_loop *loop, const struct rh_load_endpoint_config *config,
    rh_load_endpoint_id *endpoint, struct rh_address *local);

/* Changes how received media are treated from now on. */
enum rh_result rh_load_endpoint_set_decrypt(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint8_t decrypt, uint32_t interval);

/* Header-extension ids, when the answer comes only after the socket. */
enum rh_result rh_load_endpoint_set_extensions(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_extension_ids *ids);

/* The remote transport address (ICE's selected pair): the socket is connected to it, nothing from
 * elsewhere is received any more, and media is sent there. */
enum rh_result rh_load_endpoint_set_remote(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_address *remote);

/* Sends STUN or DTLS as it is. to: NULL for the remote address. RH_FULL above
 * RH_LOAD_DATAGRAM_BYTES_MAX. */
enum rh_result rh_load_endpoint_send(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_address *to,
    const uint8_t *bytes, size_t size);

/* Keys of DTLS (RFC 5764 section 4.2): send is our write key. Numbers of all streams and slots
 * begin anew, so set keys before the first stream starts. RH_UNSUPPORTED, RH_SYSTEM. */
enum rh_result rh_load_endpoint_set_srtp(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, enum rh_srtp_profile profile,
    const struct rh_srtp_keys *send, const struct rh_srtp_keys *receive);

/* Sends BYE for its streams, closes the socket and forgets streams and slots. */
enum rh_result rh_load_endpoint_destroy(struct rh_load_loop *loop, rh_load_endpoint_id endpoint);

/* ---- Publishing --------------------------------------------------------------------------- */

/* Payloads without a codec behind them, in the shape of real ones. VP8: payload descriptor with
 * a 15-bit picture id, and the bit that tells keyframes; the router handles it like real VP8. */
struct rh_load_shape {
    uint32_t frames_per_second;    /* 1..1000; audio: packets a second */
    uint32_t packets_per_frame;    /* 1..256; audio: 1 */
    uint32_t payload_bytes_min;    /* drawn evenly for each frame, all its packets alike; */
    uint32_t payload_bytes_max;    /* up to 1200 */
    uint32_t keyframe_interval;    /* frames; 0: only the first and on request */
    uint32_t keyframe_packets;     /* packets of a keyframe; 0: packets_per_frame */
};

struct rh_load_stream_config {
    uint32_t ssrc;
    uint32_t rtx_ssrc;             /* 0: NACKs are not answered */
    uint32_t clock_rate;
    uint8_t kind;                  /* enum rh_media_kind */
    uint8_t codec;                 /* enum rh_codec; a shape knows RH_CODEC_VP8 and audio */
    uint8_t payload_type, rtx_payload_type;
    uint8_t audio_level;           /* -dBov 0..127, RFC 6464; written while its id is not 0 */
    bool stamp_on;                 /* ends each payload with a stamp, see below */
    char mid[RH_MID_BYTES_MAX + 1];
    char rid[RH_MID_BYTES_MAX + 1]; /* simulcast; "": none */
    uint32_t source_id;            /* told by the stamp: who is it that a slot shows */
    uint32_t history_packets;      /* kept for NACKs; 0: 256 when rtx_ssrc is not 0 */
    uint32_t phase_us;             /* start later by this, so that streams do not send at once */
    uint16_t first_seq;            /* below 2^15 */
    uint32_t first_timestamp;
    const struct rh_clip *clip;    /* NULL: shape. Borrowed until the loop is destroyed */
    struct rh_load_shape shape;
};

/* The stamp: the last RH_LOAD_STAMP_BYTES of a payload, part of its size. In clips it takes the
 * place of spare bytes that decoders pass over, where there are any: the last packet of a VP8 frame
 * and every Opus packet have them, other codecs none, so that those go without a stamp.
 * Big-endian: 4 bytes magic, 4 source_id, 8 CLOCK_MONOTONIC ns just before sending. */
enum { RH_LOAD_STAMP_BYTES = 16, RH_LOAD_STAMP_MAGIC = 0x52484c44 };

/* Starts a stream; needs keys and remote address to send anything, and is silent until both are
 * there. A stream with that SSRC is replaced; its sequence numbers and timestamps go on.
 * RH_MALFORMED for values out of range. */
enum rh_result rh_load_stream_start(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    const struct rh_load_stream_config *config);

/* Stops sending for good; its report is gone with it. */
enum rh_result rh_load_stream_stop(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc);

/* Muted: nothing is sent, time goes on; afterwards video goes on with a keyframe. */
enum rh_result rh_load_stream_set_muted(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc, bool muted);

/* The audio level from now on: who speaks. */
enum rh_result rh_load_stream_set_level(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc, uint8_t level);

/* A keyframe request waits for the next frame; a clip goes on at its next keyframe. A frame of many
 * packets is spread over half its interval. */
struct rh_load_stream_report {
    uint32_t ssrc;
    uint8_t kind;
    bool muted;
    uint64_t packets, bytes;        /* RTP, without resends; bytes of payload */
    uint64_t frames, keyframes;
    uint64_t keyframe_requests;     /* PLI and FIR */
    uint64_t nacked_packets, resent_packets;
    uint64_t skipped_frames;        /* the loop came too late by over 100 ms */
    uint8_t remote_fraction_lost;   /* newest receiver report, of 256 */
    uint32_t remote_lost;
    uint32_t round_trip_us;         /* from LSR and DLSR; 0: unknown */
};
/* RH_STALE for an unknown endpoint or SSRC. */
enum rh_result rh_load_stream_get_report(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc,
    struct rh_load_stream_report *report);

/* ---- Receiving ---------------------------------------------------------------------------- */

struct rh_load_slot_config {
    uint32_t ssrc;
    uint32_t rtx_ssrc;   /* 0: none */
    uint32_t clock_rate; /* for jitter */
    uint8_t kind;        /* enum rh_media_kind */
    uint8_t codec;       /* enum rh_codec, for keyframes; may be changed with slot_mark */
    uint64_t user;       /* handed back in reports */
};

/* Streams to be received; an SSRC that is known already keeps its counts. Packets of others are
 * counted as unknown. */
enum rh_result rh_load_slots_expect(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    const struct rh_load_slot_config *slots, uint32_t count);

enum rh_result rh_load_slot_forget(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc);

/* Measures a subscription. From now on every packet of the slot is opened until the first complete
 * frame (video: that begins with a keyframe) has come; its times go into the report and the loop's
 * histograms. Where the slot becomes known only by the node's answer, media may have begun before:
 * a watch since the subscribe (below) makes this call find them.
 *
 * Without a rest before, the slot begins one (see slot_rest): a new keyframe, a new source's stamp,
 * or 200 ms are the border between what it carried and what is waited for.
 *
 * source_id  packets of other ids in their stamps do not count; 0: any source
 * codec      of what will come; 0: as before
 * since_ns   when the subscribe was sent; 0: now */
struct rh_load_mark {
    uint64_t since_ns;
    uint32_t ssrc;
    uint32_t source_id;
    uint8_t codec;
};
enum rh_result rh_load_slot_mark(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, const struct rh_load_mark *mark);

/* Opens every packet of all slots of the endpoint for duration_ns from now on: call it when a
 * subscribe is sent whose slot is not known yet. */
enum rh_result rh_load_endpoint_watch(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint64_t duration_ns);

/* Silence of the slot is wanted from now on (unsubscribed, muted): it is no freeze. A keyframe or
 * another source's stamp ends this, and any packet after 200 ms: earlier ones were on their way. */
enum rh_result rh_load_slot_rest(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc);

/* Sends a PLI (RFC 4585 section 6.3.1) for the slot. */
enum rh_result rh_load_slot_request_keyframe(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, uint32_t ssrc);

struct rh_load_slot_report {
    uint64_t user;
    uint32_t ssrc;
    uint8_t kind;
    bool is_marked;              /* waits for the first complete frame since the mark */
    uint64_t packets, bytes;     /* distinct RTP packets and their bytes on the wire, no UDP/IP */
    uint64_t lost;               /* expected and not here (yet) */
    uint64_t recovered;          /* came as RTX, in packets too */
    uint64_t reordered;          /* came after a higher number, resends not counted */
    uint64_t duplicates;         /* dropped */
    uint64_t gaps;               /* times that a number was passed over */
    uint64_t nacked;             /* packets asked for, each once */
    uint64_t decrypted, unauthentic;
    uint64_t padding_packets;    /* of RTX or media, nothing but padding */
    uint64_t frames;             /* by marker bit; audio: packets */
    uint64_t keyframes;          /* seen in decrypted packets */
    uint32_t jitter_us;          /* RFC 3550 section 6.4.1 */
    uint32_t source_id;          /* of the newest stamp; 0: none seen */
    uint64_t source_packet_ns;   /* first packet of that source, or first after a rest; 0: none */
    uint64_t source_frame_ns;    /* its first complete frame, when watched or marked; 0: not yet */
    uint64_t first_packet_ns;    /* arrival of the first ever; 0: none */
    uint64_t last_packet_ns;
    uint64_t longest_gap_ns;     /* between frames in a row (audio: packets), rests excepted */
    uint64_t marked_ns;          /* of the newest mark; 0: none */
    uint64_t mark_first_packet_ns; /* arrivals after the mark; 0: not yet */
    uint64_t mark_first_frame_ns;
};
/* Reports of all slots of an endpoint, in order of creation.
 *
 * count  in: room in reports; out: how many were written
 * Returns RH_STALE. */
enum rh_result rh_load_slot_get_reports(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint, struct rh_load_slot_report *reports,
    uint32_t *count);

struct rh_load_endpoint_report {
    uint64_t user;
    uint64_t received_datagrams, received_packets, received_bytes; /* packets, bytes: RTP */
    uint64_t received_rtcp, received_stun, received_dtls;
    uint64_t unknown_ssrc, unauthentic, malformed;
    uint64_t kernel_drops;       /* SO_RXQ_OVFL */
    uint64_t sent_packets, sent_bytes, sent_rtcp, sent_messages; /* messages: of the kernel */
    uint64_t send_errors;
    uint32_t slots, streams;
};
enum rh_result rh_load_endpoint_get_report(
    struct rh_load_loop *loop, rh_load_endpoint_id endpoint,
    struct rh_load_endpoint_report *report);

/* ---- The loop's own report ---------------------------------------------------------------- */

/* Sums by kind, over endpoints that were destroyed too. They only grow, but lost: what arrives
 * after all lowers it. Subtract two reports for an interval. */
struct rh_load_media_totals {
    uint64_t sent_packets, sent_bytes, sent_frames; /* published; bytes of payload */
    uint64_t packets, bytes, frames;                /* received by slots, distinct */
    uint64_t lost, recovered, reordered, duplicates, gaps;
};

/* Sums over all endpoints, those that were destroyed too. */
struct rh_load_loop_report {
    uint64_t now_ns, started_ns;
    uint64_t cpu_ns;              /* CLOCK_THREAD_CPUTIME_ID of its thread */
    uint64_t wake_ups;
    uint64_t late_ticks;          /* over 5 ms late */
    uint64_t tick_lag_max_ns;     /* since the last reset */
    uint64_t receive_lag_max_ns;
    uint64_t commands_refused;
    uint64_t kernel_drops;        /* SO_RXQ_OVFL: we were too slow */
    uint64_t send_errors, send_would_block; /* datagrams; would_block: the kernel took no more */
    uint64_t received_messages;   /* of the kernel: GRO puts several datagrams in one */
    uint64_t received_datagrams, received_packets, received_bytes; /* packets, bytes: RTP */
    uint64_t received_rtcp, received_stun, received_dtls;
    uint64_t unknown_ssrc, unauthentic, malformed;
    uint64_t impaired_in, impaired_out;  /* datagrams dropped by rh_load_impairment */
    uint64_t sent_messages, sent_packets, sent_bytes, sent_rtcp; /* packets, bytes: RTP */
    uint64_t keyframe_requests, resent_packets, nacks_received, skipped_frames; /* publishing */
    uint64_t nacks_sent, plis_sent, transport_feedback_received;
    uint64_t decrypted;           /* RTP packets */
    struct rh_load_media_totals audio, video;
    uint32_t endpoints, streams, slots, marked_slots;
    uint32_t socket_buffer_bytes; /* granted to the last socket */
    bool segmentation_on;         /* false when the kernel refused UDP_SEGMENT or it is off */
};
void rh_load_loop_get_report(struct rh_load_loop *loop, struct rh_load_loop_report *report);

/* Histograms of a loop, log-linear: relative error below 1/128. */
enum rh_load_histogram_kind {
    RH_LOAD_DELAY_AUDIO,  /* stamp to arrival of packets that decrypt chose, but not of resends nor
                             before a new source's first complete frame */
    RH_LOAD_DELAY_VIDEO,
    RH_LOAD_FIRST_PACKET, /* mark to arrival of the first packet */
    RH_LOAD_FIRST_FRAME,  /* mark to arrival of the first complete frame (see slot_mark) */
    RH_LOAD_TICK_LAG,     /* wanted wake-up to wake-up */
    RH_LOAD_RECEIVE_LAG,  /* kernel's receive time stamp to our reading; up to a tick by design */
    RH_LOAD_HISTOGRAMS,
};

/* Buckets of 128 ns up to 32.8 us, then 128 for each doubling, up to 68 s (the last bucket takes
 * all above). */
enum { RH_LOAD_BUCKETS = 256 + 21 * 128 };

/* Adds a loop's counts to buckets[RH_LOAD_BUCKETS]: zero them first, then sum over the loops. */
void rh_load_loop_add_histogram(
    struct rh_load_loop *loop, enum rh_load_histogram_kind kind, uint64_t *buckets);
/* Begins anew: histograms and maxima (not the counters), e.g. after the ramp. */
void rh_load_loop_reset_histograms(struct rh_load_loop *loop);

/* Of buckets[RH_LOAD_BUCKETS], no loop needed. */
uint64_t rh_load_histogram_count(const uint64_t *buckets);
/* Upper edge of the bucket that holds the fraction (0..1) of the values; 0 without values. */
uint64_t rh_load_histogram_quantile_ns(const uint64_t *buckets, double fraction);
/* Lower edge of bucket index; RH_LOAD_BUCKETS gives the end of the last one. */
uint64_t rh_load_bucket_lower_ns(uint32_t index);

#endif
