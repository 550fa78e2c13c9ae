/* Every capacity of the packet path: its unit, its reason and the bytes it costs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pools are reserved when a worker is created and touched only as far as they were ever used at the
 * same time (free lists hand out the lowest places again first), so a default costs address space,
 * not memory. "a worker" below counts one worker with the default capacities. */
#ifndef RH_LIMITS_H
#define RH_LIMITS_H

#include <stdint.h>

enum {
    /* Largest datagram received or sent. Ethernet's 1500 less IPv4 and UDP headers is 1472; clients
     * stay at or below 1200 to 1300. Longer datagrams are cut by the kernel and dropped. */
    RH_PACKET_BYTES_MAX = 1500,

    /* Bytes after a packet that ciphers may read or write beyond its end. */
    RH_PACKET_SLACK_BYTES = 64,

    /* Bytes one packet buffer occupies: bookkeeping, the parsed packet and the bytes. A multiple
     * of a cache line. */
    RH_BUFFER_BYTES = 1792,

    /* Packet buffers of a worker. Holders: one receive batch (256) plus one second of every
     * received encoding. 50 participants with microphone and thumbnail: 4,750 a second; 16
     * publishers of three camera layers at 2.2 Mbit/s: 5,000. 32,768 * 1,792 B = 56 MiB of
     * address space. */
    RH_BUFFERS_DEFAULT = 32768,

    /* What one wake-up can hold besides histories, twice: the least a worker works with. */
    RH_BUFFERS_MIN = 1024,

    /* 5 rooms of 200 or 1,000 rooms of 4 on one worker. A peer is 18 KiB: 74 MiB. */
    RH_PEERS_DEFAULT = 4096,

    /* Microphone, camera and screen of every peer, and as many mirrors. A track is 1.7 KiB with its
     * three encodings (12 KiB of history index each only when used): 14 MiB. */
    RH_TRACKS_DEFAULT = 8192,

    /* 49 participants with 49 video and 49 audio slots need 4,802; a worker keeps ten such
     * meetings. A slot is 1 KiB: 48 MiB. */
    RH_SLOTS_DEFAULT = 49152,

    /* Handles have 18 bits of index: the most that any pool can hold. */
    RH_HANDLES_MAX = 1 << 18,

    /* Transport addresses that one peer may use at a time (several ICE pairs). */
    RH_ADDRESSES_PER_PEER = 8,

    /* SSRCs a peer may send at a time, resend streams included: camera 3 + 3, screen 3 + 3,
     * microphone 1, and room for those that a restart replaced (their replay windows are kept). */
    RH_SOURCES_PER_PEER = 24,

    /* Received transport-wide numbers not yet taken by the owner; at one report in 100 ms this
     * is enough for 5,120 packets a second. 16 B each: 8 KiB a peer. */
    RH_ARRIVALS_PER_PEER = 512,

    /* Packets of one encoding kept for resends: at most this many and at most RH_HISTORY_US old.
     * The index costs 4 B each, 4 KiB an encoding (one page). Power of two. */
    RH_HISTORY_PACKETS = 1024,
    RH_HISTORY_US = 1000000,

    /* Sequence numbers remembered to tell duplicates; the same as the history. 128 B an
     * encoding. */
    RH_WINDOW_PACKETS = 1024,

    /* Runs of outgoing packets with the same distance to their source; a resend is looked up here.
     * A run ends when a slot switches or leaves a picture out: 16 runs cover one second of a video
     * stream of 30 pictures a second of which every other one is left out. 32 B each: 512 B a
     * slot. */
    RH_RUNS_PER_SLOT = 16,

    /* Places for the time of a packet's last resend, by its number: no second one within a round
     * trip. Nearly as many as two NACK items name. 4 B each: 128 B a slot. */
    RH_RESENDS_PER_SLOT = 32,

    /* Slots in one cache line of a track's subscriptions: 64 B hold 15 and a link. */
    RH_SUBSCRIPTIONS_PER_CHUNK = 15,

    /* Events of one wake-up. 40 B each: 160 KiB. State changes beyond it are announced again. */
    RH_EVENTS_MAX = 4096,

    /* Datagrams read in one system call, and calls in one wake-up. */
    RH_RECEIVE_BATCH = 64,
    RH_RECEIVE_ROUNDS = 4,
    RH_DATAGRAMS_MAX = RH_RECEIVE_BATCH * RH_RECEIVE_ROUNDS,

    /* Datagrams of one message read by UDP_GRO: 64 KiB of the shortest RTP packets would be more;
     * the kernel puts together 64 at most. */
    RH_SEGMENTS_READ_MAX = 128,

    /* Messages encrypted but not yet handed to the kernel: the arena stays within the second-level
     * cache. Sent in one sendmmsg (the kernel takes 1024 at most). */
    RH_SEND_QUEUE_MESSAGES = 512,
    RH_SEND_QUEUE_BYTES = 768 * 1024,

    /* Packets that wait for company, all subscribers of a worker together: a frame of 10 packets
     * for 3,000 subscribers fits. 32 B each: 1 MiB. */
    RH_PENDING_PACKETS = 32768,

    /* Packets of one subscriber that are cut into messages at a time; more go in several parts. */
    RH_PENDING_PART = 128,

    /* Segments and bytes of one UDP_SEGMENT message: what every kernel since 4.18 takes (its
     * UDP_MAX_SEGMENTS was 64), and the largest UDP payload of an IPv4 datagram. */
    RH_SEGMENTS_MAX = 64,
    RH_MESSAGE_BYTES_MAX = 65507,

    /* Most padding of one packet: it is written behind the payload in its buffer's slack. */
    RH_PADDING_BYTES_MAX = 48,

    /* Packets forwarded in a second below which a worker sends at once, and above which a packet
     * waits for company as long as the configuration allows; in between in proportion. */
    RH_WINDOW_RATE_LOW = 5000,
    RH_WINDOW_RATE_FULL = 50000,

    /* Packets on their way from one worker to another. 1,664 B each: 832 KiB a pair of workers. */
    RH_RELAY_PACKETS = 512,

    /* Longest header written for a slot: RTP header and extension block. */
    RH_HEADER_BYTES_MAX = 320,

    /* Jobs run in one wake-up before packets are looked after again. */
    RH_JOBS_PER_WAKEUP = 512,

    /* A waiting slot's wish for a keyframe is repeated no earlier than this. */
    RH_KEYFRAME_REPEAT_US = 100000,

    /* A source that another SSRC replaced may take over again after the newer fell silent for
     * this long; until then its late packets are dropped. */
    RH_SOURCE_RETURN_US = 500000,

    /* A slot that begins within this time after a keyframe gets it and all since then out of the
     * history: a little more than the interval at which keyframes are asked for. At 2.5 Mbit/s
     * that is 130 packets. */
    RH_REPLAY_US = 500000,
    RH_REPLAY_PACKETS = 192,

    /* A busy worker looks at its socket once in this time instead of at each datagram: a wake-up
     * costs as much as forwarding ten packets. */
    RH_READ_PAUSE_MS = 1,

    /* Unknown SSRCs are told at most once in this time by each peer. */
    RH_UNKNOWN_REPEAT_US = 1000000,
};

#endif
