"""A circuit breaker: an endpoint that keeps failing is left alone for a while, then tried with one call."""

from __future__ import annotations

import threading
from enum import StrEnum

from include.runtime.clock import Clock


class BreakerState(StrEnum):
    """Closed lets calls through, open refuses them, half-open lets one probe through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permission(StrEnum):
    """Answer to a request to call."""

    ALLOWED = "allowed"
    PROBE = "probe"  # allowed, as the one call that decides whether the breaker closes
    REFUSED_OPEN = "refused_open"
    REFUSED_PROBING = "refused_probing"  # another caller's probe is still under way

    @property
    def granted(self) -> bool:
        """Whether the call may be made."""
        return self in (Permission.ALLOWED, Permission.PROBE)


class CircuitBreaker:
    """Opens after ``failures_to_open`` failures in a row, for ``open_seconds`` (doubled at each failed probe).

    Each granted permission must be followed by :meth:`succeed` or :meth:`fail`; a probe whose caller vanished is
    written off after ``open_seconds``. Safe for several threads.
    """

    def __init__(
        self, clock: Clock, failures_to_open: int = 3, open_seconds: float = 10.0, longest_open_seconds: float = 300.0
    ) -> None:
        self._clock, self._failures_to_open = clock, failures_to_open
        self._first_open, self._longest_open = open_seconds, longest_open_seconds
        self._open_for, self._changed = open_seconds, clock.monotonic()
        self._state, self._failures = BreakerState.CLOSED, 0
        self._lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """The state now; an open breaker whose time is up still says open until somebody asks to call."""
        return self._state

    def seconds_to_probe(self) -> float:
        """Seconds until a probe is let through; 0 when calls are."""
        if self._state is BreakerState.CLOSED:
            return 0.0
        return max(0.0, self._changed + self._open_for - self._clock.monotonic())

    def ask(self) -> Permission:
        """Ask to make one call."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return Permission.ALLOWED
            if self.seconds_to_probe() > 0:
                return Permission.REFUSED_OPEN if self._state is BreakerState.OPEN else Permission.REFUSED_PROBING
            self._move(BreakerState.HALF_OPEN)
            return Permission.PROBE

    def succeed(self) -> None:
        """The call gave a usable answer."""
        with self._lock:
            self._failures, self._open_for = 0, self._first_open
            if self._state is not BreakerState.CLOSED:
                self._move(BreakerState.CLOSED)

    def fail(self) -> None:
        """The call failed for a reason that lies with the endpoint."""
        with self._lock:
            self._failures += 1
            if self._state is BreakerState.HALF_OPEN:
                self._open_for = min(self._longest_open, self._open_for * 2)
                self._move(BreakerState.OPEN)
            elif self._state is BreakerState.CLOSED and self._failures >= self._failures_to_open:
                self._move(BreakerState.OPEN)

    def _move(self, state: BreakerState) -> None:
        self._state, self._changed = state, self._clock.monotonic()
