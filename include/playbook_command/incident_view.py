"""Incidents on a terminal: a table of several, and everything about one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from include.incidents.model import AttachedSymptom, Entry, Incident
from include.incidents.store import IncidentStore
from include.playbook.names import Severity
from include.playbook_command.cells import in_utc, plain_table, spaced

SEVERITY_COLOURS = {Severity.SEV_1: "bold red", Severity.SEV_2: "red", Severity.SEV_3: "yellow", Severity.SEV_4: "dim"}
_LATE_SECONDS = 2.0


def incident_table(incidents: Iterable[Incident]) -> Table:
    """One row each, in the given order; moments in UTC."""
    table = plain_table("incident", "severity", "state", "opened (UTC)", "scenario · target · cause, and what is known")
    for each in incidents:
        what = f"{each.scenario} · {each.target} · {spaced(each.cause)}\n{escape(each.summary)}"
        table.add_row(each.id, _severity(each.severity), spaced(each.state), in_utc(each.opened_at), what)
    return table


def incident_page(store: IncidentStore, incident_id: str) -> Iterator[RenderableType]:
    """The parts of the page. Raises :class:`~include.incidents.errors.UnknownIncidentError`."""
    incident = store.incident(incident_id)
    state = f"{_severity(incident.severity)}  {spaced(incident.state)}"
    yield f"[bold]{incident.id}[/]  {state}  {escape(incident.summary)}"
    yield f"Scenario {incident.scenario} (docs/runbooks/{incident.scenario}.md), about {incident.target}"
    yield f"Cause: {spaced(incident.cause)}; reported by {escape(incident.reported_by)}"
    yield f"First sign {in_utc(incident.onset_at)}, opened {in_utc(incident.opened_at)}{_ending(incident)} (UTC)"
    yield ""
    yield "[bold]Timeline[/]"
    timeline = plain_table("", "happened (UTC)", "what", "by", "text")
    for entry in store.timeline(incident_id):
        what, text = spaced(entry.kind), escape(entry.text) + _late(entry)
        timeline.add_row(str(entry.number), in_utc(entry.event_at), what, escape(entry.actor), text)
    yield timeline
    if symptoms := store.symptoms(incident_id):
        yield "[bold]Symptoms it is responsible for[/]"
        yield _symptoms(symptoms)
    if hand_overs := store.hand_overs(incident_id, earlier=True):
        yield "[bold]Handed over[/]"
        for each in hand_overs:
            yield f"  {in_utc(each.at)}  {each.scenario}: {escape(each.remediation)}"
    if decisions := store.decisions(incident_id=incident_id):
        yield "[bold]Decisions[/]"
        table = plain_table("at (UTC)", "scenario", "decision", "reason")
        for decision in reversed(decisions):
            words = (escape(decision.decision), escape(decision.reason))
            table.add_row(in_utc(decision.at), decision.scenario, *words)
        yield table


def _symptoms(symptoms: Iterable[AttachedSymptom]) -> Table:
    table = plain_table("scenario", "about", "symptom", "attached (UTC)", "now", "why")
    for each in symptoms:
        words = (each.scenario, each.target, spaced(each.symptom), in_utc(each.attached_at), _now(each))
        table.add_row(*words, escape(each.reason))
    return table


def _now(symptom: AttachedSymptom) -> str:
    if symptom.cleared_at:
        return f"[green]clear since {in_utc(symptom.cleared_at)}[/]"
    if symptom.residual:
        return "[yellow]outlived the root[/]"
    return f"to be clear by {in_utc(symptom.deadline_at)}" if symptom.deadline_at else "there"


def _late(entry: Entry) -> str:
    """Noted long after it happened: say so."""
    seconds = (entry.recorded_at - entry.event_at).total_seconds()
    return f" [dim](recorded {seconds:.0f} s later)[/]" if seconds >= _LATE_SECONDS else ""


def _ending(incident: Incident) -> str:
    resolved = f", resolved {in_utc(incident.resolved_at)}" if incident.resolved_at else ""
    merged = f", merged into {incident.merged_into}" if incident.merged_into else ""
    return resolved + merged + (f", came back {incident.reopened} times" if incident.reopened else "")


def _severity(severity: Severity) -> str:
    return f"[{SEVERITY_COLOURS[severity]}]{severity.label}[/]"
