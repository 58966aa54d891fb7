"""What other people's rules would have made of the same observations, written from their public descriptions.

Each baseline gives an alert when it begins to fire, and again only after it has been quiet in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from include.health.observations import (
    Code,
    Observation,
    OffsetsFacts,
    Outcome,
    Probe,
    ProducerFacts,
    Seen,
)
from include.playbook.names import Component


@dataclass(frozen=True)
class Alert:
    """A baseline begins to fire at ``at`` for ``component``."""

    at: float
    component: Component
    text: str


class Baseline(Protocol):
    """Fed with everything that is seen; gives the alerts that begin."""

    name: str

    def feed(self, seen: Seen) -> list[Alert]:
        """Take what was seen at one moment."""
        ...


# --- Burrow ------------------------------------------------------------------------------------------------------
class BurrowStatus(IntEnum):
    """In order of badness."""

    OK = 0
    WARN = 1
    STOP = 2
    STALL = 3
    REWIND = 4


@dataclass(frozen=True)
class Commit:
    """One committed offset, and the lag when it was seen."""

    at: float
    offset: int
    lag: int


@dataclass
class PartitionWindow:
    """The last commits of a partition, and the broker's last ends (wiki "Consumer Lag Evaluation Rules")."""

    commits: deque[Commit]
    ends: deque[int]

    @classmethod
    def empty(cls, size: int) -> PartitionWindow:
        """Nothing committed yet."""
        return cls(deque(maxlen=size), deque(maxlen=size))

    def commit(self, at: float, offset: int, end: int) -> None:
        """The consumer committed."""
        self.commits.append(Commit(at, offset, max(0, end - offset)))

    def status(self, now: float) -> BurrowStatus:
        """The rules in their order: no lag at any time in the window is OK; an offset that went back; nothing committed
        for longer than the window spans; the same offset again and again; lag that never shrinks.
        """
        commits = self.commits
        if not commits or not self.ends or self.ends[-1] <= commits[-1].offset or any(c.lag == 0 for c in commits):
            return BurrowStatus.OK
        pairs = [(a, b) for a, b in zip(commits, list(commits)[1:], strict=False)]
        if any(b.offset < a.offset for a, b in pairs):
            return BurrowStatus.REWIND
        stopped = now - commits[-1].at > commits[-1].at - commits[0].at
        if stopped and all(end > commits[-1].offset for end in self.ends):
            return BurrowStatus.STOP
        if pairs and all(b.offset == a.offset for a, b in pairs):
            return BurrowStatus.STALL
        if pairs and all(b.lag >= a.lag for a, b in pairs):
            return BurrowStatus.WARN
        return BurrowStatus.OK


class Burrow:
    """Five rules over the last ten commits of each partition, looked at once a minute as its notifier does by default.
    An alert is a group that is no longer OK.
    """

    name = "Burrow"

    def __init__(self, window: int = 10, every: float = 60.0) -> None:
        self._size, self._every = window, every
        self._windows: dict[int, PartitionWindow] = {}
        self._due = 0.0
        self._firing = False

    def feed(self, seen: Seen) -> list[Alert]:
        """See the protocol."""
        for observation in seen.observations:
            if isinstance(observation.facts, OffsetsFacts):
                self._take(seen.at, observation.facts)
        if seen.at < self._due:
            return []
        self._due = seen.at + self._every
        worst = max((window.status(seen.at) for window in self._windows.values()), default=BurrowStatus.OK)
        was, self._firing = self._firing, worst > BurrowStatus.OK
        return [Alert(seen.at, Component.LAG, worst.name)] if self._firing and not was else []

    def _take(self, at: float, facts: OffsetsFacts) -> None:
        for number, partition in facts.partitions.items():
            if partition.committed is None:
                continue
            window = self._windows.setdefault(number, PartitionWindow.empty(self._size))
            window.ends.append(partition.end)
            if not window.commits or window.commits[-1].offset != partition.committed:
                window.commit(at, partition.committed, partition.end)


