"""Handing an incident to people: what they are told, and that it is on record (design §1: no speculation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.incidents.model import EntryKind, Incident, NewEntry
from include.incidents.store import IncidentStore
from include.playbook.names import Cause
from include.playbook.playbook import get_playbook
from include.playbook.scenario import Scenario
from include.remediation.model import RungOutcome

Report = Mapping[str, Any]  # a RungReport as a task's result

_DONE = RungOutcome.DONE.value
_SILENT = frozenset({RungOutcome.NOT_NEEDED.value, RungOutcome.NOT_CHOSEN.value})


def escalation_text(incident: Incident, reports: Sequence[Report], why: str) -> str:
    """Summary, what was done, what was not done and why, what to do first: facts only, one line each."""
    scenario = get_playbook().scenarios[incident.scenario]
    lines = [f"{incident.id} {incident.severity.label} {scenario.title}: {incident.summary}", f"Why a person: {why}"]
    lines.append(_cause(incident, scenario))
    for report in reports:
        if report["outcome"] not in _SILENT:
            word = "Done" if report["outcome"] == _DONE else f"Not done ({str(report['outcome']).replace('_', ' ')})"
            lines.append(f"{word}: {str(report['rung']).replace('_', ' ')}. {report['text']}")
    if not any(report["outcome"] == _DONE for report in reports):
        lines.append("Nothing was changed.")
    lines.append(f"Runbook: docs/runbooks/{scenario.id}.md")
    return "\n".join(lines)


def _cause(incident: Incident, scenario: Scenario) -> str:
    entry = scenario.entry(incident.cause)
    if incident.cause is Cause.UNKNOWN or entry is None:
        return "Cause: not known yet."
    people = scenario.left_to_people(incident.cause)
    also = f" Not for a machine: {people.because} You need: {people.tell}" if people else ""
    return f"Cause as diagnosed: {entry.title}. First: {entry.first}{also}"


def escalate_incident(store: IncidentStore, incident_id: str, run: str, reports: Sequence[Report], why: str) -> str:
    """Put it on record, once for each run; returns the text. Raises :class:`UnknownIncidentError`."""
    incident = store.incident(incident_id)
    for entry in store.timeline(incident_id):
        if entry.kind is EntryKind.ESCALATED and entry.data.get("run") == run:
            return entry.text
    text = escalation_text(incident, reports, why)
    outcomes = {str(report["rung"]): str(report["outcome"]) for report in reports}
    data = {"run": run, "outcomes": outcomes}
    store.append(incident_id, NewEntry(EntryKind.ESCALATED, "remediation", text, datetime.now(UTC), data))
    return text
