"""What the probes say of Kafka, kept as signals: no judgement yet."""

from __future__ import annotations

from include.health.config import DetectorConfig
from include.health.observations import (
    ClusterFacts,
    Code,
    HostFacts,
    Observation,
    Outcome,
    Probe,
    ProducerFacts,
    RoundTripFacts,
)
from include.health.rules.base import Figures
from include.health.rules.evidence import EvidenceLog
from include.health.rules.log_hints import LogHints
from include.health.rules.process_watch import Life, ProcessWatch
from include.health.rules.round_trips import RoundTrips
from include.health.signals import Signal
from include.health.verdicts import State
from include.playbook.names import Component
from include.playbook.thresholds import KafkaDownThresholds

_HEALTHY, _GONE, _FAILED = State.HEALTHY, Life.GONE, Outcome.FAILED  # looking up a member takes long
SILENCE = frozenset({Code.REFUSED, Code.TIMEOUT, Code.UNREACHABLE, Code.TRANSPORT})  # codes of a canary without answer


class KafkaSignals:
    """The signals of ``kafka_down``. ``changed`` is set by whatever may matter to the verdict, ``in_trouble`` by the
    rules while the scenario is bad; bad samples go to ``evidence``.
    """

    def __init__(self, thresholds: KafkaDownThresholds, config: DetectorConfig, evidence: EvidenceLog) -> None:
        self._thresholds = t = thresholds
        self._brokers_expected, self._evidence = config.brokers, evidence
        self.watch = ProcessWatch(Component.KAFKA.value, config)
        self.hints = LogHints(Component.KAFKA.value)
        self.gone = Signal(1, 1, dwell=t.dwell_seconds)
        self.canary = Signal(t.canary_failures, t.canary_successes, dwell=t.dwell_seconds)
        self.tcp = Signal(t.tcp_failures, t.tcp_failures)
        self.metadata = Signal(t.metadata_failures, t.metadata_successes)
        self.topics = Signal(2, 2, dwell=t.dwell_seconds)
        self.group = Signal(t.group_failures, t.group_failures)
        self.round_trips = RoundTrips(limit=t.slow_seconds, factor=t.slow_factor, window_seconds=t.slow_window_seconds)
        self.all = (
            self.gone,
            self.canary,
            self.tcp,
            self.metadata,
            self.topics,
            self.group,
            self.round_trips.signal,
        )
        self.canary_code = self.tcp_code = self.group_code = Code.OK
        self.gone_looks = self.canary_failures = 0  # in a row
        self.unacknowledged = 0.0
        self.topic_problems: dict[str, str] = {}
        self.brokers: int | None = None
        self.disk_free_share: float | None = None
        self.changed, self.in_trouble = True, False
        self.handlers = {
            Probe.PROCESSES: self._processes,
            Probe.KAFKA_TCP: self._tcp,
            Probe.KAFKA_CANARY: self._canary,
            Probe.KAFKA_METADATA: self._metadata,
            Probe.KAFKA_GROUP: self._group,
            Probe.PRODUCER: self._producer,
            Probe.HOST: self._host,
            Probe.LOGS: self._logs,
        }

    def interrupted(self) -> None:
        """Every run of samples starts again."""
        for signal in self.all:
            signal.interrupted()
        self.round_trips.interrupted()
        self.unacknowledged, self.gone_looks, self.canary_failures = 0.0, 0, 0
        self.changed = True

    def independent(self) -> bool:
        """Whether a path beside the canary says that Kafka does not answer. That the producer gets no acknowledgement
        says so only if the canary gets no answer either.
        """
        if self.tcp.state is State.UNHEALTHY or self.metadata.state is State.UNHEALTHY:
            return True
        return self.canary_code in SILENCE and self.unacknowledged > self._thresholds.unacknowledged_seconds

    def disk_low(self) -> bool:
        """Whether so little of Kafka's disk is left that it must be watched."""
        return self.disk_free_share is not None and self.disk_free_share < self._thresholds.disk_free_share

    def figures(self) -> Figures:
        """What a person reads on a healthy day."""
        return {
            "canary_seconds": round(self.round_trips.median, 4),
            "canary_p95_seconds": round(self.round_trips.p95, 4),
            "brokers": self.brokers,
            "oldest_unacknowledged_seconds": round(self.unacknowledged, 1),
            "disk_free_share": self.disk_free_share,
        }

    def _bad(self, signal: Signal, at: float, observation: Observation) -> None:
        """A bad sample of a probe, and evidence, unless the process need not answer now."""
        if self.in_trouble or not (self.watch.life is Life.HELD or self.watch.starting(at)):
            signal.bad(at)
            self.changed = True
            self._evidence.add_observation(at, observation)

    def _processes(self, at: float, observation: Observation) -> None:
        if self.watch.observe(at, observation):
            self.changed = True
            if self.watch.life is Life.HELD and not self.in_trouble:
                self.interrupted()
        if self.watch.life is _GONE:
            self.gone.bad(at)
            self.gone_looks, self.changed = self.gone_looks + 1, True
            self._evidence.add(at, Probe.PROCESSES, "gone", f"{self.watch.service}: {self.watch.ending}")
        elif (self.gone_looks or self.gone.state is not _HEALTHY) and self.watch.life is Life.ALIVE:
            self.gone_looks = 0
            self.changed |= self.gone.good(at)

    def _canary(self, at: float, observation: Observation) -> None:
        if observation.outcome is _FAILED:
            self.canary_code, self.canary_failures = observation.code, self.canary_failures + 1
            self._bad(self.canary, at, observation)
            return
        if self.canary_failures or self.canary.state is not _HEALTHY or not self.watch.has_served:
            self.canary_failures = 0
            self.watch.served()
            self.changed |= self.canary.good(at)
        if isinstance(observation.facts, RoundTripFacts):
            self.changed |= self.round_trips.add(at, observation.facts.seconds)

    def _tcp(self, at: float, observation: Observation) -> None:
        self.tcp_code = observation.code
        if observation.outcome is _FAILED:
            self._bad(self.tcp, at, observation)
        elif self.tcp.state is not _HEALTHY:
            self.changed |= self.tcp.good(at)

    def _group(self, at: float, observation: Observation) -> None:
        if observation.outcome is not _FAILED:
            self.changed |= self.group.good(at)
        elif not self.canary_failures and self.watch.life is not _GONE:  # without a broker there is no coordinator
            self.group_code = observation.code
            self._bad(self.group, at, observation)

    def _metadata(self, at: float, observation: Observation) -> None:
        if observation.outcome is _FAILED:
            self._bad(self.metadata, at, observation)
            return
        self.changed |= self.metadata.good(at)
        if not isinstance(facts := observation.facts, ClusterFacts):
            return
        self.brokers, problems = facts.brokers, facts.topic_problems
        if facts.brokers < self._brokers_expected:
            problems = {**problems, "brokers": f"{facts.brokers} of {self._brokers_expected}"}
        if not problems:
            self.changed |= self.topics.good(at)
            return
        self.topic_problems = problems
        self._bad(self.topics, at, _told(Probe.KAFKA_METADATA, problems))

    def _producer(self, at: float, observation: Observation) -> None:
        if not isinstance(observation.facts, ProducerFacts):
            self.unacknowledged = 0.0
            return
        self.unacknowledged = observation.facts.oldest_unacknowledged_seconds
        if self.unacknowledged > self._thresholds.unacknowledged_seconds and self.canary_failures:
            text = f"btc_producer has waited {self.unacknowledged:.0f} s for an acknowledgement"
            self._evidence.add(at, Probe.PRODUCER, "unacknowledged", text)
            self.changed = True

    def _host(self, at: float, observation: Observation) -> None:
        if isinstance(observation.facts, HostFacts):
            before = self.disk_low()
            self.disk_free_share = observation.facts.disk_free_share.get(Component.KAFKA.value)
            self.changed |= self.disk_low() is not before

    def _logs(self, at: float, observation: Observation) -> None:
        if self.hints.observe(at, observation):
            self.changed = True
            self._evidence.add(at, Probe.LOGS, "log", self.hints.line)


def _told(probe: Probe, problems: dict[str, str]) -> Observation:
    """Problems by name as an observation that can be evidence."""
    text = "; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items()))
    return Observation(probe=probe, outcome=Outcome.OK, code=Code.REFUSES, error=text)
