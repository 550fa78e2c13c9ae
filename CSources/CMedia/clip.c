/* Encoded media for synthetic participants. SPDX-License-Identifier: Apache-2.0 */
#include "rh_media_clip.h"
