"""What the system tests share. SPDX-License-Identifier: Apache-2.0"""
