"""Waiting for conditions instead of sleeping."""

from __future__ import annotations

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
