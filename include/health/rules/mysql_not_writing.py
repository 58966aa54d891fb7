"""MySQL does not write: detection §3 S3.

The canary writes as the pipeline does; what it cannot see (a batch that waits, rows that vanish, writes that go
elsewhere) is told by stream_processor, the ledger and the audit. That nothing is written because nothing is traded, or
because the processor does not run, is no fault of MySQL.
"""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.observations import (
    AuditFacts,
    Code,
    HostFacts,
    LocksFacts,
    Observation,
    Outcome,
    Probe,
    ProcessorFacts,
    RoundTripFacts,
    RowsFacts,
    SchemaFacts,
)
from include.health.rules.base import Figures, Finding
from include.health.rules.log_hints import LogHints
from include.health.rules.mysql_causes import PASSING, SENTENCES, STRUCTURAL
from include.health.rules.mysql_processor import Expected, ProcessorWrites, known_cause
from include.health.rules.process_findings import held, restarted
from include.health.rules.process_watch import Life, ProcessWatch
from include.health.rules.trouble_rules import TroubleRules
from include.health.rules.troubles import Kind
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook.thresholds import MysqlThresholds

_HEALTHY = Finding(state=State.HEALTHY, reason="The canary writes as the pipeline does.")
_UNSEEN = Finding(state=State.UNKNOWN, reason="No observation yet.", cause=Cause.UNKNOWN)
_LOCKS_KNOWN_SECONDS = 30.0  # three looks
_GONE, _OK = Life.GONE, Outcome.OK  # looking up a member takes long