# --- Fixed thresholds --------------------------------------------------------------------------------------------
@dataclass
class _Rule:
    """True for ``seconds`` without a break: it fires (the "for" of a Prometheus rule)."""

    component: Component
    probe: Probe
    seconds: float
    true: Callable[[Observation], bool | None]  # None: no sample
    text: str
    since: float | None = None
    firing: bool = False

    def take(self, at: float, observation: Observation) -> Alert | None:
        """One sample."""
        found = self.true(observation)
        if found is None:
            return None
        if not found:
            self.since, self.firing = None, False
            return None
        self.since = at if self.since is None else self.since
        if self.firing or at - self.since < self.seconds:
            return None
        self.firing = True
        return Alert(at, self.component, self.text)


_NO_CONNECTION = frozenset(
    {Code.REFUSED, Code.TIMEOUT, Code.UNREACHABLE, Code.CONNECTIVITY, Code.CREDENTIALS, Code.CAPACITY}
)


def _failed(observation: Observation) -> bool | None:
    return None if observation.outcome is Outcome.BLIND else observation.outcome is Outcome.FAILED


def _no_connection(observation: Observation) -> bool | None:
    """As ``mysql_up`` has it: a server that refuses only writes is up."""
    failing = _failed(observation)
    return failing and observation.code in _NO_CONNECTION if failing else failing


def _far_behind(records: int) -> Callable[[Observation], bool | None]:
    def true(observation: Observation) -> bool | None:
        if not isinstance(observation.facts, OffsetsFacts):
            return None
        partitions = observation.facts.partitions.values()
        return sum(max(0, p.end - (p.committed or 0)) for p in partitions) > records

    return true


class FixedThresholds:
    """A rule for each component as people write them for Prometheus: the broker's port closed for 3 minutes (the "for"
    of Strimzi's example rules for a broker that is down), the database or a process not up for a minute, more than
    10,000 records of lag for 5 minutes.
    """

    name = "fixed thresholds"

    def __init__(self) -> None:
        self._rules = (
            _Rule(Component.KAFKA, Probe.KAFKA_TCP, 180.0, _failed, "broker down for 3 min"),
            _Rule(Component.MYSQL, Probe.MYSQL_CANARY, 60.0, _no_connection, "mysql_up is 0 for 1 min"),
            _Rule(Component.PRODUCER, Probe.PRODUCER, 60.0, _failed, "up is 0 for 1 min"),
            _Rule(Component.PROCESSOR, Probe.PROCESSOR, 60.0, _failed, "up is 0 for 1 min"),
            _Rule(Component.LAG, Probe.OFFSETS, 300.0, _far_behind(10_000), "lag above 10,000 for 5 min"),
        )

    def feed(self, seen: Seen) -> list[Alert]:
        """See the protocol."""
        alerts = []
        for observation in seen.observations:
            for rule in self._rules:
                if rule.probe is observation.probe and (alert := rule.take(seen.at, observation)):
                    alerts.append(alert)
        return alerts


# --- A silence timer ---------------------------------------------------------------------------------------------
class SilenceTimer:
    """Nothing received for 120 s, as cryptofeed watches its connections; nobody is asked whether there was anything."""

    name = "silence timer 120 s"

    def __init__(self, seconds: float = 120.0) -> None:
        self._seconds = seconds
        self._received: tuple[int | None, ...] = ()
        self._since: float | None = None
        self._firing = False

    def feed(self, seen: Seen) -> list[Alert]:
        """See the protocol."""
        for observation in seen.observations:
            if isinstance(observation.facts, ProducerFacts):
                received = tuple(symbol.received for symbol in observation.facts.symbols.values())
                if received != self._received:
                    self._received, self._since, self._firing = received, seen.at, False
        if self._since is None or self._firing or seen.at - self._since <= self._seconds:
            return []
        self._firing = True
        return [Alert(seen.at, Component.PRODUCER, "nothing received for 120 s")]


BASELINES: tuple[Callable[[], Baseline], ...] = (Burrow, FixedThresholds, SilenceTimer)
