// Tests of the load tool. SPDX-License-Identifier: Apache-2.0
