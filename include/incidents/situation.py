"""The open incidents as they are seen from outside the store, and what a follower of one scenario is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from include.health.verdicts import Assessment, Verdict
from include.incidents.model import AttachedSymptom, Incident
from include.playbook.names import Component, ScenarioId, Severity


@dataclass(frozen=True, slots=True)
class OpenView:
    """An open incident with all symptoms ever attached, and the scenarios that it was handed over for."""

    incident: Incident
    symptoms: tuple[AttachedSymptom, ...] = ()
    handed_over: frozenset[ScenarioId] = frozenset()

    @property
    def blind(self) -> bool:
        """It is about the observer, not about the pipeline."""
        return self.incident.target is Component.MONITORING

    @property
    def record(self) -> bool:
        """Nobody is paged for it."""
        return self.incident.severity is Severity.SEV_4

    @property
    def attached(self) -> tuple[AttachedSymptom, ...]:
        """The symptoms that are not clear yet."""
        return tuple(symptom for symptom in self.symptoms if symptom.cleared_at is None)

    @property
    def worked_on(self) -> tuple[ScenarioId, ...]:
        """The scenarios whose playbook is due: that of the root, and those that have outlived it."""
        return (self.incident.scenario, *(s.scenario for s in self.attached if s.residual))


@dataclass(frozen=True, slots=True)
class Situation:
    """One scenario at one moment. ``incident``: the open one that its trouble belongs to, its own or the one that it
    was attached to. ``needs_hand_over``: its playbook is due for that incident, and nobody was handed it yet.
    """

    at: datetime
    verdict: Verdict
    incident: Incident | None
    needs_hand_over: bool


def situation_of(scenario: ScenarioId, assessment: Assessment, views: Iterable[OpenView]) -> Situation:
    """What is to be said of ``scenario``. Trouble of the pipeline comes before blindness of the observer."""
    view = view_of(scenario, views)
    return Situation(
        at=datetime.fromtimestamp(assessment.at, UTC),
        verdict=assessment.verdicts[scenario],
        incident=view.incident if view else None,
        needs_hand_over=view is not None and _due(view, scenario),
    )


def view_of(scenario: ScenarioId, views: Iterable[OpenView]) -> OpenView | None:
    """The open incident that a scenario belongs to: its own first, then the one that it is attached to."""
    for view in sorted(views, key=lambda view: (view.blind, view.incident.scenario is not scenario)):
        if scenario is view.incident.scenario or any(s.scenario is scenario for s in view.attached):
            return view
    return None


def _due(view: OpenView, scenario: ScenarioId) -> bool:
    if view.blind or view.record:
        return False
    return scenario in view.worked_on and scenario not in view.handed_over
