/* Transport addresses as the kernel has them. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_LOAD_ADDRESSES_H
#define RH_LOAD_ADDRESSES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "rh_router.h"

union rh_load_socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* is_v6: of the socket; IPv4 addresses are then mapped (RFC 4291 section 2.5.5.2). Returns the
 * name's bytes. */
socklen_t rh_load_address_to_socket(
    const struct rh_address *address, bool is_v6, union rh_load_socket_address *name);

/* Family 0 for anything that is no IP address. */
struct rh_address rh_load_address_from_socket(const union rh_load_socket_address *name);

#endif
