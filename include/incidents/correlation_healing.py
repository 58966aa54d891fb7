"""From "the root is healthy again" to "resolved": symptoms are verified, each with a deadline (detection §4.6).

What cannot be seen resolves nothing. A symptom that outlives its root takes its place in the same incident.
"""

from __future__ import annotations

from typing import Any

from include.health.verdicts import State, Verdict
from include.incidents.correlation_sight import hidden_within
from include.incidents.correlation_step import (
    CorrelationLimits,
    Step,
    drain_seconds,
    is_confirmed,
    is_requested,
)
from include.incidents.decisions import (
    BeginVerifying,
    ClearSymptom,
    Deadline,
    Reason,
    Reopen,
    Residual,
    Resolve,
)
from include.incidents.model import AttachedSymptom, IncidentState
from include.incidents.situation import OpenView
from include.playbook.names import Symptom


class Healer:
    """Remembers since when it has seen an incident being verified, and which symptom was given more time."""

    def __init__(self, limits: CorrelationLimits) -> None:
        self._limits = limits
        self._verified_since: dict[str, float] = {}
        self._extended: set[tuple[str, str]] = set()

    def heal_all(self, step: Step) -> None:
        """Decide for every open incident of the pipeline."""
        ids = {view.incident.id for view in step.views}
        self._verified_since = {key: at for key, at in self._verified_since.items() if key in ids}
        self._extended = {key for key in self._extended if key[0] in ids}
        for view in step.views:
            if not view.blind:
                self._heal(step, view)

    def _heal(self, step: Step, view: OpenView) -> None:
        remaining = [s for s in view.attached if not self._cleared(step, view, s)]
        roots = [step.verdict(scenario) for scenario in view.worked_on]
        verifying = view.incident.state is IncidentState.VERIFYING
        if not verifying:
            self._verified_since.pop(view.incident.id, None)
        if any(is_confirmed(root) and not _only_record(step, view, root) for root in roots):
            if verifying:
                again = next(root for root in roots if is_confirmed(root))
                step.decide(Reopen(**_move(step, view, Reason.CAME_BACK, f"It is back: {again.reason}")))
        elif view.record and not remaining:
            if all(root.state is State.HEALTHY for root in roots):
                step.decide(Resolve(**_move(step, view, Reason.RECORD_OVER, f"Over: {roots[0].reason}")))
        elif all(_over(root) for root in roots):
            if verifying:
                self._verify(step, view, remaining, roots)
            else:
                self._begin(step, view, remaining, Reason.ROOT_HEALTHY, f"The cause is gone: {roots[0].reason}")

    def _cleared(self, step: Step, view: OpenView, symptom: AttachedSymptom) -> bool:
        verdict = step.verdict(symptom.scenario)
        if verdict.state is not State.HEALTHY:
            return False
        self._clear(step, view, symptom, Reason.SYMPTOM_HEALTHY, f"Healthy again: {verdict.reason}")
        return True

    def _begin(self, step: Step, view: OpenView, remaining: list[AttachedSymptom], reason: Reason, text: str) -> None:
        """Give each symptom its deadline."""
        until = step.deadline(self._limits)
        deadlines = tuple(Deadline(s.scenario, s.target, until) for s in remaining)
        if deadlines:
            names = ", ".join(s.scenario for s in remaining)
            text = f"{text} To be clear within {until - step.at:.0f} s: {names}."
        step.decide(BeginVerifying(**_move(step, view, reason, text), deadlines=deadlines))

    def _verify(self, step: Step, view: OpenView, remaining: list[AttachedSymptom], roots: list[Verdict]) -> None:
        began = self._verified_since.setdefault(view.incident.id, step.at)
        if without := [s for s in remaining if s.deadline_at is None]:
            self._begin(step, view, without, Reason.ROOT_HEALTHY, "Their root is healthy.")
            return
        for symptom in remaining:
            if symptom.deadline_at and step.at > symptom.deadline_at.timestamp():
                self._overdue(step, view, symptom)
        if remaining or any(root.state is not State.HEALTHY for root in roots):
            return
        if step.at - began >= self._limits.settle and not self._unsettled(step, view, began):
            text = f"Root and symptoms are clear: {roots[0].reason}"
            step.decide(Resolve(**_move(step, view, Reason.ALL_CLEAR, text)))

    def _overdue(self, step: Step, view: OpenView, symptom: AttachedSymptom) -> None:
        """Its time is over: it goes on in the root's place, gets more time, or is no part of this any more. A warning
        stays with its root until it is over.
        """
        verdict = step.verdict(symptom.scenario)
        if is_confirmed(verdict):
            if self._draining(step, view, symptom):
                return
            text = f"{view.incident.target} has healed, and {symptom.scenario} has outlived it: {verdict.reason}"
            severity = min(view.incident.severity, step.severity_of(verdict))
            about = _about(step, view, Reason.OUTLIVED_ROOT, text, symptom=symptom, verdict=verdict)
            step.decide(Residual(**about, version=view.incident.version, severity=severity))
        elif verdict.state is State.SUSPECT and not step.is_record(verdict):
            text = f"Not confirmed any more: {verdict.reason}"
            self._clear(step, view, symptom, Reason.SYMPTOM_NOT_CONFIRMED, text)
        elif self._unseen(step, view, symptom):
            text = f"Still not to be seen, for a reason of its own: {verdict.reason}"
            self._clear(step, view, symptom, Reason.SYMPTOM_UNSEEN, text)

    def _unseen(self, step: Step, view: OpenView, symptom: AttachedSymptom) -> bool:
        """Not to be seen, and nothing in this incident hides it any more."""
        unknown = step.verdict(symptom.scenario).state is State.UNKNOWN
        hidden = unknown and symptom.symptom is Symptom.NOT_OBSERVABLE
        return hidden and not hidden_within(step, view, symptom.scenario)

    def _draining(self, step: Step, view: OpenView, symptom: AttachedSymptom) -> bool:
        """Once, more time for a backlog that is worked off and whose end is known only now."""
        key = (view.incident.id, symptom.scenario.value)
        drain = drain_seconds(step.assessment)
        if drain is None or key in self._extended:
            return False
        self._extended.add(key)
        text = f"The backlog is worked off, by its rate in {drain:.0f} s."
        self._begin(step, view, [symptom], Reason.DRAINING, text)
        return True

    def _unsettled(self, step: Step, view: OpenView, began: float) -> bool:
        """Something behind the root is suspect or not seen yet: wait a little whether it becomes a symptom."""
        if step.at - began >= self._limits.deadline:
            return False
        graph = step.playbook.graph
        return any(
            view.incident.target in graph.ancestors(verdict.target) and not _over(verdict)
            for verdict in step.assessment.verdicts.values()
            if verdict.scenario not in step.own and not is_requested(verdict)
        )

    def _clear(self, step: Step, view: OpenView, symptom: AttachedSymptom, reason: Reason, text: str) -> None:
        step.decide(ClearSymptom(**_about(step, view, reason, text, symptom=symptom)))


def _over(verdict: Verdict) -> bool:
    """Healthy, or with no more than a warning."""
    if verdict.state is State.HEALTHY:
        return True
    return verdict.state is State.SUSPECT and verdict.severity is not None and not is_requested(verdict)


def _only_record(step: Step, view: OpenView, root: Verdict) -> bool:
    """A confirmed record does not undo the verification of a real fault."""
    return not view.record and step.is_record(root)


def _about(
    step: Step,
    view: OpenView,
    reason: Reason,
    text: str,
    *,
    symptom: AttachedSymptom | None = None,
    verdict: Verdict | None = None,
) -> dict[str, Any]:
    """What these decisions have in common; about a symptom if one is given."""
    incident = view.incident
    return {
        "at": step.at,
        "scenario": symptom.scenario if symptom else incident.scenario,
        "target": symptom.target if symptom else incident.target,
        "reason": reason,
        "text": text,
        "evidence": verdict.evidence if verdict else (),
        "incident_id": incident.id,
    }


def _move(step: Step, view: OpenView, reason: Reason, text: str) -> dict[str, Any]:
    """The same, for a move of the incident."""
    return _about(step, view, reason, text) | {"version": view.incident.version}
