"""The lag of spark-group: detection §3 S5. Judged by time, not by numbers of records: how long the oldest unread record
has been waiting, whether that grows, and how long the backlog would take to drain.
"""

from __future__ import annotations

import math

from include.health.config import DetectorConfig
from include.health.observations import (
    Observation,
    OffsetsFacts,
    Outcome,
    Probe,
    ProcessorFacts,
    RowsFacts,
)
from include.health.rules.base import Figures, Finding
from include.health.rules.lag_causes import LagCauses
from include.health.rules.lag_trend import LagTrend
from include.health.rules.offset_rounds import OffsetRounds
from include.health.rules.trouble_rules import TroubleRules
from include.health.rules.troubles import Kind
from include.health.verdicts import State
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook.thresholds import LagThresholds

_RATE_SECONDS, _LATELY_SECONDS = 60.0, 12.0
_INTERVAL_SECONDS = 4.0  # two rounds
_LATE_SHARE = 0.8  # of the retention: loss is near
_STILL_SECONDS = 10.0  # without a commit
_CALM_ROUNDS = 5
_START_FACTOR = 3.0  # times the limit that nothing may be read at all, as in a start of the job

_ELSEWHERE = (Cause.CONSUMER_STOPPED, Cause.SLOW_MYSQL_WRITES, Cause.UNKNOWN)  # what is seen here begins elsewhere
_NOT_COMMITTED = Kind(
    Cause.OFFSETS_NOT_COMMITTED, Symptom.LAG_GROWS, Probe.OFFSETS, direct=True, severity=Severity.SEV_4
)
_RETENTION = Kind(Cause.RETENTION_LOSS, Symptom.LAG_GROWS, Probe.OFFSETS, direct=True)
_LOSS = Kind(Cause.RETENTION_LOSS, Symptom.LAG_GROWS, Probe.OFFSETS, direct=True, severity=Severity.SEV_1)


