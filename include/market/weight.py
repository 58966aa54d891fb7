"""The exchange's limits on REST calls: the weight budget of the calendar minute, and ``Retry-After``.

Both count per IP address, so one instance of each serves the whole process, whatever the endpoint.
"""

from __future__ import annotations

import threading
from enum import IntEnum, StrEnum

from include.runtime.clock import Clock

DEFAULT_WEIGHT_PER_MINUTE = 6000  # enums.md of the API documentation; exchangeInfo tells the true figure
_MINUTE_MS = 60_000


class Priority(IntEnum):
    """What a call is for; the scarcer the budget, the more important a call must be."""

    OPTIONAL = 0  # nice to know
    REPAIR = 1  # trades that are missing
    ORACLE = 2  # is the feed at fault or the market quiet?


class Admission(StrEnum):
    """Whether the budget allows a call."""

    ALLOWED = "allowed"
    HALF_SPENT = "half_spent"  # from 50 %: no optional calls
    NEARLY_SPENT = "nearly_spent"  # from 80 %: the oracle only
    SPENT = "spent"  # the call would go over the limit and earn a 429


class WeightBudget:
    """Request weight used in this calendar minute (the exchange's counter starts anew at :00). Thread-safe."""

    def __init__(self, clock: Clock, limit: int = DEFAULT_WEIGHT_PER_MINUTE) -> None:
        self._clock, self._limit = clock, limit
        self._used, self._minute = 0, self._this_minute()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Weight per minute."""
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Take over the limit that ``exchangeInfo`` states."""
        self._limit = max(1, limit)

    @property
    def used(self) -> int:
        """Weight used in this minute, as far as known."""
        return self._used if self._minute == self._this_minute() else 0

    def admit(self, weight: int, priority: Priority) -> Admission:
        """Ask for ``weight``; it is counted when allowed."""
        with self._lock:
            self._turn_over()
            after = self._used + weight
            if after > self._limit:
                return Admission.SPENT
            if priority < Priority.ORACLE and self._used >= 0.8 * self._limit:
                return Admission.NEARLY_SPENT
            if priority < Priority.REPAIR and self._used >= 0.5 * self._limit:
                return Admission.HALF_SPENT
            self._used = after
            return Admission.ALLOWED

    def observe(self, used: int) -> None:
        """Take over the header ``X-MBX-USED-WEIGHT-1M``, which counts every client behind this address."""
        with self._lock:
            self._turn_over()
            self._used = used

    def seconds_to_reset(self) -> float:
        """Seconds until the exchange's counter starts anew."""
        return (_MINUTE_MS - self._clock.time_ms() % _MINUTE_MS) / 1000

    def _turn_over(self) -> None:
        minute = self._this_minute()
        if minute != self._minute:
            self._minute, self._used = minute, 0

    def _this_minute(self) -> int:
        return self._clock.time_ms() // _MINUTE_MS


class RetryAfterGate:
    """Closed for as long as the exchange asked (429, 418): going on earns a ban that grows. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until = clock, 0.0
        self._lock = threading.Lock()
        self.times_closed = 0
        self.last_status: int | None = None

    def close(self, seconds: float, status: int) -> None:
        """Let nothing through for ``seconds``; never shortens a longer wait."""
        with self._lock:
            self._until = max(self._until, self._clock.monotonic() + seconds)
            self.times_closed += 1
            self.last_status = status

    def seconds_left(self) -> float:
        """Seconds until calls are allowed again; 0 when they are."""
        return max(0.0, self._until - self._clock.monotonic())
