/* System library vpx. SPDX-License-Identifier: Apache-2.0 */
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>