class KafkaLagRules(TroubleRules):
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.KAFKA_LAG
    target = Component.LAG
    needs = frozenset({Probe.OFFSETS})

    def __init__(self, thresholds: LagThresholds, config: DetectorConfig) -> None:
        super().__init__(thresholds, config)
        self._thresholds = t = thresholds
        interval = config.micro_batch_seconds
        self._limit = max(t.waiting_seconds, 3 * interval)
        self._warning = max(t.warning_seconds, 2 * interval)
        self._patience = _START_FACTOR * self._limit
        self._exit = max(t.exit_seconds, 2 * interval)
        define = self._troubles.define
        looks = math.ceil(t.exit_for_seconds / t.confirm_seconds)
        self._retention = define(2, 3, dwell=t.dwell_seconds)
        self._lag = define(2, looks, of=3, dwell=t.dwell_seconds)
        self._uncommitted = define(1, 2, dwell=t.dwell_seconds)
        self._catching_up, self._rising = define(2, 2), define(3, _CALM_ROUNDS)
        self._rounds = OffsetRounds(max(_RATE_SECONDS, 10 * interval))
        self._trend = LagTrend(interval=max(_INTERVAL_SECONDS, 2 * interval), points=t.slope_points, p=t.slope_p)
        self._causes = LagCauses(t, config)
        self._rows: RowsFacts | None = None
        self._counted_before, self._counted_moved_at = 0, -math.inf
        self._still_seconds = max(_STILL_SECONDS, 4 * interval)
        self._lately = max(_LATELY_SECONDS, 4 * interval)
        self._wrong_figure = False  # rows advance and the group's offsets do not
        self._sample_due = 0.0
        self._stopped_at = -math.inf  # when nothing was being read, for the last time
        self._seen_at = 0.0  # the last valid round
        self._unseen = Finding(state=State.UNKNOWN, cause=Cause.UNKNOWN, reason="No observation yet.")
        self.handlers = {
            Probe.OFFSETS: self._offsets,
            Probe.PROCESSOR: self._processor,
            Probe.MYSQL_LEDGER: self._ledger,
        }

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._troubles.interrupted()
        self._rounds.interrupted()
        self._trend.clear()
        self._judge.resumed(at)
        self._stopped_at = -math.inf
        self._counted_before, self._rows, self._causes.facts = 0, None, None

    # --- What is seen --------------------------------------------------------------------------------------------
    def _processor(self, _at: float, observation: Observation) -> None:
        facts = observation.facts
        self._causes.facts = facts if isinstance(facts, ProcessorFacts) else None

    def _ledger(self, _at: float, observation: Observation) -> None:
        facts = observation.facts
        self._rows = facts if isinstance(facts, RowsFacts) else None

    def _offsets(self, at: float, observation: Observation) -> None:
        facts, rounds = observation.facts, self._rounds
        if observation.outcome is not Outcome.OK or not isinstance(facts, OffsetsFacts):
            said = observation.error or observation.code.value
            self._not_seen(Cause.UNKNOWN, Symptom.KAFKA_TRANSPORT, f"Kafka does not tell the offsets: {said}")
            return
        if not rounds.take(at, facts):
            reason = (
                "The offsets make no measurement: ends before what is committed, or a leader that has just changed."
            )
            self._not_seen(Cause.MONITORING_BLIND, Symptom.NOT_OBSERVABLE, reason)
            return
        self._seen_at = at
        waiting = rounds.waiting
        self._trend.add(at, waiting)
        if waiting <= self._exit and self._troubles.quiet and not rounds.deleted:  # most rounds are over with that
            self._causes.learn(at, rounds)
            self._wrong_figure = False
            return
        self._judge_retention(at)
        self._wrong_figure = self._judge_commits(at)
        if not self._wrong_figure:
            self._judge_lag(at)

    def _not_seen(self, cause: Cause, symptom: Symptom, reason: str) -> None:
        if reason != self._unseen.reason:
            self._unseen = Finding(state=State.UNKNOWN, cause=cause, symptom=symptom, reason=reason)
            self._troubles.changed = True

    # --- What it means -------------------------------------------------------------------------------------------
    def _judge_retention(self, at: float) -> None:
        used, deleted = self._rounds.waiting / self._rounds.retention_seconds, self._rounds.deleted
        if used < self._thresholds.retention_share and not deleted:
            self._retention.good(at)
            return
        text = f"Unread records have used up {used:.0%} of the topic's retention; then they are deleted."
        if deleted:
            text = f"{deleted} records have been deleted before they were read."
        kind = _LOSS if deleted or used >= _LATE_SHARE else _RETENTION
        self._retention.bad(at, kind, lambda: text)

    def _judge_commits(self, at: float) -> bool:
        """Whether rows advance and the group's offsets do not: then the lag is a wrong figure and no lag."""
        rounds = self._rounds
        silent = at - rounds.committed_at
        uncommitted = 0
        if silent >= self._still_seconds and rounds.lag:
            counted = self._counted_offsets()
            if counted > self._counted_before > 0:
                self._counted_moved_at = at
            self._counted_before = counted
            if at - self._counted_moved_at < self._still_seconds:
                uncommitted = counted - rounds.committed
        if uncommitted <= 0:
            self._uncommitted.good(at)
            return False
        if silent >= self._thresholds.uncommitted_seconds:
            text = (
                f"{uncommitted} records are counted in MySQL, and their offsets are not committed for {silent:.0f} s."
            )
            self._uncommitted.bad(at, _NOT_COMMITTED, lambda: text)
        return True

    def _counted_offsets(self) -> int:
        """How far the partitions are counted, by the processor's word or by the ledger's: a sum."""
        own = self._causes.facts.offsets if self._causes.facts is not None else {}
        rows = self._rows.offsets if self._rows is not None else {}
        return sum(max(own.get(partition, 0), rows.get(partition, 0)) for partition in self._rounds.partitions())

    def _judge_lag(self, at: float) -> None:
        rounds, waiting = self._rounds, self._rounds.waiting
        if self._causes.stopped(rounds):
            self._stopped_at = at
        growth, drain = self._trend.growth, rounds.drain_seconds(max(at - self._stopped_at, self._lately))
        rising = growth is not None and waiting > self._trend.newest
        over = waiting > self._limit
        late = rising or drain > self._thresholds.drain_seconds
        bad = over and late and rounds.known and not self._excused(at)
        if at >= self._sample_due:
            self._sample_due = at + self._thresholds.confirm_seconds - 0.5  # rounds come a little late
            if bad:
                self._lag.bad(at, self._kind(warning=False), self._text)
            elif waiting < self._exit or not self._lag.confirmed:
                self._lag.good(at)
        if over and not bad and rounds.known and not math.isinf(drain):
            text = f"{rounds.lag} records wait, the oldest for {waiting:.0f} s; read in about {drain:.0f} s."
            self._catching_up.bad(at, self._kind(warning=True), lambda: text)
        else:
            self._catching_up.good(at)
        if waiting > self._warning and rising and growth is not None:
            text = f"The oldest unread record waits for {waiting:.0f} s, {growth.slope * 60:.1f} s more each minute."
            self._rising.bad(at, self._kind(warning=True), lambda: text)
        elif waiting < self._exit:
            self._rising.good(at)

    def _excused(self, at: float) -> bool:
        """Whether a backlog that is too old now is on its way to be read: the job is starting, or has just begun."""
        rounds = self._rounds
        if self._stopped_at == at:  # that it is stopped is another scenario's news
            return at - rounds.committed_at < self._patience
        if at - self._stopped_at < self._lately:  # a rate needs some time
            return True
        shorter = rounds.waiting < self._trend.newest
        return shorter and rounds.drain_seconds(self._lately) <= self._thresholds.drain_seconds

    def _kind(self, *, warning: bool) -> Kind:
        cause = self._causes.cause(self._rounds)
        return Kind(cause, Symptom.LAG_GROWS, Probe.OFFSETS, direct=cause not in _ELSEWHERE, warning=warning)

    def _text(self) -> str:
        rounds, drain = self._rounds, self._rounds.drain_seconds()
        incoming, finished = rounds.rates()
        future = "it does not shrink" if math.isinf(drain) else f"it would take {drain:.0f} s to drain"
        return (
            f"{rounds.lag} records wait, the oldest for {rounds.waiting:.0f} s; {incoming:.1f} come and "
            f"{finished:.1f} are finished each second: {future}."
        )

    # --- The conclusion ------------------------------------------------------------------------------------------
    def _finding(self, at: float) -> Finding:
        if not self._seen_at or at - self._seen_at > self._thresholds.blind_seconds:
            return self._unseen
        if finding := self._troubles.worst(self._judge):
            return finding
        lag, waiting = self._rounds.lag, self._rounds.waiting
        if lag == 0:
            return Finding(state=State.HEALTHY, reason="Nothing waits in crypto-trades.")
        if self._wrong_figure:
            reason = "Offsets have not been committed lately, while records are counted in MySQL."
            return Finding(state=State.HEALTHY, reason=reason)
        if waiting > self._limit:
            kind = self._kind(warning=False)
            reason = f"{lag} records wait, the oldest for {waiting // 10 * 10:.0f} s; nothing confirmed yet."
            return Finding(state=State.SUSPECT, cause=kind.cause, symptom=kind.symptom, reason=reason)
        return Finding(state=State.HEALTHY, reason="What waits in crypto-trades is read in good time.")

    def _figures(self, _at: float) -> Figures:
        rounds = self._rounds
        if not self._seen_at:
            return {}
        drain, (incoming, finished) = rounds.drain_seconds(), rounds.rates()
        return {
            "lag_records": rounds.lag,
            "waiting_seconds": round(rounds.waiting, 1),
            "incoming_per_second": round(incoming, 1),
            "finished_per_second": round(finished, 1),
            "drain_seconds": None if math.isinf(drain) else round(drain, 1),
            "retention_used": round(rounds.waiting / rounds.retention_seconds, 3),
            "loss_in_seconds": self._loss_in(),
        }

    def _loss_in(self) -> float | None:
        """When records will be deleted unread if the lag goes on growing as it does; ``None`` if it does not grow, or
        is no more than the pipeline's own pace.
        """
        growth = self._trend.growth if self._rounds.waiting > self._exit else None
        if growth is None or growth.slope <= 0 or math.isinf(self._rounds.retention_seconds):
            return None
        return round(max(0.0, self._rounds.retention_seconds - self._rounds.waiting) / growth.slope)
