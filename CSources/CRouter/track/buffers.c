/* The packet buffer pool. SPDX-License-Identifier: Apache-2.0 */
#include "track/buffers.h"

#include <stdlib.h>

#include "wire/assert.h"

static_assert(sizeof(struct rh_buffer) <= RH_BUFFER_BYTES);
static_assert(RH_BUFFER_BYTES % 64 == 0);

bool rh_buffers_init(struct rh_buffers *buffers, uint32_t capacity)
{
    RH_ASSERT(capacity > 0);
    *buffers = (struct rh_buffers){
        .memory = aligned_alloc(64, (size_t)capacity * RH_BUFFER_BYTES), .capacity = capacity};
    return buffers->memory != NULL;
}

void rh_buffers_deinit(struct rh_buffers *buffers)
{
    free(buffers->memory);
    *buffers = (struct rh_buffers){0};
}

struct rh_buffer *rh_buffers_take(struct rh_buffers *buffers)
{
    struct rh_buffer *buffer;
    if (buffers->free_first != 0) {
        buffer = rh_buffers_at(buffers, buffers->free_first - 1);
        RH_ASSERT(buffer->references == 0);
        buffers->free_first = buffer->next_free;
    } else if (buffers->touched < buffers->capacity) {
        buffer = rh_buffers_at(buffers, buffers->touched++);
    } else {
        return NULL;
    }
    buffers->used++;
    buffer->references = 1;
    buffer->resumes = false;
    buffer->next_free = 0;
    return buffer;
}

void rh_buffers_release(struct rh_buffers *buffers, struct rh_buffer *buffer)
{
    RH_ASSERT(buffer->references > 0);
    if (--buffer->references > 0)
        return;
    buffers->used--;
    buffer->next_free = buffers->free_first;
    buffers->free_first = rh_buffers_place(buffers, buffer) + 1;
}
