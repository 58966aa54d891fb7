"""Kafka is down, in part or whole: detection §3 S1.

Down is a canary message that does not go round and one more independent path (TCP, metadata, what btc_producer cannot
get acknowledged); a process that is gone needs no more than a refused connection. The canary alone is a part of Kafka,
metadata alone is trouble of the observer.
"""

from __future__ import annotations

from collections.abc import Callable

from include.health.config import DetectorConfig
from include.health.observations import Code, Probe
from include.health.rules.base import Finding, Judge
from include.health.rules.kafka_signals import KafkaSignals
from include.health.rules.process_findings import held, process_gone, restarted
from include.health.rules.process_watch import Life
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook.thresholds import KafkaDownThresholds

_PARTIAL = frozenset({Code.NO_LEADER, Code.NOT_ENOUGH_REPLICAS, Code.STORAGE})
_REFUSED: dict[Code, Cause] = {
    Code.CREDENTIALS: Cause.CREDENTIALS,
    Code.TOPIC_MISSING: Cause.TOPIC_MISSING,
    Code.REFUSES: Cause.PARTIAL_OUTAGE,
}
_HEALTHY = Finding(state=State.HEALTHY, reason="A test message goes through the broker and back.")
_UNSEEN = Finding(state=State.UNKNOWN, reason="No observation yet.", cause=Cause.UNKNOWN)


