"""Waiting for conditions instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], timeout: float, what: str = "", interval: float = 0.05) -> T:
    """The first true answer of ``condition``; exceptions count as "not yet". Fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            if last := condition():
                return last  # type: ignore[return-value]
        except Exception as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or condition} (last: {last!r})")
        time.sleep(interval)


async def until(condition: Callable[[], T], timeout: float = 5.0, what: str = "", interval: float = 0.005) -> T:
    """The first true answer of ``condition``, asked on the event loop. Fails after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what or condition}"
        await asyncio.sleep(interval)
    return answer
