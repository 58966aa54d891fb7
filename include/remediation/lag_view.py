"""The lag as rungs see it: how many records wait and for how long, and how fast they come and are finished."""

from __future__ import annotations

from dataclasses import dataclass

from include.health.observations import OffsetsFacts, Outcome, Probe
from include.remediation.model import Finding, Need
from include.remediation.rungs_common import blind_finding, facts_of
from include.remediation.tools import Tools


@dataclass(frozen=True, slots=True)
class Lag:
    """One round of offsets. ``at``: seconds of the monotonic clock; ``ends`` and ``committed`` by partition."""

    at: float
    ends: dict[int, int]
    committed: dict[int, int]
    waiting_seconds: float
    retention_seconds: float

    @property
    def records(self) -> int:
        """How many wait."""
        return sum(max(0, end - self.committed[number]) for number, end in self.ends.items())

    @property
    def finished(self) -> int:
        """Sum of what is committed; it grows whenever a batch ends."""
        return sum(self.committed.values())


@dataclass(frozen=True, slots=True)
class Rates:
    """Records a second between two rounds: that came (also by partition), and that were finished."""

    seconds: float
    arriving: float
    finished: float
    by_partition: dict[int, float]


def read_lag(tools: Tools) -> Lag | Finding:
    """The lag now, or why it cannot be told: ``UNKNOWN`` if the observer cannot see, ``FORBIDDEN`` if Kafka fails."""
    seen = tools.look(Probe.OFFSETS)
    if seen.outcome is Outcome.FAILED:
        text = f"Kafka does not tell the offsets ({seen.error}): the page for it is kafka_down."
        return Finding(Need.FORBIDDEN, text, facts_of(seen))
    if not isinstance(seen.facts, OffsetsFacts):
        return blind_finding(seen, "The lag")
    partitions = seen.facts.partitions
    return Lag(
        at=tools.clock.monotonic(),
        ends={number: own.end for number, own in partitions.items()},
        committed={
            n: max(own.start, own.start if own.committed is None else own.committed) for n, own in partitions.items()
        },
        waiting_seconds=max((own.waiting_seconds or 0.0 for own in partitions.values()), default=0.0),
        retention_seconds=seen.facts.retention_seconds,
    )


def rates_between(before: Lag, after: Lag) -> Rates:
    """Zero where the rounds are of one moment."""
    seconds = after.at - before.at
    if seconds <= 0:
        return Rates(0.0, 0.0, 0.0, {})
    by_partition = {n: max(0, end - before.ends.get(n, end)) / seconds for n, end in after.ends.items()}
    finished = max(0, after.finished - before.finished) / seconds
    return Rates(seconds, sum(by_partition.values()), finished, by_partition)
