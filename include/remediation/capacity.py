"""What would help against a lag, computed from what was measured; a suggestion to people, with its numbers.

One task of Spark reads one partition at a time, and as many tasks run at once as there are cores. So more partitions
help while there are cores for them, more cores while there are partitions, and neither helps a symbol that is too busy
for one partition, nor a database that is the slow part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_HEADROOM = 1.3  # a system that is just quick enough never gets rid of a backlog
_SHARE = 0.5  # of a batch, from which on a phase is the slow part
_SKEW = 0.6  # of the arrivals


class Advice(StrEnum):
    """Where to look first."""

    NOTHING = "nothing"  # quick enough: the backlog drains
    UNKNOWN = "unknown"  # not enough was measured
    FASTER_MYSQL = "faster_mysql_writes"
    ONE_BUSY_PARTITION = "one_busy_partition"
    MORE_PARTITIONS = "more_partitions"
    CLUSTER = "spark_on_a_cluster"


@dataclass(frozen=True, slots=True)
class Measured:
    """Records a second that arrive (in all, and in the busiest partition), batches with their rows and seconds by phase
    (``total``: in all), records that wait.
    """

    arriving: float
    busiest: float
    partitions: int
    cores: int
    batches: int
    rows: int
    seconds: dict[str, float]
    lag: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``text``: a sentence or two, with figures."""

    advice: Advice
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


def suggest(measured: Measured) -> Suggestion:
    """Pure arithmetic."""
    total = measured.seconds.get("total", 0.0)
    facts: dict[str, Any] = {
        "arriving_per_second": round(measured.arriving, 1),
        "partitions": measured.partitions,
        "cores": measured.cores,
        "lag": measured.lag,
        "batches": measured.batches,
        "seconds_by_phase": measured.seconds,
    }
    if not measured.rows or total <= 0:
        return Suggestion(Advice.UNKNOWN, "No batch has been measured since the start of the job.", facts)
    capacity = measured.rows / total
    facts["capacity_per_second"] = round(capacity, 1)
    figures = (
        f"{measured.arriving:.0f} records arrive a second; batches count {capacity:.0f} a second of their time"
        f" ({_counted(measured.partitions, 'partition')}, {_counted(measured.cores, 'core')})"
    )
    if capacity >= _HEADROOM * measured.arriving:
        drain = measured.lag / (capacity - measured.arriving)
        facts["drain_seconds"] = round(drain, 1)
        text = f"{figures}: enough. What waits ({measured.lag} records) takes about {drain:.0f} s."
        return Suggestion(Advice.NOTHING, text, facts)
    share = measured.seconds.get("mysql", 0.0) / total
    if share >= _SHARE:
        facts["mysql_share"] = round(share, 2)
        text = f"{figures}, and {share:.0%} of it is MySQL's: faster writes help, more of Spark does not."
        return Suggestion(Advice.FASTER_MYSQL, text, facts)
    return _more_tasks(measured, capacity, figures, facts)


def _more_tasks(measured: Measured, capacity: float, figures: str, facts: dict[str, Any]) -> Suggestion:
    tasks = max(1, min(measured.partitions, measured.cores))
    each = capacity / tasks
    needed = max(1, math.ceil(_HEADROOM * measured.arriving / each))
    facts |= {"per_task_per_second": round(each, 1), "tasks_needed": needed}
    if measured.partitions > 1 and measured.busiest >= _SKEW * measured.arriving and measured.busiest > each:
        text = (
            f"{figures}. One partition gets {measured.busiest:.0f} of them, more than one task counts ({each:.0f}). A"
            " symbol has one partition to itself, so more partitions do not help: a faster core or fewer windows do."
        )
        return Suggestion(Advice.ONE_BUSY_PARTITION, text, facts)
    sum_up = f"{figures}, {each:.0f} a task: {needed} tasks at once are needed"
    if needed > measured.cores:
        partitions = max(needed, measured.partitions)
        facts |= {"partitions_needed": partitions, "cores_needed": needed}
        text = (
            f"{sum_up}, more than there are cores here: Spark on a cluster with {needed} cores, and {partitions}"
            " partitions."
        )
        return Suggestion(Advice.CLUSTER, text, facts)
    facts |= {"partitions_needed": max(needed, measured.partitions), "cores_needed": measured.cores}
    return Suggestion(Advice.MORE_PARTITIONS, f"{sum_up}: {max(needed, measured.partitions)} partitions.", facts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
