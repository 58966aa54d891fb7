"""When to try again: exponential back-off with full jitter, and a ceiling on connection attempts."""

from __future__ import annotations

import random
from collections import deque

from include.runtime.clock import Clock


class Backoff:
    """First try at once, then a random wait below 1, 2, 4 … ``longest`` seconds ("full jitter").

    Full jitter spreads clients that lost the same server; :meth:`reset` is for proven success only (valid data), or
    a server that accepts and then says nothing would be hammered.
    """

    def __init__(self, first: float = 1.0, longest: float = 30.0, rng: random.Random | None = None) -> None:
        self._first, self._longest = first, longest
        self._rng = rng or random.Random()  # noqa: S311 (jitter needs no secrecy)
        self._tries = 0

    def next_delay(self) -> float:
        """Seconds to wait before the next try."""
        tries, self._tries = self._tries, self._tries + 1
        if tries == 0:
            return 0.0
        ceiling = min(self._longest, self._first * 2.0 ** min(tries - 1, 30))
        return self._rng.uniform(0.0, ceiling)

    def reset(self) -> None:
        """Valid data arrived: the next failure starts from the beginning."""
        self._tries = 0


class AttemptBudget:
    """At most ``limit`` attempts within ``window`` seconds (the exchange bans an address at 300 in 5 minutes)."""

    def __init__(self, clock: Clock, limit: int = 60, window: float = 300.0) -> None:
        self._clock, self._limit, self._window = clock, limit, window
        self._times: deque[float] = deque()

    def seconds_to_wait(self) -> float:
        """Seconds until an attempt is within the budget; 0 when it is now."""
        horizon = self._clock.monotonic() - self._window
        while self._times and self._times[0] <= horizon:
            self._times.popleft()
        return 0.0 if len(self._times) < self._limit else self._times[0] - horizon

    def spend(self) -> None:
        """Count one attempt."""
        self._times.append(self._clock.monotonic())
