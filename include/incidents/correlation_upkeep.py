"""What changes while an incident is open: its severity, which is only ever raised, and its cause (detection §4.8)."""

from __future__ import annotations

from typing import Any

from include.health.verdicts import State
from include.incidents.correlation_causes import more_exact
from include.incidents.correlation_roots import stalled_component
from include.incidents.correlation_step import Step, is_confirmed
from include.incidents.decisions import Merge, RaiseSeverity, Reason, Resolve, SetCause
from include.incidents.model import IncidentState
from include.incidents.situation import OpenView
from include.playbook.names import Severity
from include.playbook.severity import raised_by_harm


def keep_up(step: Step, symbols: tuple[str, ...]) -> None:
    """Decide for every open incident of the pipeline that does not end in this step."""
    ending = {d.incident_id for d in step.decisions if isinstance(d, Merge | Resolve)}
    views = [view for view in step.views if not view.blind and view.incident.id not in ending]
    for view in views:
        severity, reason, text = _worse(step, view)
        if view in _charged(step, views):
            severity, reason, text = _harmed(step, view, symbols, (severity, reason, text))
        if severity < view.incident.severity:
            step.decide(RaiseSeverity(**_about(step, view, reason, text), severity=severity))
        _diagnose(step, view)


def _worse(step: Step, view: OpenView) -> tuple[Severity, Reason, str]:
    """By the verdict of the root. A record is raised where it is decided whether it is a root."""
    verdict = step.verdict(view.incident.scenario)
    if view.record or verdict.state is not State.UNHEALTHY:
        return view.incident.severity, Reason.WORSE, ""
    return min(view.incident.severity, step.severity_of(verdict)), Reason.WORSE, verdict.reason


def _harmed(
    step: Step, view: OpenView, symbols: tuple[str, ...], present: tuple[Severity, Reason, str]
) -> tuple[Severity, Reason, str]:
    """By what users feel. A record is raised only by harm that calls for a page at once."""
    harm = step.assessment.harm
    rules = step.playbook.severity.harm
    severity, _ = raised_by_harm(
        rules,
        present[0],
        stale_seconds=harm.stale_seconds,
        loss_risk=harm.loss_risk,
        symbols_hit=harm.symbols_hit,
        all_symbols=symbols,
    )
    if severity >= present[0] or (view.record and severity > Severity.SEV_2):
        return present
    return severity, Reason.HARM, harm.reason or "Harm to the rows was measured."


def _charged(step: Step, views: list[OpenView]) -> list[OpenView]:
    """Whose harm it is: that of the incident at the first stalled hop, else of all; of records only if alone."""
    faults = [view for view in views if not view.record] or views
    stalled = stalled_component(step)
    if stalled is None:
        return faults
    above = step.playbook.graph.ancestors(stalled)
    return (
        [view for view in faults if view.incident.target is stalled]
        or [view for view in faults if view.incident.target in above]
        or faults
    )


def _diagnose(step: Step, view: OpenView) -> None:
    """The cause, if the verdict knows it more exactly now."""
    verdict = step.verdict(view.incident.scenario)
    if view.record or not is_confirmed(verdict) or view.incident.state is IncidentState.VERIFYING:
        return
    if more_exact(verdict.cause, view.incident.cause):
        about = _about(step, view, Reason.DIAGNOSED, verdict.reason)
        step.decide(SetCause(**about, cause=verdict.cause))


def _about(step: Step, view: OpenView, reason: Reason, text: str) -> dict[str, Any]:
    incident = view.incident
    return {
        "at": step.at,
        "scenario": incident.scenario,
        "target": incident.target,
        "reason": reason,
        "text": text,
        "evidence": step.verdict(incident.scenario).evidence,
        "incident_id": incident.id,
    }
