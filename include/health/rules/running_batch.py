"""Does the running micro-batch hang, and is it MySQL that hangs?"""

from __future__ import annotations

from include.health.observations import Code, Observation, Outcome, Probe, ProcessorFacts
from include.health.rules.batch_history import BatchHistory
from include.health.rules.processor_errors import cause_of, symptom_of_canary
from include.health.rules.troubles import Kind, Trouble
from include.playbook.names import Cause, Symptom
from include.playbook.thresholds import StreamProcessorThresholds

_IN_MYSQL = "mysql"
_CANARY_NEWS_SECONDS = 15.0
_ROWS_PER_SECOND = 5_000.0  # that a batch with a backlog is granted at least


class RunningBatch:
    """Judges the age of the running batch by a fixed limit, by its own past, and by what waits for it."""

    def __init__(
        self, thresholds: StreamProcessorThresholds, interval: float, batches: BatchHistory, hung: Trouble
    ) -> None:
        self._thresholds, self._interval, self._batches, self._hung = thresholds, interval, batches, hung
        self._age = 0.0
        self._canary: tuple[float, Code] | None = None

    def mysql(self, at: float, observation: Observation) -> None:
        """The observer's own write to MySQL."""
        self._canary = (at, observation.code) if observation.outcome is Outcome.FAILED else None

    def judge(self, at: float, facts: ProcessorFacts, unread: int) -> None:
        """What the processor told of the batch; ``unread`` records wait."""
        age, before = facts.batch_age_seconds, self._age
        self._age = age
        if not facts.batch_running or age < before:
            if not self._hung.quiet:
                self._hung.good(at)
            return
        limit = self._longest(unread)
        if age <= limit:
            return
        symptom = self._mysql_symptom(at, facts) if facts.batch_phase == _IN_MYSQL else Symptom.BATCH_HUNG
        phase = facts.batch_phase or "planning"
        text = f"The running batch is {age:.0f} s old (phase {phase}); batches may take {limit:.0f} s."
        self._hung.bad(at, Kind(Cause.BATCH_HUNG, symptom, Probe.PROCESSOR, direct=True), lambda: text)

    def _longest(self, unread: int) -> float:
        """What the running batch may take; one with a backlog takes longer."""
        t, p95 = self._thresholds, self._batches.p95
        own = 0.0 if p95 is None else t.hung_batch_factor * p95
        return max(t.hung_batch_seconds, 3 * self._interval, own) + unread / _ROWS_PER_SECOND

    def _mysql_symptom(self, at: float, facts: ProcessorFacts) -> Symptom:
        """A batch that hangs in MySQL: is it MySQL that hangs?"""
        if self._canary is not None and at - self._canary[0] <= _CANARY_NEWS_SECONDS:
            return symptom_of_canary(self._canary[1]) or Symptom.BATCH_HUNG
        age = facts.last_error_age_seconds
        if age is not None and age < facts.batch_age_seconds:
            cause, symptom = cause_of(facts.last_error_code)
            if cause in (Cause.WRITE_FAILURE, Cause.SCHEMA_MISMATCH):
                return symptom
        return Symptom.BATCH_HUNG
