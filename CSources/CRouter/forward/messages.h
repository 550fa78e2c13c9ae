/* From the packets that wait for a subscriber to messages for the kernel.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A kernel message costs about 2 us whatever is in it, a further segment of it next to nothing. So
 * a subscriber's waiting packets are ordered by size and cut into messages of equal segments, each
 * made so by a little RTP padding (RFC 3550 section 5.1) and each message ended by one packet that
 * may be shorter. Packets of one SSRC keep their order. Headers are written and payloads encrypted
 * here, in the order of sending, one subscriber after the other.
 *
 * Padded is only what is never sent again under the same SRTP index: other bytes there would break
 * the cipher (RFC 3711 section 9.1). */
#ifndef RH_FORWARD_MESSAGES_H
#define RH_FORWARD_MESSAGES_H

#include "forward/forward.h"

/* Fills in the numbers that a source packet has in a run of the past. */
void rh_pending_of_run(
    struct rh_pending_packet *pending, const struct rh_run *run, uint64_t out_seq64,
    uint32_t in_timestamp);

#endif
