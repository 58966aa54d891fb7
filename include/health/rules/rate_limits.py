"""Refusals of the exchange for too many requests (HTTP 429, 418): the first is an event, the next an incident."""

from __future__ import annotations

from enum import Enum

from include.health.observations import Code, Observation, ProducerFacts

_SAME_SECONDS = 30.0  # our own request and the producer's meet the same limit
_OVER_SECONDS = 30.0  # without a refusal


class Limited(Enum):
    """How it stands."""

    NO = "no"
    ONCE = "once"
    AGAIN = "again"
    BANNED = "banned"


class RateLimits:
    """Counts refusals, of the producer's requests and of the oracle's; a second one within ``again_seconds`` counts.

    ``times``: the producer's own count. ``lately``: there was a refusal, and :meth:`now` has not found it over.
    """

    def __init__(self, again_seconds: float) -> None:
        self._again_seconds = again_seconds
        self.times: int | None = None
        self.lately = False
        self._last = float("-inf")
        self._oracle_limited = self._banned = self._again = False
        self._retry_after = 0.0

    def producer(self, at: float, facts: ProducerFacts) -> None:
        """The producer told how often it was refused; a smaller number is another process."""
        if self.times is not None and facts.times_limited > self.times:
            self._refused(at, new=True)
        self.times, self._retry_after = facts.times_limited, facts.retry_after_seconds

    def oracle(self, at: float, observation: Observation) -> None:
        """The exchange answered us, or refused."""
        limited = observation.code in (Code.RATE_LIMITED, Code.BANNED)
        if limited:
            self._refused(at, new=not self._oracle_limited and at - self._last > _SAME_SECONDS)
            self._banned |= observation.code is Code.BANNED
        self._oracle_limited = limited

    def now(self, at: float) -> Limited:
        """How it stands at ``at``."""
        over = at - self._last > _OVER_SECONDS and not self._oracle_limited and self._retry_after <= 0
        if over:
            self._banned = self._again = self.lately = False
            return Limited.NO
        if self._banned:
            return Limited.BANNED
        return Limited.AGAIN if self._again else Limited.ONCE

    @property
    def retry_after(self) -> float:
        """Seconds for which the producer may not ask."""
        return self._retry_after

    def _refused(self, at: float, *, new: bool) -> None:
        self._again |= new and at - self._last <= self._again_seconds
        self._last, self.lately = at, True
