/* Transport addresses to and from the kernel's form. SPDX-License-Identifier: Apache-2.0 */
#include "worker/socket_address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

socklen_t rh_socket_address_of(
    const struct rh_address *address, bool is_v6, union rh_socket_address *name)
{
    if (!is_v6 && address->family == 4) {
        name->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&name->v4.sin_addr, address->ip, 4);
        return sizeof name->v4;
    }
    name->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    uint8_t *ip = name->v6.sin6_addr.s6_addr;
    if (address->family == 4) {
        memcpy(ip, mapped_prefix, sizeof mapped_prefix);
        memcpy(ip + sizeof mapped_prefix, address->ip, 4);
    } else {
        memcpy(ip, address->ip, sizeof address->ip);
    }
    return sizeof name->v6;
}

struct rh_address rh_socket_address_get(const union rh_socket_address *name)
{
    struct rh_address address = {0};
    if (name->any.sa_family == AF_INET) {
        address.family = 4;
        address.port = ntohs(name->v4.sin_port);
        memcpy(address.ip, &name->v4.sin_addr, 4);
    } else if (name->any.sa_family == AF_INET6) {
        const uint8_t *ip = name->v6.sin6_addr.s6_addr;
        bool is_mapped = memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
        address.family = is_mapped ? 4 : 6;
        address.port = ntohs(name->v6.sin6_port);
        memcpy(address.ip, is_mapped ? ip + sizeof mapped_prefix : ip, is_mapped ? 4 : 16);
    }
    return address;
}
