/* Encoded media for synthetic participants. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_MEDIA_CLIP_H
#define RH_MEDIA_CLIP_H
#endif
