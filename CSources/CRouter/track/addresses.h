/* Which peer a datagram belongs to: a hash table from transport addresses to peer places.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing, at most half full, removal by shifting back (no tombstones).
 * Owner: struct rh_media. 28 B a place, four places for each allowed address. */
#ifndef RH_TRACK_ADDRESSES_H
#define RH_TRACK_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "rh_router.h"

struct rh_addresses_entry {
    struct rh_address address;
    uint32_t peer_index; /* RH_NO_INDEX: free place */
};

struct rh_addresses {
    struct rh_addresses_entry *entries;
    uint32_t mask;  /* places - 1 */
    uint32_t count;
    uint32_t count_max;
    uint64_t seed;
};

/* Makes a table for count_max addresses. seed makes the order of places unpredictable to peers.
 * Returns false when memory is refused. */
bool rh_addresses_init(struct rh_addresses *addresses, uint32_t count_max, uint64_t seed);
void rh_addresses_deinit(struct rh_addresses *addresses);

/* Returns the peer place that has the address, RH_NO_INDEX when none. */
uint32_t rh_addresses_find(const struct rh_addresses *addresses, const struct rh_address *address);

/* Gives the address to a peer, taking it from any other. Returns false when the table is full. */
bool rh_addresses_set(
    struct rh_addresses *addresses, const struct rh_address *address, uint32_t peer_index);

/* Forgets the address, if it is there. */
void rh_addresses_remove(struct rh_addresses *addresses, const struct rh_address *address);

/* True when both name the same family, IP address and port. */
bool rh_address_equal(const struct rh_address *a, const struct rh_address *b);

#endif
