"""The exchange's clock: real time, stretched by a factor, so that 24 hours can pass in seconds."""

from __future__ import annotations

import time

from include.market.standin.errors import StandInError


class ScaledClock:
    """A :class:`include.runtime.clock.Clock` that runs ``factor`` times as fast as the machine's.

    The factor can be changed and time can be moved forward while it runs; it never goes back.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = factor
        self._anchor = time.monotonic()
        self._start = self._base = time.time()

    @property
    def factor(self) -> float:
        """Exchange seconds per real second."""
        return self._factor

    def set_factor(self, factor: float) -> None:
        """Run at another pace from now on; raises :class:`StandInError` unless the factor is positive."""
        if not factor > 0:
            raise StandInError(f"clock factor: received {factor!r}; allowed is a number above 0")
        self._rebase()
        self._factor = factor

    def advance(self, seconds: float) -> None:
        """Move time forward; raises :class:`StandInError` for a step back."""
        if seconds < 0:
            raise StandInError(f"clock step: received {seconds!r}; allowed are seconds forward")
        self._rebase()
        self._base += seconds

    def monotonic(self) -> float:
        """See :class:`include.runtime.clock.Clock`."""
        return self._now() - self._start

    def time_ms(self) -> int:
        """See :class:`include.runtime.clock.Clock`."""
        return int(self._now() * 1000)

    def _now(self) -> float:
        return self._base + (time.monotonic() - self._anchor) * self._factor

    def _rebase(self) -> None:
        self._base, self._anchor = self._now(), time.monotonic()
