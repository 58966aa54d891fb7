"""The Spark job fails: detection §3 S2. Its process, its query, its running batch, its progress, its durations."""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.observations import (
    BatchFacts,
    LogFacts,
    Observation,
    OffsetsFacts,
    Outcome,
    PartitionFacts,
    Probe,
    ProcessorFacts,
)
from include.health.rules.base import Figures, Finding
from include.health.rules.batch_history import BatchHistory
from include.health.rules.processor_errors import cause_of
from include.health.rules.running_batch import RunningBatch
from include.health.rules.supervised_process import SupervisedProcess
from include.health.rules.trouble_rules import TroubleRules
from include.health.rules.troubles import Kind
from include.health.verdicts import State
from include.playbook.names import Cause, Component, ScenarioId, Symptom
from include.playbook.thresholds import StreamProcessorThresholds

_RUNNING, _FAILED = "running", "failed"
_RETRYING = ("retrying_mysql", "restarting_query")
_FEWEST_ROWS = 20  # before a share of invalid ones means anything
_MYSQL_SHARE = 0.5
_SETTLED_SECONDS = 5.0
_CALM_SECONDS, _CALM_LOOK_SECONDS = 5.0, 3.9

_SLOW_SPARK = Kind(Cause.BATCHES_SLOW, Symptom.BATCH_SLOW, Probe.PROCESSOR, direct=True, warning=True)
_SLOW_MYSQL = Kind(Cause.BATCHES_SLOW, Symptom.MYSQL_SLOW, Probe.PROCESSOR, warning=True)
_INVALID = Kind(Cause.SCHEMA_MISMATCH, Symptom.BAD_FRAMES, Probe.PROCESSOR, direct=True, warning=True)
_ERROR_LINES = Kind(Cause.UNKNOWN, None, Probe.LOGS, direct=True, warning=True)
_NO_PROGRESS = Kind(Cause.NO_PROGRESS, Symptom.NO_PROGRESS, Probe.PROCESSOR)


