/* Assertions for our own mistakes; never for bytes from a peer. SPDX-License-Identifier: Apache-2.0
 *
 * RH_ASSERT stays on in release builds: it prints the condition and its place to stderr and aborts.
 * RH_ASSERT_DEBUG is for costly checks and is compiled only with RH_ASSERT_DEBUG_ON defined. */
#ifndef RH_WIRE_ASSERT_H
#define RH_WIRE_ASSERT_H

/* Prints and aborts. Called by the macros only. */
[[noreturn]] void rh_assert_failed(const char *condition, const char *file, int line);

#define RH_ASSERT(condition) \
    (__builtin_expect(!(condition), 0) ? rh_assert_failed(#condition, __FILE__, __LINE__) : (void)0)

#ifdef RH_ASSERT_DEBUG_ON
#define RH_ASSERT_DEBUG(condition) RH_ASSERT(condition)
#else
#define RH_ASSERT_DEBUG(condition) ((void)sizeof(!(condition)))
#endif

#endif
