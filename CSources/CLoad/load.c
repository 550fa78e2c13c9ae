/* The packet loop of the load tool. SPDX-License-Identifier: Apache-2.0 */
#include "rh_load.h"
