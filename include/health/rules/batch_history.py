"""Durations of the micro-batches against their own past: what is usual, what is a spike, and whose time it is.

Never counted: the first batch after a start (it is slow by nature) and batches with far more rows than usual (a
catch-up). What is slow is not learned.
"""

from __future__ import annotations

from collections import deque

from include.health.baseline import Baseline
from include.health.observations import BatchFacts, ProcessorFacts
from include.health.signals import Signal
from include.health.verdicts import State

_SHARES = 5  # batches
_MANY_ROWS_FACTOR, _MANY_ROWS = 3.0, 100
_COLD_BATCHES = 3.0  # trigger intervals that a batch may need as long as nothing is known
_COLD_SECONDS = 5.0


class BatchHistory:
    """Feed it what the processor says; it takes each finished batch once.

    A batch is a spike if it is longer than the trigger interval, more than ``seconds`` above the median, and more than
    ``deviations`` median absolute deviations above it. ``slow`` is that signal.
    """

    def __init__(self, *, interval: float, seconds: float, deviations: float, slow: Signal) -> None:
        self._interval, self._seconds, self._deviations = interval, seconds, deviations
        self.slow = slow
        self._durations, self._rows, self._mysql = Baseline(), Baseline(), Baseline()
        self._shares: deque[float] = deque(maxlen=_SHARES)
        self._last: tuple[str | None, int] | None = None  # query run and batch
        self.newest: BatchFacts | None = None
        self.p95: float | None = None

    def take(self, at: float, facts: ProcessorFacts) -> bool:
        """Whether a batch has ended since the last time."""
        batch = facts.last_batch
        if batch is None:
            return False
        last, known = self._last, (facts.query_run_id, batch.id)
        if known == last:
            return False
        self._last, self.newest = known, batch
        duration = batch.duration_seconds
        self._shares.append(batch.phase_seconds.get("mysql", 0.0) / duration if duration > 0 else 0.0)
        first = last is None or last[0] != facts.query_run_id
        if not first and batch.input_rows and not self._catches_up(batch):
            self._judge(at, batch)
        return True

    @property
    def usual(self) -> float | None:
        """Median duration in seconds, once it is known."""
        return self._durations.median if self._durations.ready else None

    @property
    def mysql_share(self) -> float:
        """Share of MySQL in the newest batches: the median."""
        return sorted(self._shares)[len(self._shares) // 2] if self._shares else 0.0

    @property
    def mysql_usual(self) -> float | None:
        """Median seconds in MySQL, once they are known."""
        return self._mysql.median if self._mysql.ready else None

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self.slow.interrupted()
        self._last = None

    def _catches_up(self, batch: BatchFacts) -> bool:
        rows = self._rows
        return rows.ready and batch.input_rows > max(_MANY_ROWS_FACTOR * rows.median, _MANY_ROWS)

    def _judge(self, at: float, batch: BatchFacts) -> None:
        duration, mysql = batch.duration_seconds, batch.phase_seconds.get("mysql", 0.0)
        if self._is_spike(duration):
            self.slow.bad(at)
        elif self.slow.state is not State.HEALTHY:
            self.slow.good(at)
        if self.slow.onset == 0.0:
            self._durations.add(at, duration)
            self._rows.add(at, float(batch.input_rows))
            self._mysql.add(at, mysql)
            if self._durations.ready:
                self.p95 = self._durations.quantile(0.95)

    def _is_spike(self, duration: float) -> bool:
        if duration <= self._interval:
            return False
        usual = self._durations
        if not usual.ready:
            return duration > max(_COLD_BATCHES * self._interval, _COLD_SECONDS)
        above = duration - usual.median
        return above > self._seconds and above > self._deviations * usual.deviation
