"""Waiting for the stream, for as long as it gets on."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from include.runtime.clock import Clock

_POLL_SECONDS = 0.25


class Waited(StrEnum):
    """How a wait ended."""

    DONE = "done"
    STUCK = "stuck"  # the figure has not moved for as long as allowed


def wait_while_moving(
    left: Callable[[], int],
    *,
    stuck_seconds: float,
    clock: Clock,
    on_move: Callable[[int], None] = lambda figure: None,
    wait: Callable[[float], None] = time.sleep,
) -> Waited:
    """Until ``left`` is 0, or has not become less for ``stuck_seconds``."""
    lowest, since = None, clock.monotonic()
    while figure := left():
        if lowest is None or figure < lowest:
            lowest, since = figure, clock.monotonic()
            on_move(figure)
        elif clock.monotonic() - since > stuck_seconds:
            return Waited.STUCK
        wait(_POLL_SECONDS)
    return Waited.DONE