class KafkaDownRules:
    """See the module's text and :class:`include.health.rules.base.Rules`."""

    scenario = ScenarioId.KAFKA_DOWN
    target = Component.KAFKA
    needs = frozenset({Probe.KAFKA_CANARY})

    def __init__(self, thresholds: KafkaDownThresholds, config: DetectorConfig) -> None:
        self._judge = Judge(self.scenario, self.target, thresholds, config)
        self._signals = KafkaSignals(thresholds, config, self._judge.evidence)
        self._alone_failures = 2 * thresholds.canary_failures
        self.handlers = self._signals.handlers
        self._steps: tuple[Callable[[float], Finding | None], ...] = (
            self._held,
            self._process_gone,
            self._canary_failed,
            self._parts,
            self._recovering,
            self._metadata_alone,
            self._suspected,
            self._record,
        )

    def verdict(self, at: float) -> Verdict:
        """See :class:`Rules`."""
        if at < self._judge.settled_until and not self._signals.changed:
            return self._judge.verdict
        self._signals.changed = False
        verdict = self._judge.conclude(at, self._finding(at), self._signals.figures())
        self._signals.in_trouble = verdict.state.bad
        if verdict.state.bad:
            self._signals.watch.accounted()
        return verdict

    def resumed(self, at: float) -> None:
        """See :class:`Rules`."""
        self._signals.interrupted()
        self._judge.resumed(at)

    def _finding(self, at: float) -> Finding:
        for step in self._steps:
            if finding := step(at):
                return finding
        return _HEALTHY if self._signals.canary.state is State.HEALTHY else _UNSEEN

    def _held(self, at: float) -> Finding | None:
        return None if self._judge.bad else held(self._signals.watch)

    def _process_gone(self, at: float) -> Finding | None:
        s = self._signals
        refused = s.tcp.onset != 0.0 and s.tcp.state is not State.RECOVERING
        if s.watch.life is Life.GONE and (refused or s.gone_looks > 1):
            return process_gone(s.watch, "Nobody listens on the broker's port", s.gone.onset, s.hints.cause(at))
        return None

    def _canary_failed(self, at: float) -> Finding | None:
        s = self._signals
        if s.canary.state is not State.UNHEALTHY:
            return None
        if self._judge.bad and (s.watch.starting(at) or s.watch.life is Life.HELD):
            return self._judge.persisting()  # it is being started again
        if s.canary_code not in _REFUSED and s.independent():
            return self._down(at)
        if finding := self._partly(at):
            return finding
        return self._judge.persisting() if self._judge.bad else None

    def _partly(self, at: float) -> Finding | None:
        """Only the canary fails: which part of Kafka, by its error."""
        s = self._signals
        code = s.canary_code
        if code in _REFUSED:
            return self._bad(_REFUSED[code], f"Kafka refuses a test message: {code.value}.")
        if code in _PARTIAL:
            full = code is Code.STORAGE and (s.disk_low() or s.hints.cause(at) is Cause.DISK_FULL)
            cause = Cause.DISK_FULL if full else Cause.PARTIAL_OUTAGE
            return self._bad(cause, f"Kafka answers, but does not take a test message: {code.value}.")
        if s.canary_failures >= self._alone_failures:
            return self._bad(Cause.PARTIAL_OUTAGE, "Kafka answers, but test messages do not go round.")
        return None

    def _down(self, at: float) -> Finding:
        """The canary and another path fail: how does the process look?"""
        s = self._signals
        listens = s.tcp.state not in (State.UNHEALTHY, State.SUSPECT)
        refused = not listens and s.tcp_code is Code.REFUSED
        if s.watch.life is Life.ALIVE:
            lives = "Kafka's process lives and accepts connections" if listens else "Kafka's process lives"
            how = "but nobody listens on the broker's port" if refused else "but it does not answer"
            hint = s.hints.cause(at) if refused else None
            return self._bad(hint or Cause.PROCESS_HUNG, f"{lives}, {how}.")
        if refused:
            return self._bad(s.hints.cause(at) or Cause.PROCESS_GONE, "Nobody listens on the broker's port.")
        if listens:
            return self._bad(Cause.PROCESS_HUNG, "Kafka accepts connections, but it does not answer.")
        return self._bad(Cause.NETWORK, f"Kafka cannot be reached: {s.tcp_code.value}.")

    def _parts(self, at: float) -> Finding | None:
        """What the canary cannot see, because it has a topic of its own and no group."""
        s = self._signals
        if s.topics.state is State.UNHEALTHY:
            text = "; ".join(f"{name}: {problem}" for name, problem in sorted(s.topic_problems.items()))
            partial = any(word in text for word in ("leader", "replica", "broker"))
            cause = Cause.PARTIAL_OUTAGE if partial else Cause.TOPIC_MISSING
            return self._bad(cause, f"Kafka's metadata differ from what is expected: {text}.", s.topics.onset)
        if s.group.state is State.UNHEALTHY:
            reason = f"Offsets of the consumer group cannot be committed: {s.group_code.value}."
            return self._bad(Cause.COORDINATOR, reason, s.group.onset, Severity.SEV_3)
        slow = s.round_trips.signal
        if slow.state is State.UNHEALTHY:
            reason = "Test messages take many times longer than usual."
            return self._bad(Cause.DEGRADED, reason, slow.onset, Severity.SEV_3)
        return None

    def _recovering(self, _at: float) -> Finding | None:
        if self._judge.bad and any(signal.confirmed for signal in self._signals.all):
            return self._judge.recovering()
        return None

    def _metadata_alone(self, _at: float) -> Finding | None:
        s = self._signals
        if s.metadata.state is State.UNHEALTHY and s.canary.state is State.HEALTHY:
            reason = "Test messages go round, but Kafka's metadata cannot be read: trouble of the observer."
            return Finding(state=State.UNKNOWN, cause=Cause.MONITORING_BLIND, reason=reason)
        return None

    def _suspected(self, _at: float) -> Finding | None:
        s = self._signals
        onset = min((signal.onset for signal in s.all if signal.onset), default=0.0)
        if not onset:
            return None
        return Finding(
            state=State.SUSPECT,
            cause=Cause.UNKNOWN,
            symptom=Symptom.PROCESS_GONE if s.gone.onset else Symptom.KAFKA_TRANSPORT,
            reason=self._suspicion(),
            direct=True,
            onset=onset,
        )

    def _suspicion(self) -> str:
        s = self._signals
        if s.gone.onset:
            return f"Kafka: {s.watch.ending}."
        names = (
            (s.canary, "a test message did not go round"),
            (s.tcp, "a connection failed"),
            (s.metadata, "metadata could not be read"),
            (s.topics, "metadata differ from what is expected"),
            (s.group, "offsets could not be committed"),
            (s.round_trips.signal, "test messages are slow"),
        )
        return f"Not confirmed yet: {', '.join(text for signal, text in names if signal.onset)}."

    def _record(self, at: float) -> Finding | None:
        """A warning, or what has healed itself."""
        if finding := restarted(self._signals.watch, at):
            return finding
        if self._signals.disk_low():
            return Finding(
                state=State.SUSPECT,
                cause=Cause.DISK_FULL,
                reason="The disk of Kafka's log is almost full.",
                direct=True,
                severity=Severity.SEV_4,
            )
        return None

    def _bad(self, cause: Cause, reason: str, onset: float = 0.0, severity: Severity | None = None) -> Finding:
        s = self._signals
        refuses = cause in (Cause.CREDENTIALS, Cause.TOPIC_MISSING) or s.canary_code is Code.REFUSES
        transport = Symptom.PROCESS_GONE if cause is Cause.PROCESS_GONE else Symptom.KAFKA_TRANSPORT
        return Finding(
            state=State.UNHEALTHY,
            cause=cause,
            symptom=Symptom.KAFKA_REFUSES if refuses else transport,
            reason=reason,
            direct=True,
            severity=severity,
            onset=onset or s.canary.onset,
        )