class MysqlNotWritingRules(TroubleRules):
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.MYSQL_NOT_WRITING
    target = Component.MYSQL
    needs = frozenset({Probe.MYSQL_CANARY})

    def __init__(self, thresholds: MysqlThresholds, config: DetectorConfig) -> None:
        super().__init__(thresholds, config)
        self._thresholds = t = thresholds
        self._watch, self._hints = ProcessWatch(self.target.value, config), LogHints(self.target.value)
        troubles = self._troubles
        self._gone = troubles.define(t.gone_samples, 1, dwell=t.dwell_seconds)
        self._canary = troubles.define(t.canary_failures, t.canary_successes, dwell=t.dwell_seconds)
        self._refused = troubles.define(2, t.canary_successes, dwell=t.dwell_seconds)
        self._blocked = troubles.define(t.locked_canaries, t.canary_successes, dwell=t.dwell_seconds)
        self._looks = (self._canary, self._refused, self._blocked)
        self._writes = troubles.define(2, 1, dwell=t.dwell_seconds)
        self._locked = troubles.define(1, 10, dwell=t.dwell_seconds)
        self._waiting = troubles.define(2, 2, dwell=t.dwell_seconds)
        self._schema = troubles.define(2, 2, dwell=t.dwell_seconds)
        self._audit = troubles.define(t.audit_failures, t.audit_failures + 1, dwell=t.dwell_seconds)
        self._elsewhere = troubles.define(2, 2, dwell=t.dwell_seconds)
        self._slow = troubles.define(2, 2)
        self._waits = (self._writes, self._waiting, self._locked)
        self._disk = troubles.define(1, 1)
        self._processor = ProcessorWrites()
        self._locks, self._locks_at = LocksFacts(waiting=0, longest_wait_seconds=0.0, blockers=()), 0.0
        self._batches: int | None = None
        self._expected = Expected()
        self._advances = 0  # of the ledger, since the last bad sample
        self._wanted_at = 0.0  # when something was last waiting to be written
        self._well_at = 0.0  # when MySQL was last seen to answer
        self._seconds: float | None = None
        self._row_age: float | None = None
        self.handlers = {
            Probe.PROCESSES: self._take_processes,
            Probe.MYSQL_CANARY: self._take_canary,
            Probe.MYSQL_LEDGER: self._take_ledger,
            Probe.MYSQL_SCHEMA: self._take_schema,
            Probe.MYSQL_AUDIT: self._take_audit,
            Probe.MYSQL_LOCKS: self._take_locks,
            Probe.PROCESSOR: self._take_processor,
            Probe.HOST: self._take_host,
            Probe.LOGS: self._take_logs,
        }

    def verdict(self, at: float) -> Verdict:
        """See :class:`Rules`."""
        verdict = super().verdict(at)
        if self._watch.restarted_at and verdict.state.bad:
            self._watch.accounted()
        return verdict

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._troubles.interrupted()
        self._processor.interrupted()
        self._expected, self._wanted_at = Expected(), at
        self._judge.resumed(at)

    # --- What follows --------------------------------------------------------------------------------------------
    def _finding(self, at: float) -> Finding:
        if not self._judge.bad and (finding := held(self._watch)):
            return finding
        worst = self._troubles.worst(self._judge)
        if worst is not None and (worst.state.bad or not self._judge.bad):
            return worst
        if self._judge.bad and not self._written():
            return self._judge.recovering()
        if finding := worst or restarted(self._watch, at):
            return finding
        return _HEALTHY if self._canary.quiet else _UNSEEN

    def _written(self) -> bool:
        """After a trouble: rows are written again, or nothing has been waiting for long enough, as far as was seen."""
        quiet = self._well_at - self._wanted_at > self._thresholds.ledger_stalled_seconds
        return self._advances >= self._thresholds.ledger_advances or quiet

    def _figures(self, _at: float) -> Figures:
        return {
            "canary_seconds": self._seconds and round(self._seconds, 4),
            "batches": self._batches,
            "newest_row_age_seconds": self._row_age and round(self._row_age, 1),
            "lock_waits": self._locks.waiting,
        }

    def _excused(self, at: float) -> bool:
        """It is held, or only starting: that it does not answer says nothing, unless it is in trouble already."""
        return not self._judge.bad and (self._watch.life is Life.HELD or self._watch.starting(at))

    def _hit(self, at: float) -> None:
        """Something bad was seen: what was written before does not count towards health."""
        self._advances, self._wanted_at = 0, at

    # --- What is seen of MySQL itself ----------------------------------------------------------------------------
    def _take_processes(self, at: float, observation: Observation) -> None:
        if self._watch.observe(at, observation):
            self._troubles.changed = True
            if self._watch.life is Life.HELD and not self._judge.bad:
                self._troubles.interrupted()
        if self._watch.life is _GONE:
            cause = self._hints.cause(at) or (Cause.CRASH_LOOP if self._watch.looping(at) else Cause.PROCESS_GONE)
            kind = Kind(cause, Symptom.PROCESS_GONE, Probe.PROCESSES, direct=True)
            self._gone.bad(at, kind, lambda: f"MySQL does not run; {self._watch.ending}.")
            self._hit(at)
        elif not self._gone.quiet and self._watch.life is Life.ALIVE:
            self._gone.good(at)

    def _take_canary(self, at: float, observation: Observation) -> None:
        if observation.outcome is _OK:
            self._well_at = at
            if isinstance(observation.facts, RoundTripFacts):
                self._seconds = observation.facts.seconds
            quiet = self._canary.quiet and self._refused.quiet and self._blocked.quiet
            if not (quiet and self._watch.has_served):
                self._watch.served()
                for look in self._looks:
                    look.good(at)
        elif not self._excused(at) or observation.code in STRUCTURAL:  # a clear no is an answer
            self._failed(at, observation)

    def _failed(self, at: float, observation: Observation) -> None:
        self._hit(at)
        kind, sentence = self._failure(at, observation)
        number = f" (error {observation.number})" if observation.number else ""
        # most locks end by themselves, as when a table is altered between two batches
        look = self._blocked if observation.code is Code.LOCKED else self._canary
        look.bad(at, kind, lambda: f"{sentence}{number}.")
        if observation.code in STRUCTURAL:
            self._refused.bad(at, kind, lambda: f"{sentence}{number}.")

    def _failure(self, at: float, observation: Observation) -> tuple[Kind, str]:
        """What a failed look at MySQL says, by the class of the error and the state of its process."""
        code, life = observation.code, self._watch.life
        known = STRUCTURAL.get(code) or PASSING.get(code)
        if known is not None:
            return Kind(*known, observation.probe, direct=True), SENTENCES[code]
        again = self._gone.kind or self._canary.kind
        if self._judge.bad and again and (life is not Life.ALIVE or self._watch.starting(at)):
            return again, "MySQL is not back yet"
        cause, sentence = self._silence(at, code)
        return Kind(cause, Symptom.MYSQL_CONNECTIVITY, observation.probe, direct=True), sentence

    def _silence(self, at: float, code: Code) -> tuple[Cause, str]:
        """Nobody answers where MySQL should be."""
        alive = self._watch.life is Life.ALIVE
        if code is Code.REFUSED:
            if alive:
                hint = self._hints.cause(at)
                return hint or Cause.WRONG_SETTINGS, "MySQL's process lives, but nobody listens on its port"
            return self._hints.cause(at) or Cause.PROCESS_GONE, "Nobody listens on MySQL's port"
        if code is Code.UNREACHABLE:
            return Cause.NETWORK, "MySQL's host cannot be reached"
        if alive or code is Code.TIMEOUT:
            return (
                Cause.PROCESS_HUNG,
                "MySQL's process lives, but does not answer" if alive else "MySQL does not answer",
            )
        return Cause.UNKNOWN, f"MySQL fails its canary: {code.value}"

    def _take_schema(self, at: float, observation: Observation) -> None:
        if isinstance(observation.facts, SchemaFacts):
            problems = observation.facts.problems
            kind = Kind(Cause.SCHEMA_MISMATCH, Symptom.MYSQL_SCHEMA, Probe.MYSQL_SCHEMA, direct=True)
            self._schema.sample(at, kind if problems else None, lambda: f"The tables differ: {'; '.join(problems)}.")

    def _take_audit(self, at: float, observation: Observation) -> None:
        if isinstance(observation.facts, AuditFacts):
            missing = observation.facts.missing
            kind = Kind(Cause.SILENT_LOSS, Symptom.ROWS_MISSING, Probe.MYSQL_AUDIT, direct=True)
            text = f"Rows that were counted are not there: {'; '.join(missing[:3])}."
            self._audit.sample(at, kind if missing else None, lambda: text)

    def _take_locks(self, at: float, observation: Observation) -> None:
        if isinstance(observation.facts, LocksFacts):
            self._locks, self._locks_at = observation.facts, at

    def _take_host(self, at: float, observation: Observation) -> None:
        if isinstance(observation.facts, HostFacts):
            share = observation.facts.disk_free_share.get(self.target.value, 1.0)
            kind = Kind(Cause.DISK_FULL, Symptom.MYSQL_DISK_FULL, Probe.HOST, direct=True, warning=True)
            low = share < self._thresholds.disk_free_share
            self._disk.sample(at, kind if low else None, lambda: f"Only {share:.1%} of MySQL's disk is free.")

    def _take_logs(self, at: float, observation: Observation) -> None:
        if self._hints.observe(at, observation):
            self._judge.evidence.add(at, Probe.LOGS, "log", self._hints.line)

    # --- What is seen of the writes ------------------------------------------------------------------------------
    def _take_ledger(self, at: float, observation: Observation) -> None:
        facts = observation.facts
        if not isinstance(facts, RowsFacts):
            return
        self._row_age = facts.row_age_seconds
        if facts.batches != self._batches:
            self._batches, self._advances = facts.batches, self._advances + 1
        overdue = self._expected.overdue(at, facts, self._processor)
        if overdue > self._thresholds.ledger_stalled_seconds:
            self._hit(at)
            kind = Kind(Cause.WRONG_SETTINGS, Symptom.STALE_ROWS, Probe.MYSQL_LEDGER, direct=True)
            text = "stream_processor reports batches as written, but they do not arrive in this database."
            self._elsewhere.bad(at, kind, lambda: text)
        elif not overdue and not self._elsewhere.quiet:
            self._elsewhere.good(at)

    def _take_processor(self, at: float, observation: Observation) -> None:
        facts, own = observation.facts, self._processor
        if not isinstance(facts, ProcessorFacts):
            own.waits_since = 0.0
            return
        own.take(at, facts)
        if own.error is None and not own.waits_since:  # the usual case
            if not self._slow.quiet:
                self._slow.good(at)
            if own.settled:  # it has written, and not only given up waiting
                for trouble in self._waits:
                    if not trouble.quiet:
                        trouble.good(at)
            return
        if not self._excused(at):
            self._judge_writes(at)

    def _cause(self, told: Cause) -> Cause:
        """The job only knows that its connection is lost; a trouble under way may have a cause already."""
        return self._judge.verdict.cause if self._judge.bad and told is Cause.UNKNOWN else told

    def _judge_writes(self, at: float) -> None:
        """The processor met an error, or waits for MySQL."""
        own = self._processor
        self._wanted_at = at
        known = known_cause(own.error)
        text = f"{known[2]}: {own.text}." if known else ""
        kind = known and Kind(self._cause(known[0]), known[1], Probe.PROCESSOR)
        if own.refused is not None:
            self._hit(at)
            self._writes.sample(at, kind, lambda: text)
        if own.locks_within_a_minute(at) > self._thresholds.locked_per_minute:
            self._hit(at)
            locked = Kind(Cause.LOCKS, Symptom.MYSQL_LOCKED, Probe.PROCESSOR)
            self._locked.bad(at, locked, lambda: f"{SENTENCES[Code.LOCKED]}, again and again.")
        if not own.waits_since or at - own.waits_since <= self._thresholds.phase_seconds:
            return
        if self._locks.waiting and at - self._locks_at < _LOCKS_KNOWN_SECONDS:
            kind = Kind(Cause.LOCKS, Symptom.MYSQL_LOCKED, Probe.MYSQL_LOCKS, direct=True)
            text = f"A batch waits for a lock: {'; '.join(self._locks.blockers) or 'the holder is not known yet'}."
        if kind is not None:
            self._hit(at)
            self._waiting.bad(at, kind, lambda: text)
        else:  # not MySQL's word, and the canary writes: a large batch, or a job that hangs
            slow = Kind(Cause.UNKNOWN, Symptom.STALE_ROWS, Probe.PROCESSOR, severity=Severity.SEV_4, warning=True)
            self._slow.bad(at, slow, lambda: "A batch has been writing to MySQL for long.")
