"""Everything that one step of the correlation looks at, and what it has decided so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.health.verdicts import Assessment, State, Verdict
from include.incidents.decisions import Adopt, Decision, Hold, Merge, Open, Place, Reason, Suppress
from include.incidents.situation import OpenView
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.playbook.playbook import Playbook
from include.playbook.severity import severity_at_opening


@dataclass(frozen=True, slots=True)
class CorrelationLimits:
    """Seconds. ``late_root``: how long after its opening an incident may still be merged into its root's. ``slack``:
    how much later than its symptom a root may be noticed. ``common``: how near in time parts of a starved host fail.
    ``settle``: least time of verification. ``deadline``: least time that a symptom has to clear after its root;
    ``drain_factor``: more if a backlog is worked off, times the estimate.
    """

    late_root: float = 60.0
    slack: float = 10.0
    common: float = 30.0
    settle: float = 10.0
    deadline: float = 60.0
    drain_factor: float = 1.5


class Step:
    """One assessment, the open incidents, and the decisions of this step. ``placed`` tells for each scenario in trouble
    which incident it belongs to, those that this step opens included. Incidents about the observer are not meant.
    """

    def __init__(
        self, playbook: Playbook, assessment: Assessment, views: Iterable[OpenView], followed: Collection[ScenarioId]
    ) -> None:
        self.playbook, self.assessment, self.followed = playbook, assessment, followed
        self.at = assessment.at
        self.views = tuple(views)
        self.own: dict[ScenarioId, OpenView] = {}
        self.adopter: dict[ScenarioId, OpenView] = {}
        self.placed: dict[ScenarioId, Place] = {}
        self.waiting: set[ScenarioId] = set()
        self.excused: set[ScenarioId] = set()  # what suffers from what somebody stopped
        self.decisions: list[Decision] = []
        for view in self.views:
            if not view.blind:
                self._enter(view)

    def verdict(self, scenario: ScenarioId) -> Verdict:
        """The present one."""
        return self.assessment.verdicts[scenario]

    def severity_of(self, verdict: Verdict) -> Severity:
        """What the verdict calls for, harm aside."""
        return verdict.severity or severity_at_opening(self.playbook, verdict.scenario, verdict.cause)

    def is_record(self, verdict: Verdict) -> bool:
        """A warning, or healed already: worth an entry, not a page."""
        if verdict.state in (State.HEALTHY, State.UNKNOWN):
            return False
        return verdict.severity is Severity.SEV_4 or (
            is_confirmed(verdict) and self.severity_of(verdict) is Severity.SEV_4
        )

    def about(self, verdict: Verdict, reason: Reason, text: str) -> dict[str, Any]:
        """What every decision about this verdict says, whatever its kind."""
        return {
            "at": self.at,
            "scenario": verdict.scenario,
            "target": verdict.target,
            "reason": reason,
            "text": text,
            "evidence": verdict.evidence,
        }

    def deadline(self, limits: CorrelationLimits) -> float:
        """When a symptom must be clear whose root is healthy from now on."""
        drain = drain_seconds(self.assessment)
        return self.at + max(limits.deadline, limits.drain_factor * drain if drain else 0.0)

    def decide(self, decision: Decision) -> None:
        """Take a decision; those that come later in this step know of it."""
        self.decisions.append(decision)
        match decision:
            case Open() if decision.cause is not Cause.MONITORING_BLIND and decision.severity is not Severity.SEV_4:
                self.placed[decision.scenario] = Place(decision.scenario, decision.target)
            case Adopt() | Merge() if decision.into.target is not Component.MONITORING:
                self.placed[decision.scenario] = decision.into
            case Hold():
                self.waiting.add(decision.scenario)
            case Suppress(reason=Reason.ROOT_ON_REQUEST):
                self.excused.add(decision.scenario)

    def _enter(self, view: OpenView) -> None:
        incident = view.incident
        self.own.setdefault(incident.scenario, view)
        place = Place(incident.scenario, incident.target, incident.id)
        if not view.record:
            self.placed[incident.scenario] = place
        for symptom in view.attached:
            self.adopter.setdefault(symptom.scenario, view)
            if not view.record:
                self.placed.setdefault(symptom.scenario, place)


def is_confirmed(verdict: Verdict) -> bool:
    """Bad now, beyond doubt; a recovering one is on its way out."""
    return verdict.state in (State.UNHEALTHY, State.FLAPPING)


def is_requested(verdict: Verdict) -> bool:
    """Somebody stopped it deliberately."""
    return verdict.cause is Cause.STOPPED_ON_REQUEST and verdict.state not in (State.HEALTHY, State.UNKNOWN)


def drain_seconds(assessment: Assessment) -> float | None:
    """How long the backlog will still take, as far as the lag's own figures tell."""
    figure = assessment.verdicts[ScenarioId.KAFKA_LAG].figures.get("drain_seconds")
    return float(figure) if isinstance(figure, int | float) and figure > 0 else None


def moment(at: float) -> datetime:
    """Seconds since the epoch as the store wants them."""
    return datetime.fromtimestamp(at, UTC)
