"""Requests for another stream connection (SIGHUP), and what came of them; for ``/health``."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from include.runtime.clock import Clock


class Answer(StrEnum):
    """What a request leads to."""

    REPLACING = "replacing"  # a new connection is opened beside the present one, which is closed then
    CONNECTING_NOW = "connecting_now"  # there was none: the next attempt does not wait
    REFUSED_MUST_WAIT = "refused_must_wait"  # the exchange wants to be left alone (429, 418), or we tried too often


class ReconnectRequests:
    """Counts them. ``granted``: how many were followed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.granted = self.refused = 0
        self._last: tuple[int, Answer] | None = None  # when, in ms since the epoch

    def answered(self, answer: Answer) -> Answer:
        """Note the answer to a request."""
        if answer is Answer.REFUSED_MUST_WAIT:
            self.refused += 1
        else:
            self.granted += 1
        self._last = (self._clock.time_ms(), answer)
        return answer

    def describe(self) -> dict[str, str] | None:
        """The newest request; None when there was none."""
        if self._last is None:
            return None
        moment = datetime.fromtimestamp(self._last[0] / 1000, UTC)
        return {"at": moment.isoformat(timespec="milliseconds"), "answer": self._last[1].value}