class StreamProcessorFailureRules(TroubleRules):
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.STREAM_PROCESSOR_FAILURE
    target = Component.PROCESSOR
    needs = frozenset({Probe.PROCESSOR})

    def __init__(self, thresholds: StreamProcessorThresholds, config: DetectorConfig) -> None:
        super().__init__(thresholds, config)
        self._thresholds = t = thresholds
        self._interval = config.micro_batch_seconds
        define = self._troubles.define
        self._failed = define(1, 3, dwell=t.dwell_seconds)
        self._process = SupervisedProcess(
            self.target.value,
            Probe.PROCESSOR,
            thresholds=thresholds,
            config=config,
            troubles=self._troubles,
            useless=(Cause.NO_PROGRESS, Symptom.NO_PROGRESS),
        )
        self._retrying = define(2, 3, dwell=t.dwell_seconds)  # the second sample is taken after retrying_seconds
        self._hung = define(1, 1, dwell=t.dwell_seconds)
        self._no_progress = define(1, 2, dwell=t.dwell_seconds)
        self._slow = define(t.spike_batches, t.calm_batches, of=t.spike_window_batches)
        self._invalid, self._error_lines = define(3, 3), define(1, 1)
        self._batches = BatchHistory(
            interval=self._interval,
            seconds=t.spike_seconds,
            deviations=t.spike_deviations,
            slow=self._slow.signal,
        )
        self._running = RunningBatch(t, self._interval, self._batches, self._hung)
        self._facts: ProcessorFacts | None = None
        self._ends: dict[int, PartitionFacts] = {}
        self._look_due = 0.0
        self._idle_at = 0.0  # when there was nothing to read, or something was finished
        self._retrying_since: float | None = None
        self.handlers = {
            Probe.PROCESSES: self._process.processes,
            Probe.PROCESSOR: self._processor,
            Probe.OFFSETS: self._offsets,
            Probe.MYSQL_CANARY: self._running.mysql,
            Probe.LOGS: self._logs,
        }

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._troubles.interrupted()
        self._process.interrupted()
        self._batches.interrupted()
        self._judge.resumed(at)
        self._ends = {}
        self._idle_at, self._retrying_since, self._facts = at, None, None

    # --- What is seen --------------------------------------------------------------------------------------------
    def _processor(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if observation.outcome is not Outcome.OK or not isinstance(facts, ProcessorFacts):
            self._facts, self._look_due = None, at
            self._process.unanswered(at, observation)
            return
        self._facts = facts
        if at < self._look_due and facts.batch_age_seconds < _CALM_SECONDS and facts.status == _RUNNING:
            return
        self._look_due = at
        self._idle_at = self._idle_at or at
        self._process.answered(at)
        if self._batches.take(at, facts):
            self._finished(at, facts)
        if facts.status == _RUNNING:
            if self._calm(facts):  # since when nothing has been finished is known from the batch itself
                self._look_due = at + _CALM_LOOK_SECONDS
                return
            if self._process.starting and (facts.last_batch is not None or not self._unread(facts)):
                self._process.works()
            if not self._failed.quiet and not self._process.starting:
                self._failed.good(at)
        self._judge_query(at, facts)
        self._running.judge(at, facts, self._unread(facts))
        self._judge_progress(at, facts)

    def _calm(self, facts: ProcessorFacts) -> bool:
        """Nothing was wrong, and a batch was finished a moment ago: a glance will do the next time."""
        return (
            facts.last_batch is not None
            and facts.last_batch.committed_age_seconds < _CALM_SECONDS
            and facts.batch_age_seconds < _CALM_SECONDS
            and self._retrying_since is None
            and self._failed.quiet
            and self._hung.quiet
            and self._no_progress.quiet
            and not self._slow.signal.onset
            and not self._process.starting
        )

    def _offsets(self, _at: float, observation: Observation) -> None:
        if isinstance(observation.facts, OffsetsFacts):
            self._ends = observation.facts.partitions

    def _logs(self, at: float, observation: Observation) -> None:
        self._process.logs(at, observation)
        if not isinstance(observation.facts, LogFacts):
            return
        classes = observation.facts.errors.get(self.target.value, {})
        count = sum(classes.values())
        if count >= self._thresholds.error_lines:
            told = ", ".join(f"{name} {number}" for name, number in sorted(classes.items()))
            self._error_lines.bad(at, _ERROR_LINES, lambda: f"{count} new errors in stream_processor.log: {told}.")
        elif not self._error_lines.quiet:
            self._error_lines.good(at)

    # --- What it means -------------------------------------------------------------------------------------------
    def _finished(self, at: float, facts: ProcessorFacts) -> None:
        """A batch has ended."""
        batch = facts.last_batch
        if batch is None:
            return
        self._process.absolved()
        self._idle_at = max(self._idle_at, at - batch.committed_age_seconds)
        if batch.invalid_rows:
            self._judge_invalid(at, batch)
        elif not self._invalid.quiet:
            self._invalid.good(at)
        if self._slow.signal.onset:
            self._describe_slow(at)
        self._slow.follow()

    def _judge_invalid(self, at: float, batch: BatchFacts) -> None:
        share = batch.invalid_rows / batch.input_rows if batch.input_rows >= _FEWEST_ROWS else 0.0
        if share > self._thresholds.invalid_share:
            text = f"{batch.invalid_rows} of {batch.input_rows} records of a batch are invalid."
            self._invalid.bad(at, _INVALID, lambda: text)
        else:
            self._invalid.good(at)

    def _describe_slow(self, at: float) -> None:
        batch, usual, share = self._batches.newest, self._batches.usual, self._batches.mysql_share
        if batch is not None:
            normally = "" if usual is None else f", usually {usual:.1f} s"
            text = f"Batches take {batch.duration_seconds:.1f} s{normally}; {share:.0%} of it in MySQL."
            self._slow.describe(at, _SLOW_MYSQL if share >= _MYSQL_SHARE else _SLOW_SPARK, lambda: text)

    def _judge_query(self, at: float, facts: ProcessorFacts) -> None:
        """Is the query dead, or being tried again?"""
        if facts.status == _FAILED:
            cause, symptom = cause_of(facts.last_error_code)
            self._process.blames(at, cause, symptom, vague=cause is Cause.QUERY_FAILED)
            kind = Kind(cause, symptom, Probe.PROCESSOR, direct=True)
            self._failed.bad(at, kind, lambda: f"The streaming query has ended: {facts.last_error or 'no error told'}")
        elif facts.status in _RETRYING:
            self._tries_again(at, facts)
        elif self._retrying_since is not None and self._works_again(at, self._retrying_since, facts):
            self._retrying.good(at)
            if self._retrying.quiet:
                self._retrying_since = None

    def _tries_again(self, at: float, facts: ProcessorFacts) -> None:
        cause, symptom = cause_of(facts.last_error_code)
        if facts.last_error_code is None:
            mysql = facts.status == _RETRYING[0]
            cause = Cause.WRITE_FAILURE if mysql else Cause.KAFKA_CONNECTION
            symptom = Symptom.MYSQL_CONNECTIVITY if mysql else Symptom.KAFKA_TRANSPORT
        self._process.blames(at, cause, symptom, vague=cause is Cause.QUERY_FAILED)
        kind = Kind(cause, symptom, Probe.PROCESSOR)
        began = self._retrying_since is None
        since = self._retrying_since = self._retrying_since or at
        what = "retries a transaction" if facts.status == _RETRYING[0] else "starts its query again"
        text = f"stream_processor {what}: {facts.last_error or 'no error told'}"
        if began or at - since >= self._thresholds.retrying_seconds:
            self._retrying.bad(at, kind, lambda: text)
        else:
            self._retrying.describe(at, kind, lambda: text)

    def _works_again(self, at: float, since: float, facts: ProcessorFacts) -> bool:
        """It says that it runs; did it finish anything since, or is there nothing to finish?"""
        batch = facts.last_batch
        if batch is not None and at - batch.committed_age_seconds > since:
            return True
        return not self._unread(facts) and at - since > _SETTLED_SECONDS

    def _judge_progress(self, at: float, facts: ProcessorFacts) -> None:
        """Records wait, and nothing is done about them."""
        if facts.batch_running or self._process.starting or not self._unread(facts):
            self._idle_at = at
        if at - self._idle_at < max(self._thresholds.no_progress_seconds, 4 * self._interval):
            if not self._no_progress.quiet:
                self._no_progress.good(at)
            return
        text = f"{self._unread(facts)} records wait, and no batch has run for {at - self._idle_at:.0f} s."
        self._no_progress.bad(at, _NO_PROGRESS, lambda: text)

    def _unread(self, facts: ProcessorFacts) -> int:
        offsets, unread = facts.offsets, 0
        for partition, own in self._ends.items():
            read = own.start if own.committed is None else own.committed
            unread += max(0, own.end - max(offsets.get(partition, 0), read))
        return unread

    # --- The conclusion ------------------------------------------------------------------------------------------
    def _finding(self, at: float) -> Finding:
        found = self._process.held(at, self._judge) or self._troubles.worst(self._judge)
        return found or self._process.recovering(self._judge) or self._well()

    def _well(self) -> Finding:
        facts = self._facts
        if self._process.starting:
            return Finding(state=State.HEALTHY, reason="stream_processor is starting.")
        if facts is None:
            reason = "stream_processor has not been seen lately."
            return Finding(state=State.UNKNOWN, cause=Cause.UNKNOWN, reason=reason)
        if facts.status == _RUNNING:
            return Finding(state=State.HEALTHY, reason="The query runs, and batches are finished.")
        return Finding(state=State.HEALTHY, reason=f"stream_processor says that it is {facts.status}.")

    def _figures(self, _at: float) -> Figures:
        facts = self._facts
        if facts is None:
            return {}
        batch, usual = facts.last_batch, self._batches.usual
        return {
            "status": facts.status,
            "batch_seconds": None if batch is None else round(batch.duration_seconds, 2),
            "usual_batch_seconds": None if usual is None else round(usual, 2),
            "mysql_share": round(self._batches.mysql_share, 2),
            "batch_rows": None if batch is None else batch.input_rows,
            "committed_age_seconds": None if batch is None else round(batch.committed_age_seconds, 1),
            "running_batch_seconds": round(facts.batch_age_seconds, 1) if facts.batch_running else 0.0,
            "unread": self._unread(facts),
        }
