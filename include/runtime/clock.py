"""Time as a collaborator: every wait and every age takes a clock, so that tests need not wait."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes back."""
        ...

    def time_ms(self) -> int:
        """Wall-clock time in milliseconds since the epoch (the exchange's unit)."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return time.monotonic()

    def time_ms(self) -> int:
        """See :class:`Clock`."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to; for tests and simulations."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._start_ms = self._now_ms = now_ms

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return (self._now_ms - self._start_ms) / 1000

    def time_ms(self) -> int:
        """See :class:`Clock`."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Move time forward."""
        self._now_ms += round(seconds * 1000)
