/* Which encoding of which track an SSRC feeds (RFC 9143 section 9.2, RFC 8852).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_FORWARD_SOURCES_H
#define RH_FORWARD_SOURCES_H

#include "track/media.h"

/* Where a packet of an SSRC belongs. */
struct rh_match {
    uint32_t track_index; /* RH_NO_INDEX: nowhere */
    uint8_t encoding;
    bool is_rtx;
};

/* Matches an SSRC that the peer was not known to send: by MID with RID or repaired RID, else by
 * declared SSRC, else by payload type when one track alone has it.
 *
 * packet  parsed whole, in clear */
struct rh_match rh_sources_match(
    const struct rh_media *media, const struct rh_peer *peer, const struct rh_packet *packet,
    const uint8_t *bytes);

/* Lets source feed the encoding it was matched with, in place of any other SSRC, and tells so.
 * Returns false when another SSRC took the encoding over and is still heard: the packet comes
 * too late. */
bool rh_sources_take_over(
    struct rh_media *media, struct rh_peer *peer, struct rh_source *source, uint64_t now_us);

#endif
