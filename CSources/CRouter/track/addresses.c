/* The address table. SPDX-License-Identifier: Apache-2.0 */
#include "track/addresses.h"

#include <stdlib.h>
#include <string.h>

#include "track/handles.h"
#include "wire/assert.h"

static_assert(sizeof(struct rh_address) == 20);

/* The table is sized for count_max addresses and stays at most half full. */
bool rh_addresses_init(struct rh_addresses *addresses, uint32_t count_max, uint64_t seed)
{
    RH_ASSERT(count_max > 0 && count_max <= 1u << 24);
    uint32_t places = 16;
    while (places < 2 * count_max)
        places *= 2;
    struct rh_addresses_entry *entries = malloc(places * sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint32_t i = 0; i < places; i++)
        entries[i] = (struct rh_addresses_entry){.peer_index = RH_NO_INDEX};
    *addresses = (struct rh_addresses){
        .entries = entries, .mask = places - 1, .count_max = count_max, .seed = seed};
    return true;
}

void rh_addresses_deinit(struct rh_addresses *addresses)
{
    free(addresses->entries);
    *addresses = (struct rh_addresses){0};
}

bool rh_address_equal(const struct rh_address *a, const struct rh_address *b)
{
    size_t ip_bytes = a->family == 4 ? 4 : 16;
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, ip_bytes) == 0;
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0x9e3779b97f4a7c15u;
    value ^= value >> 29;
    value *= 0xbf58476d1ce4e5b9u;
    return value ^ value >> 32;
}

static uint32_t place_of(const struct rh_addresses *addresses, const struct rh_address *address)
{
    uint64_t low = 0, high = 0;
    memcpy(&low, address->ip, address->family == 4 ? 4 : 8);
    if (address->family != 4)
        memcpy(&high, address->ip + 8, 8);
    uint64_t tail = mix(high ^ (uint64_t)address->port << 8 ^ address->family ^ addresses->seed);
    return (uint32_t)mix(low ^ tail) & addresses->mask;
}

/* Returns the place that has the address or the free place where it would go. */
static uint32_t probe(const struct rh_addresses *addresses, const struct rh_address *address)
{
    uint32_t place = place_of(addresses, address);
    while (addresses->entries[place].peer_index != RH_NO_INDEX
           && !rh_address_equal(&addresses->entries[place].address, address))
        place = (place + 1) & addresses->mask;
    return place;
}

uint32_t rh_addresses_find(const struct rh_addresses *addresses, const struct rh_address *address)
{
    return addresses->entries[probe(addresses, address)].peer_index;
}

bool rh_addresses_set(
    struct rh_addresses *addresses, const struct rh_address *address, uint32_t peer_index)
{
    RH_ASSERT(peer_index != RH_NO_INDEX);
    uint32_t place = probe(addresses, address);
    if (addresses->entries[place].peer_index == RH_NO_INDEX) {
        if (addresses->count == addresses->count_max)
            return false;
        addresses->count++;
        addresses->entries[place].address = *address;
    }
    addresses->entries[place].peer_index = peer_index;
    return true;
}

void rh_addresses_remove(struct rh_addresses *addresses, const struct rh_address *address)
{
    struct rh_addresses_entry *entries = addresses->entries;
    uint32_t hole = probe(addresses, address);
    if (entries[hole].peer_index == RH_NO_INDEX)
        return;
    addresses->count--;
    for (uint32_t next = (hole + 1) & addresses->mask; entries[next].peer_index != RH_NO_INDEX;
         next = (next + 1) & addresses->mask) {
        uint32_t home = place_of(addresses, &entries[next].address);
        uint32_t from_home = (next - home) & addresses->mask;
        uint32_t from_hole = (next - hole) & addresses->mask;
        if (from_home >= from_hole) {
            entries[hole] = entries[next];
            hole = next;
        }
    }
    entries[hole].peer_index = RH_NO_INDEX;
}
