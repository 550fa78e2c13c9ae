/* The receive window. SPDX-License-Identifier: Apache-2.0 */
#include "track/window.h"

#include <string.h>

static_assert((RH_WINDOW_PACKETS & (RH_WINDOW_PACKETS - 1)) == 0 && RH_WINDOW_PACKETS >= 64);

static uint64_t *word_of(struct rh_window *window, uint64_t seq64)
{
    return &window->bits[seq64 / 64 % (RH_WINDOW_PACKETS / 64)];
}

/* Clears the places of the numbers after highest up to and with seq64. */
static void advance(struct rh_window *window, uint64_t seq64)
{
    if (seq64 - window->highest_seq64 >= RH_WINDOW_PACKETS) {
        memset(window->bits, 0, sizeof window->bits);
    } else {
        for (uint64_t next = window->highest_seq64 + 1; next <= seq64; next++)
            *word_of(window, next) &= ~(1ull << next % 64);
    }
    window->highest_seq64 = seq64;
}

enum rh_arrived rh_window_note(struct rh_window *window, uint64_t seq64)
{
    enum rh_arrived arrived = RH_ARRIVED_NEWEST;
    if (window->first_seq64 == 0) {
        window->first_seq64 = seq64;
        window->highest_seq64 = seq64;
    } else if (seq64 > window->highest_seq64) {
        advance(window, seq64);
    } else {
        if (window->highest_seq64 - seq64 >= RH_WINDOW_PACKETS
            || *word_of(window, seq64) & 1ull << seq64 % 64)
            return RH_ARRIVED_DUPLICATE;
        if (seq64 < window->first_seq64)
            window->first_seq64 = seq64;
        arrived = RH_ARRIVED_LATE;
    }
    *word_of(window, seq64) |= 1ull << seq64 % 64;
    return arrived;
}

bool rh_window_has(const struct rh_window *window, uint64_t seq64)
{
    if (window->first_seq64 == 0 || seq64 > window->highest_seq64)
        return false;
    if (seq64 < window->first_seq64 || window->highest_seq64 - seq64 >= RH_WINDOW_PACKETS)
        return true;
    return window->bits[seq64 / 64 % (RH_WINDOW_PACKETS / 64)] >> seq64 % 64 & 1;
}
