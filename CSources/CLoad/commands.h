/* What the public functions ask of the loop's thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_LOAD_COMMANDS_H
#define RH_LOAD_COMMANDS_H

#include "loop.h"

enum { RH_LOAD_PLACE_BITS = 14 };
static_assert(RH_LOAD_ENDPOINTS_MAX == 1 << RH_LOAD_PLACE_BITS, "an id's lower bits");

static inline uint32_t rh_load_id_place(rh_load_endpoint_id id)
{
    return id & ((1u << RH_LOAD_PLACE_BITS) - 1);
}

/* Runs it, then wakes its waiter or frees it. Loop's thread. */
void rh_load_run_command(struct rh_load_loop *loop, struct rh_load_command *command);

/* Closes the socket, forgets streams and slots, frees the place. Loop's thread. */
void rh_load_release_endpoint(struct rh_load_loop *loop, struct rh_load_endpoint *endpoint);

void rh_load_apply_impairment(
    struct rh_load_loop *loop, const struct rh_load_impairment *impairment);

/* A command with a copy of its arguments; NULL without memory. any thread. */
struct rh_load_command *rh_load_command_create(
    void (*run)(struct rh_load_loop *loop, struct rh_load_command *command),
    rh_load_endpoint_id endpoint, const void *arguments, size_t bytes);

/* Makes and enqueues one. RH_SYSTEM without memory. any thread. */
enum rh_result rh_load_post(
    struct rh_load_loop *loop,
    void (*run)(struct rh_load_loop *loop, struct rh_load_command *command),
    rh_load_endpoint_id endpoint, const void *arguments, size_t bytes);

/* Runs it on the loop's thread and waits for that. any thread. */
void rh_load_run_and_wait(
    struct rh_load_loop *loop,
    void (*run)(struct rh_load_loop *loop, struct rh_load_command *command),
    rh_load_endpoint_id endpoint, void *context);

/* The endpoint of a command; NULL and counted as refused when it is gone. Loop's thread. */
struct rh_load_endpoint *rh_load_command_endpoint(
    struct rh_load_loop *loop, const struct rh_load_command *command);

#endif
