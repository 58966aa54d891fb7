"""Rungs of the lag: larger micro-batches for a time, everything put back, and what would help for good.

Fewer trades for a time is a rung of the producer (``rungs_frequency``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from include.health.observations import Probe, ProcessorFacts
from include.health.probes.base import one_line
from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.playbook.thresholds import LagThresholds
from include.remediation.capacity import Measured, suggest
from include.remediation.errors import RungError
from include.remediation.lag_view import Lag, Rates, rates_between, read_lag
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.processor_view import ProcessorView, mysql_refuses
from include.remediation.put_back import PutBack
from include.remediation.rungs_common import RestartService, Validation, blind_finding, facts_of
from include.remediation.temporary_change import INTERVAL, MOST_OFFSETS, change
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.errors import ServicesError
from include.services.names import PROCESSOR
from include.settings import Settings

_LEAST_SECONDS, _MOST_SECONDS = 5.0, 30.0
_QUIET_SECONDS = 10.0  # an interval up to which the watch does not take the time between two batches for a standstill
_BATCHES_OF_ARRIVALS = 4  # that fit into one batch: a backlog must be able to shrink
_DEFAULT_MOST_OFFSETS = 500_000  # rows that a batch may have in the memory of the default settings
_MEASURE_SECONDS = 4.0
_SECOND_LOOK_SECONDS = 2.0  # between two rounds of offsets that show which way the lag goes


class RaiseInterval(RestartService):
    """Fewer, larger transactions: a temporary interval, and batches that may hold what arrives meanwhile."""

    service = PROCESSOR
    stop_seconds = hung_stop_seconds = 3.0
    start_seconds = 15.0

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._view = ProcessorView(tools)
        self._wanted: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._at_commits: list[Lag] = []

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        first = read_lag(self.tools)
        if isinstance(first, Finding):
            return first
        thresholds = self.tools.scenario(ScenarioId.KAFKA_LAG).thresholds_as(LagThresholds)
        if first.waiting_seconds <= thresholds.exit_seconds:
            text = f"{first.records} records wait, the oldest for {first.waiting_seconds:.0f} s: that is no lag."
            return Finding(Need.NOT_NEEDED, text, _lag_facts(first))
        seen = self.tools.look(Probe.PROCESSOR)
        facts, document = seen.facts, self._view.document()
        if not isinstance(facts, ProcessorFacts) or "settings" not in document:
            text = f"The job does not answer ({seen.error or 'it is starting'}), so no interval helps it."
            return Finding(Need.NOT_NEEDED, f"{text} The page for it is stream_processor_failure.", facts_of(seen))
        if (trouble := mysql_refuses(self.tools)) is not None:
            return trouble
        return self._judge(first, facts, document["settings"])

    def answers(self) -> Finding:
        """It is restarted with other settings, not because it does not answer."""
        return Finding(Need.NEEDED, "The settings are read at a start.")

    def do(self) -> Work:
        """Put the settings into force, have the job started with them."""
        if not self._wanted:  # a person wants it although it is not needed
            self._wanted = wanted_settings(self.tools.settings, self._in_force(), 0.0)
        because = "the lag grows: fewer, larger micro-batches"
        for name, value in self._wanted.items():
            change(self.tools, self.request, name, value, because)
        done = super().do()
        text = ", ".join(f"{name} {value:g}" for name, value in self._wanted.items())
        return Work(
            f"For a time: {text}. {done.text}", {**done.facts, "before": self._before, "settings": self._wanted}
        )

    def proof(self) -> Proof:
        """The settings are in force, batches end, and the lag does not grow from one commit to the next."""
        force = {name: self._view.in_force(name) for name in self._wanted}
        if force != self._wanted:
            return Proof(False, f"The job does not run with the new settings yet: {force}.", {"in_force": force})
        ended = self._view.has_ended_a_batch()
        if not ended.good:
            return ended
        lag = read_lag(self.tools)
        if isinstance(lag, Finding):
            return Proof(False, lag.text, lag.facts)
        if not self._at_commits or lag.finished > self._at_commits[-1].finished:
            self._at_commits.append(lag)
        first, last = self._at_commits[0], self._at_commits[-1]
        facts = {**ended.facts, **_lag_facts(lag), "in_force": force}
        if lag.records == 0:
            return Proof(True, f"{ended.text} Nothing waits any more.", facts)
        if last.at - first.at < _SECOND_LOOK_SECONDS:
            return Proof(False, f"{ended.text} Which way the lag goes is not seen yet.", facts)
        text = f"{first.records} records waited after the start, {last.records} now."
        return Proof(last.records <= first.records, f"{ended.text} {text}", facts)

    def roll_back(self) -> Work | None:
        """The settings as they were, and the job started with them."""
        removed = [name for name in (INTERVAL, MOST_OFFSETS) if self._remove(name)]
        if not removed:
            return None
        try:
            self._stop()
            self.tools.controller.start(self.service, self.start_seconds)
        except ServicesError as error:
            raise RungError(f"The settings are put back, but the job was not restarted: {one_line(error)}") from error
        return Work(f"{' and '.join(removed)} are as before, and the job was started with them.", {"removed": removed})

    # --- parts ---------------------------------------------------------------------------------------------------
    def _judge(self, first: Lag, facts: ProcessorFacts, force: dict[str, Any]) -> Finding:
        current = {name: float(force[name]) for name in (INTERVAL, MOST_OFFSETS)}
        second = until(self.tools.clock, _SECOND_LOOK_SECONDS + 2, lambda: read_lag(self.tools), _later_than(first))
        rates = rates_between(first, second) if isinstance(second, Lag) else Rates(0.0, 0.0, 0.0, {})
        self._before, self._wanted = current, wanted_settings(self.tools.settings, current, rates.arriving)
        seen = {**_lag_facts(first), "arriving_per_second": round(rates.arriving, 1), "in_force": current}
        if self._wanted[INTERVAL] <= current[INTERVAL] and self._wanted[MOST_OFFSETS] <= current[MOST_OFFSETS]:
            text = f"The interval is {current[INTERVAL]:g} s, which is as far as it goes."
            return Finding(Need.NOT_NEEDED, text, seen)
        batch = facts.last_batch.duration_seconds if facts.last_batch else 0.0
        text = (
            f"{first.records} records wait, the oldest for {first.waiting_seconds:.0f} s; {rates.arriving:.0f} a second"
            f" arrive. Batches take {batch:.1f} s with an interval of {current[INTERVAL]:g} s."
        )
        return Finding(Need.NEEDED, f"{text} It would be {self._wanted[INTERVAL]:g} s.", seen)

    def _in_force(self) -> dict[str, float]:
        if not self._before:
            settings = self.tools.settings
            for name in (INTERVAL, MOST_OFFSETS):
                found = self._view.in_force(name)
                self._before[name] = float(getattr(settings, name)) if found is None else found
        return self._before

    def _remove(self, name: str) -> bool:
        found = self.tools.temporary.get(name)
        if found is None or found.incident_id != self.request.incident_id:
            return False
        return self.tools.temporary.remove(name) is not None


class SuggestCapacity(Validation):
    """From arrivals, the batches of the past minutes and the cores: what would help, with the numbers."""

    def need(self) -> Finding:
        """The suggestion is the finding; it changes nothing."""
        first = read_lag(self.tools)
        if isinstance(first, Finding):
            return first
        second = until(
            self.tools.clock, _MEASURE_SECONDS + 2, lambda: read_lag(self.tools), _later_than(first, _MEASURE_SECONDS)
        )
        if isinstance(second, Finding):
            return second
        pace = ProcessorView(self.tools).document().get("pace")
        if not pace:
            seen = self.tools.look(Probe.PROCESSOR)
            return blind_finding(seen, "What the batches take")
        found = suggest(_measured(self.tools.settings, rates_between(first, second), second, pace))
        text = f"Measured, nothing changed: {found.text}"
        return Finding(Need.NOT_NEEDED, text, {**found.facts, "advice": found.advice.value})


def wanted_settings(settings: Settings, current: dict[str, float], arriving: float) -> dict[str, float]:
    """Twice the present interval, at least 5 s, within bounds; and a batch that may hold four times what arrives in it.

    The watch knows the configured interval: up to twice that, or 10 s, it does not take the time between two batches
    for a standstill. What a batch may hold grows with the interval at least, or it would slow the job down.
    """
    bound = min(_MOST_SECONDS, max(_QUIET_SECONDS, 2 * settings.micro_batch_seconds))
    now = current[INTERVAL]
    interval = max(now, min(max(2 * now, _LEAST_SECONDS), bound))
    most = current[MOST_OFFSETS]
    factor = interval / now if now > 0 else 1.0
    wanted = max(most * factor, _BATCHES_OF_ARRIVALS * arriving * interval)
    return {INTERVAL: interval, MOST_OFFSETS: float(round(max(most, min(wanted, _DEFAULT_MOST_OFFSETS))))}


def cores_of(spark_master: str, cores: int) -> int:
    """Tasks that run at once: ``local[4]`` says it; ``local[*]``, or a cluster that we do not know, has ``cores``."""
    match = re.fullmatch(r"local(?:\[(\d+|\*)(?:,\d+)?\])?", spark_master)
    if match is None or match[1] == "*":
        return max(1, cores)
    return int(match[1] or 1)


def _measured(settings: Settings, rates: Rates, lag: Lag, pace: dict[str, Any]) -> Measured:
    parts = [pace["recent"], pace["before"]]
    seconds: dict[str, float] = {}
    for part in parts:
        for phase, spent in part["seconds"].items():
            seconds[phase] = round(seconds.get(phase, 0.0) + spent, 3)
    return Measured(
        arriving=rates.arriving,
        busiest=max(rates.by_partition.values(), default=0.0),
        partitions=len(lag.ends),
        cores=cores_of(settings.spark_master, os.cpu_count() or 1),
        batches=sum(part["batches"] for part in parts),
        rows=sum(part["rows"] for part in parts),
        seconds=seconds,
        lag=lag.records,
    )


def _later_than(first: Lag, seconds: float = _SECOND_LOOK_SECONDS) -> Callable[[Lag | Finding], bool]:
    return lambda seen: isinstance(seen, Lag) and seen.at - first.at >= seconds


def _lag_facts(lag: Lag) -> dict[str, Any]:
    return {"lag": lag.records, "waiting_seconds": round(lag.waiting_seconds, 1)}


LAG_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RAISE_INTERVAL: RaiseInterval,
    RungId.PUT_BACK: PutBack,
    RungId.SUGGEST_CAPACITY: SuggestCapacity,
}
