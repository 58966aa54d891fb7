"""Durations of the micro-batches against their own past: what is usual, what is a spike, and whose time it is.

Never counted: the first batch after a start (it is slow by nature) and a batch with far more rows than usually come in
its time (a catch-up). What is slow is not learned.
"""

from __future__ import annotations

from include.health.baseline import Baseline
from include.health.observations import BatchFacts, ProcessorFacts
from include.health.signals import Signal
from include.health.verdicts import State

_LEARN_SECONDS = 5.0  # at least, between two batches that are learned
_MANY_ROWS_FACTOR, _MANY_ROWS = 3.0, 100
_SHORTEST_SECONDS = 0.1  # of a batch, when the interval is 0
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
        self._durations, self._rows = Baseline(), Baseline()
        self._last_id = -1
        self._last_run: str | None = ""
        self._learn_due = 0.0
        self.newest: BatchFacts | None = None
        self.p95: float | None = None

    def take(self, at: float, facts: ProcessorFacts) -> bool:
        """Whether a batch has ended since the last time."""
        batch = facts.last_batch
        if batch is None or (batch.id == self._last_id and facts.query_run_id == self._last_run):
            return False
        first = facts.query_run_id != self._last_run
        self._last_id, self._last_run, self.newest = batch.id, facts.query_run_id, batch
        if not first and batch.input_rows:
            self._judge(at, batch)
        return True

    @property
    def usual(self) -> float | None:
        """Median duration in seconds, once it is known."""
        return self._durations.median if self._durations.ready else None

    @property
    def mysql_share(self) -> float:
        """Share of MySQL in the newest batch."""
        batch = self.newest
        if batch is None or batch.duration_seconds <= 0:
            return 0.0
        return batch.phase_seconds.get("mysql", 0.0) / batch.duration_seconds

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self.slow.interrupted()
        self._last_id, self._last_run = -1, ""

    def _judge(self, at: float, batch: BatchFacts) -> None:
        duration = batch.duration_seconds
        if duration > self._interval and not self._catches_up(batch) and self._is_spike(duration):
            self.slow.bad(at)
            return
        if self.slow.state is not State.HEALTHY:
            if self._catches_up(batch):
                return
            self.slow.good(at)
        if at >= self._learn_due and self.slow.onset == 0.0:
            self._learn_due = at + _LEARN_SECONDS
            if not self._catches_up(batch):
                self._durations.add(at, duration)
                self._rows.add(at, float(batch.input_rows))
                if self._durations.ready:
                    self.p95 = self._durations.quantile(0.95)

    def _catches_up(self, batch: BatchFacts) -> bool:
        """More rows for its time than usually come in it: a slow batch has many rows too, but takes long for them."""
        rows, usual = self._rows, self._durations
        if not rows.ready or batch.input_rows <= _MANY_ROWS:
            return False
        pace = max(self._interval, usual.median, _SHORTEST_SECONDS)  # in which so many rows usually come
        return batch.input_rows / max(batch.duration_seconds, pace) > _MANY_ROWS_FACTOR * rows.median / pace

    def _is_spike(self, duration: float) -> bool:
        usual = self._durations
        if not usual.ready:
            return duration > max(_COLD_BATCHES * self._interval, _COLD_SECONDS)
        above = duration - usual.median
        return above > self._seconds and above > self._deviations * usual.deviation
