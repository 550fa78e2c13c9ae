"""A network of the test run's own: loopback and one address with a default route.
SPDX-License-Identifier: Apache-2.0

The kernel takes the namespace away with the last process in it, so nothing is left behind and any
number of runs go side by side.
"""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
ADDRESS = "10.99.0.1"       # Firefox checks no loopback candidate and wants a default route


def enter() -> None:
    """Moves this process, and what it starts from now on, into a new network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise RuntimeError(
            f"no network namespace: {os.strerror(ctypes.get_errno())}; run the tests as root")
    for command in (
        "ip link set lo up",
        "ip link add near type veth peer name far",
        "ip link set near up",
        "ip link set far up",
        f"ip address add {ADDRESS}/24 dev near",
        "ip route add default via 10.99.0.254 dev near",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)
