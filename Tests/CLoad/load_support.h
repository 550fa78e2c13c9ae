/* Pairs of endpoints that send to each other over loopback. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TESTS_LOAD_SUPPORT_H
#define RH_TESTS_LOAD_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rh_load.h"

enum {
    WAIT_MS = 20000,
    SSRC_AUDIO = 0x1001, SSRC_VIDEO = 0x1002, SSRC_AUDIO_RTX = 0x2001, SSRC_VIDEO_RTX = 0x2002,
    PT_AUDIO = 111, PT_VIDEO = 96, PT_RTX = 97,
};

/* Two loops, an endpoint in each, connected with each other and keyed. */
struct pair {
    struct rh_load_loop *loops[2];
    rh_load_endpoint_id endpoints[2];
    struct rh_address addresses[2];
};

/* Values for both sides; zero where nothing is wanted. */
struct pair_config {
    struct rh_load_loop_config loop;
    struct rh_load_endpoint_config endpoint;
    enum rh_srtp_profile profile; /* 0: GCM */
};

void pair_open(struct pair *pair, const struct pair_config *config);
void pair_close(struct pair *pair);

struct rh_load_loop_report loop_report(struct rh_load_loop *loop);

/* Reports of the receiving side's slots, by SSRC. Fails the test when there is none. */
struct rh_load_slot_report slot_report(struct pair *pair, uint32_t side, uint32_t ssrc);
struct rh_load_stream_report stream_report(struct pair *pair, uint32_t side, uint32_t ssrc);

/* Waits until the 64-bit field at offset of a slot's report is at least value; fails after
 * WAIT_MS. */
struct rh_load_slot_report wait_slot(
    struct pair *pair, uint32_t side, uint32_t ssrc, size_t offset, uint64_t value);
/* The same for a loop's report. */
struct rh_load_loop_report wait_loop(struct rh_load_loop *loop, size_t offset, uint64_t value);

/* Sound in 200 packets a second, VP8 in 120 frames of 3 packets: real streams, played fast. */
struct rh_load_stream_config audio_config(uint32_t source_id);
struct rh_load_stream_config video_config(uint32_t source_id);
/* The other side expects both. */
void expect_both(struct pair *pair, uint32_t side);

#endif
