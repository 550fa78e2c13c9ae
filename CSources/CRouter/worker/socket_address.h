/* Transport addresses as the kernel has them, for workers and the load tool.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_WORKER_SOCKET_ADDRESS_H
#define RH_WORKER_SOCKET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "rh_router.h"

union rh_socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* is_v6: of the socket; IPv4 addresses are then mapped (RFC 4291 section 2.5.5.2). An IPv6 address
 * on an IPv4 socket is refused later, by the kernel. Returns the name's bytes. */
socklen_t rh_socket_address_of(
    const struct rh_address *address, bool is_v6, union rh_socket_address *name);

/* Family 0 for anything that is no IP address. */
struct rh_address rh_socket_address_get(const union rh_socket_address *name);

#endif
