"""Which broken component is responsible for a symptom: the search for roots in the cause graph.

Direct evidence beats the first stalled hop, which beats inference (detection §4). A root explains classes of symptoms,
not everything that happens behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from include.health.observations import Probe
from include.health.verdicts import Hop, State, Verdict
from include.incidents.correlation_step import CorrelationLimits, Step, is_confirmed, is_requested
from include.incidents.decisions import Place, Reason
from include.playbook.names import Cause, Component, ScenarioId

# Whose output a hop is: that one is broken if it is the first to stand still.
_HOP_OWNER = {
    Hop.RECEIVED: Component.PRODUCER,
    Hop.ACKNOWLEDGED: Component.KAFKA,
    Hop.LOG_END: Component.KAFKA,
    Hop.FINISHED: Component.PROCESSOR,
    Hop.COUNTED: Component.MYSQL,
    Hop.ROWS: Component.MYSQL,
}
_ORDER = {scenario: place for place, scenario in enumerate(ScenarioId)}
_NO_CAUSE = frozenset({Cause.UNKNOWN, Cause.NONE})


class Standing(IntEnum):
    """How much is known against a possible root; the smaller comes first."""

    ACTIVE = 1  # it belongs to an open incident
    REQUESTED = 2  # somebody stopped it
    PENDING = 3  # confirmed, without an incident
    SUSPECT = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scenario whose fault explains the symptom. ``place``: its incident, if it has one."""

    scenario: ScenarioId
    standing: Standing
    because: str
    place: Place | None = None
    reason: Reason = Reason.EXPLAINED


def stalled_component(step: Step) -> Component | None:
    """The one whose output is the first to stand still."""
    stall = step.assessment.stall
    return _HOP_OWNER.get(stall.hop) if stall else None


class RootFinder:
    """Finds those scenarios whose fault explains a verdict."""

    def __init__(self, step: Step, limits: CorrelationLimits) -> None:
        self._step, self._limits = step, limits
        self._graph = step.playbook.graph

    def candidates(self, verdict: Verdict, latest_onset: float = 0.0) -> list[Candidate]:
        """All of them, the best first. A root must have been noticed by ``latest_onset``; by default, a little after
        the symptom was confirmed.
        """
        latest = latest_onset or max(verdict.onset, verdict.since) + self._limits.slack
        found = [c for s in ScenarioId if s is not verdict.scenario and (c := self._candidate(s, verdict, latest))]
        return sorted(found, key=lambda c: (c.standing, self._rank(self._step.verdict(c.scenario))))

    def explaining(self, verdict: Verdict) -> list[ScenarioId]:
        """Scenarios in confirmed trouble that explain it: they are to be decided first."""
        return [s for s in ScenarioId if s is not verdict.scenario and self._in_trouble(s) and self._why(s, verdict)]

    def broken_above(self, verdict: Verdict) -> list[ScenarioId]:
        """Scenarios in confirmed trouble that lie above it, whether they explain it or not."""
        above = self._graph.ancestors(verdict.target)
        return [
            s
            for s in ScenarioId
            if s is not verdict.scenario and self._in_trouble(s) and self._step.verdict(s).target in above
        ]

    def has_scenarios_above(self, verdict: Verdict) -> bool:
        """Whether any other scenario could be its root."""
        above = self._graph.ancestors(verdict.target)
        return any(s.target in above for s in self._step.playbook.scenarios.values() if s.id is not verdict.scenario)

    def common_cause(self, verdict: Verdict) -> Candidate | None:
        """Another part that fails at the same time, with evidence that the host is short of something."""
        if not _starved(verdict):
            return None
        for scenario in sorted(ScenarioId, key=lambda s: (s not in self._step.placed, _ORDER[s])):
            other = self._step.verdict(scenario)
            if scenario is verdict.scenario or not is_confirmed(other) or not _starved(other):
                continue
            place = self._step.placed.get(scenario)
            near = abs(other.onset - verdict.onset) <= self._limits.common
            fact = _host_fact(verdict, other)
            if near and fact and place:
                return Candidate(scenario, Standing.ACTIVE, fact, place, Reason.COMMON_CAUSE)
        return None

    def _candidate(self, scenario: ScenarioId, verdict: Verdict, latest: float) -> Candidate | None:
        standing = self._standing(scenario)
        if standing is None or self._onset(scenario) > latest:
            return None
        because = self._why(scenario, verdict)
        if not because or self._follows_from(scenario, verdict):
            return None
        return Candidate(scenario, standing, because, self._step.placed.get(scenario))

    def _standing(self, scenario: ScenarioId) -> Standing | None:
        step, verdict = self._step, self._step.verdict(scenario)
        if scenario in step.placed:
            return Standing.ACTIVE
        if is_requested(verdict) or scenario in step.excused:
            return Standing.REQUESTED
        if self._in_trouble(scenario):
            return Standing.PENDING
        if verdict.state is State.SUSPECT and not step.is_record(verdict):
            return Standing.SUSPECT
        return None

    def _in_trouble(self, scenario: ScenarioId) -> bool:
        """It is bad itself, not only on record."""
        verdict = self._step.verdict(scenario)
        return verdict.state.bad and not self._step.is_record(verdict)

    def _onset(self, scenario: ScenarioId) -> float:
        verdict = self._step.verdict(scenario)
        own = self._step.own.get(scenario)
        known = own.incident.onset_at.timestamp() if own else 0.0
        return min((at for at in (verdict.onset, known) if at), default=0.0)

    def _causes(self, scenario: ScenarioId) -> Iterator[Cause]:
        """What may be the matter with it: a suspicion has no cause yet, so any of the scenario's will do."""
        verdict, own = self._step.verdict(scenario), self._step.own.get(scenario)
        if verdict.state not in (State.HEALTHY, State.UNKNOWN) and verdict.cause is not Cause.NONE:
            yield verdict.cause
        if own:
            yield own.incident.cause
        if verdict.state is State.SUSPECT and verdict.cause in _NO_CAUSE:
            yield from (entry.cause for entry in self._step.playbook.scenarios[scenario].causes)

    def _why(self, scenario: ScenarioId, verdict: Verdict) -> str:
        """Why it is responsible for the symptom, in the graph's words; empty if it is not."""
        if verdict.symptom is None:
            return ""
        root = self._step.playbook.scenarios[scenario].target
        for cause in self._causes(scenario):
            if way := self._graph.way(root, cause, verdict.target, verdict.symptom):
                return "; ".join(edge.because for edge in way)
        return ""

    def _follows_from(self, scenario: ScenarioId, verdict: Verdict) -> bool:
        """Each explains the other: only one of them is the root."""
        other = self._step.verdict(scenario)
        if not other.state.bad or not self._why(verdict.scenario, other):
            return False
        return self._rank(verdict) < self._rank(other)

    def _rank(self, verdict: Verdict) -> tuple[bool, bool, float, int]:
        """The smaller, the likelier the root."""
        stalled = verdict.target is stalled_component(self._step)
        return not verdict.direct, not stalled, verdict.onset, _ORDER[verdict.scenario]


def _starved(verdict: Verdict) -> bool:
    """The host's disk or memory may be what is the matter."""
    return verdict.cause is Cause.DISK_FULL or any(e.probe is Probe.HOST for e in verdict.evidence)


def _host_fact(*verdicts: Verdict) -> str:
    """What the host itself said, as far as it did."""
    return next((e.text for v in verdicts for e in v.evidence if e.probe is Probe.HOST), "")
