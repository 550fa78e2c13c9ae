/* The packet loop of the load tool. SPDX-License-Identifier: Apache-2.0 */
#ifndef RH_LOAD_H
#define RH_LOAD_H
#endif
