/* Extended sequence numbers. SPDX-License-Identifier: Apache-2.0
 *
 * Everywhere in the packet path a seq64 counts from 2^16 on: the first cycle of a source has the
 * upper 48 bits equal to 1. So a number below the first one seen never becomes negative. The SRTP
 * rollover counter (RFC 3711 section 3.3.1) of a seq64 is (seq64 >> 16) - 1. */
#ifndef RH_WIRE_SEQ_H
#define RH_WIRE_SEQ_H

#include <stdint.h>

#include "wire/assert.h"

enum { RH_SEQ64_FIRST = 1 << 16 }; /* smallest seq64 of a source */

/* Extends a 16-bit sequence number to 64 bits (RFC 3550 appendix A.1).
 *
 * highest_seq64  largest number seen from this source; RH_SEQ64_FIRST or above
 * Returns the candidate nearest to highest_seq64: lower for late packets. */
static inline uint64_t rh_seq_extend(uint64_t highest_seq64, uint16_t seq)
{
    RH_ASSERT(highest_seq64 >= RH_SEQ64_FIRST);
    int16_t step = (int16_t)(uint16_t)(seq - (uint16_t)highest_seq64);
    return highest_seq64 + (uint64_t)(int64_t)step;
}

#endif
