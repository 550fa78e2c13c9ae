/* What the tests of wire, crypto and select share. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_TESTS_WIRE_SUPPORT_H
#define RH_TESTS_WIRE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A deterministic generator (splitmix64). */
struct dice {
    uint64_t state;
};

static inline uint64_t roll(struct dice *dice)
{
    uint64_t mixed = dice->state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/* A number below limit. */
static inline uint32_t roll_below(struct dice *dice, uint32_t limit)
{
    return (uint32_t)((roll(dice) >> 32) * limit >> 32);
}

/* True in percent of the cases. */
static inline bool roll_percent(struct dice *dice, uint32_t percent)
{
    return roll_below(dice, 100) < percent;
}

static inline void roll_bytes(struct dice *dice, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)roll(dice);
}

static inline int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Reads hexadecimal digits, other characters between bytes ignored. Returns the bytes written. */
static inline size_t from_hex(const char *text, uint8_t *out, size_t out_max)
{
    size_t count = 0;
    while (*text != 0) {
        int high = hex_digit(*text++);
        if (high < 0)
            continue;
        int low = hex_digit(*text++);
        assert_true(low >= 0 && count < out_max);
        out[count++] = (uint8_t)(high << 4 | low);
    }
    return count;
}

/* A copy of bytes at the end of an allocation of its own, so that a sanitizer sees each byte read
 * beyond it. Free with free. */
static inline uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

#endif
