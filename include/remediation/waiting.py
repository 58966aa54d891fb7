"""Waiting for something to be seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from include.runtime.clock import Clock

T = TypeVar("T")

POLL_SECONDS = 0.2


def until(clock: Clock, seconds: float, look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """The first look that is enough, else the last one before the time was over. There is always at least one."""
    deadline, pause = clock.monotonic() + seconds, threading.Event()
    while not enough(seen := look()) and clock.monotonic() < deadline:
        pause.wait(POLL_SECONDS)
    return seen
