/* What a failed assertion does. SPDX-License-Identifier: Apache-2.0 */
#include "wire/assert.h"

#include <stdio.h>
#include <stdlib.h>

void rh_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
