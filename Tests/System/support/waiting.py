"""Waiting with a deadline instead of sleeping and hoping. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import inspect
import time

POLL_SECONDS = 0.1


async def until(condition, seconds: float, what: str, poll: float = POLL_SECONDS):
    """Calls `condition` until it is true and returns its value; fails after `seconds`, naming
    `what` was awaited and the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last: {value!r}")
        await asyncio.sleep(poll)


async def stays(condition, seconds: float, what: str, poll: float = POLL_SECONDS) -> None:
    """Fails as soon as `condition` is false within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        assert value, f"{what} did not last"
        await asyncio.sleep(poll)
