"""What the commands on incidents do, within one transaction; see :class:`include.incidents.store.IncidentStore`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.incidents.book import Book, IncidentRow, OpenTwiceError
from include.incidents.entry_data import clean_text, utc
from include.incidents.errors import IllegalMoveError, InvalidEntryError, NotOpenError, StaleVersionError
from include.incidents.ids import incident_id
from include.incidents.model import (
    Entry,
    EntryKind,
    Incident,
    IncidentState,
    NewEntry,
    NewIncident,
    OpenOutcome,
)
from include.incidents.recording import locked, record, record_first
from include.incidents.states import FINAL_STATES, MOVES, REOPENABLE_STATES, REVIEWED_SEVERITIES, allowed, check_move
from include.incidents.symptom_commands import carry_over
from include.playbook.names import Cause, Severity

# What a caller may note by itself; the other kinds tell of a change, which has a command of its own.
NOTED_KINDS = frozenset(
    {
        EntryKind.OBSERVED,
        EntryKind.DECIDED,
        EntryKind.ACTION_STARTED,
        EntryKind.ACTION_ENDED,
        EntryKind.ACTION_REFUSED,
        EntryKind.SUPERVISED,
        EntryKind.EVIDENCE_COLLECTED,
        EntryKind.ESCALATED,
        EntryKind.REPAIRED,
        EntryKind.NOTE,
    }
)

# Steps of a review, as entries name them (``step`` in their data).
APPROVED = "approved"  # of a ``REVIEWED`` entry: it lets an incident close
SENT_BACK = "sent_back"
NOT_PUBLISHED = "not_published"  # its files could not be written then


def open_incident(book: Book, new: NewIncident, now: datetime, reopen: timedelta) -> tuple[Incident, OpenOutcome]:
    """See the protocol."""
    if row := book.open_row(new.scenario, new.target, lock=True):
        data = {"outcome": OpenOutcome.JOINED, "summary": new.summary, "evidence": new.evidence}
        row, _ = record(book, row, _entry(EntryKind.OBSERVED, new, new.reason, data), now)
        return row.incident, OpenOutcome.JOINED
    last = book.last_closed_row(new.scenario, new.target)
    if last and _came_back(last.incident, now, reopen):
        return _reopen(book, last, new, now), OpenOutcome.REOPENED
    return _begin(book, new, now), OpenOutcome.OPENED


def move(book: Book, incident: str, to: IncidentState, *, version: int, entry: NewEntry, now: datetime) -> Incident:
    """See the protocol; ``entry`` tells of the move."""
    row = locked(book, incident)
    before = row.incident
    if before.version != version:
        raise StaleVersionError(incident, version, before.version)
    check_move(incident, before.state, to, before.severity)
    if to is IncidentState.CLOSED:
        _check_approved(book, before)
    if to is IncidentState.MERGED:
        raise IllegalMoveError(
            f"{incident} is merged by the command that names what it is merged into.",
            before.state,
            (state for state in allowed(before.state, before.severity) if state is not to),
        )
    try:
        row, _ = record(book, row, entry, now, after=_moved(before, to, utc(entry.event_at)))
    except OpenTwiceError as error:
        raise IllegalMoveError(
            f"{incident} cannot be reopened: another incident of {before.scenario} is open.",
            before.state,
            (state for state in allowed(before.state, before.severity) if state is not to),
        ) from error
    return row.incident


def raise_severity(book: Book, incident: str, severity: Severity, entry: NewEntry, now: datetime) -> Incident:
    """See the protocol."""
    row = locked(book, incident)
    if severity >= row.incident.severity:
        return row.incident
    return _changed(book, row, replace(row.incident, severity=severity), entry, now)


def set_cause(book: Book, incident: str, cause: Cause, entry: NewEntry, now: datetime) -> Incident:
    """See the protocol."""
    row = locked(book, incident)
    if cause is row.incident.cause:
        return row.incident
    return _changed(book, row, replace(row.incident, cause=cause), entry, now)


def merge(book: Book, child_id: str, into_id: str, entry: NewEntry, now: datetime) -> Incident:
    """See the protocol."""
    rows = {each: locked(book, each) for each in sorted({child_id, into_id})}  # one order of locks: no deadlock
    child, into = rows[child_id], rows[into_id]
    before = child.incident
    if before.merged_into == into_id:
        return before
    check_move(child_id, before.state, IncidentState.MERGED, before.severity)
    if child_id == into_id:
        raise IllegalMoveError(f"{child_id} cannot be merged into itself.", before.state, MOVES[before.state])
    _check_open(into.incident, f"{child_id} can be merged into an open incident only")
    after = replace(before, state=IncidentState.MERGED, merged_into=into_id)
    child, _ = record(book, child, entry, now, after=after)
    told = replace(entry, data={"merged": child_id})
    into, _ = record(book, into, told, now)
    carry_over(book, child_id, into, entry, now)
    return child.incident


def append(book: Book, incident: str, new: NewEntry, now: datetime) -> Entry:
    """See the protocol."""
    if new.kind not in NOTED_KINDS:
        raise InvalidEntryError(
            f"An entry of kind {new.kind} tells of a change and is written by the command that makes it;"
            f" noted by hand are {', '.join(sorted(NOTED_KINDS))}."
        )
    _, entry = record(book, locked(book, incident), new, now)
    return entry


def _begin(book: Book, new: NewIncident, now: datetime) -> Incident:
    incident = Incident(
        id=incident_id(now.year, book.next_number(now.year)),
        scenario=new.scenario,
        target=new.target,
        cause=new.cause,
        severity=new.severity,
        state=IncidentState.DETECTED,
        summary=clean_text(new.summary),
        reported_by=clean_text(new.reported_by),
        onset_at=utc(new.onset_at),
        opened_at=now,
        updated_at=now,
        version=1,
    )
    return record_first(
        book, incident, _entry(EntryKind.OPENED, new, new.reason, {"evidence": new.evidence}), now
    ).incident


def _reopen(book: Book, row: IncidentRow, new: NewIncident, now: datetime) -> Incident:
    before = row.incident
    after = replace(
        _moved(before, IncidentState.REOPENED, now),
        cause=before.cause if new.cause is Cause.UNKNOWN else new.cause,
        severity=min(before.severity, new.severity),
        summary=clean_text(new.summary),
    )
    row, _ = record(
        book, row, _entry(EntryKind.REOPENED, new, new.reason, {"evidence": new.evidence}), now, after=after
    )
    return row.incident


def _moved(before: Incident, to: IncidentState, at: datetime) -> Incident:
    after = replace(before, state=to)
    if to is IncidentState.RESOLVED:
        return replace(after, resolved_at=at)
    if to is IncidentState.REOPENED:
        return replace(after, resolved_at=None, reopened=before.reopened + 1)
    return after


def _came_back(last: Incident, now: datetime, reopen: timedelta) -> bool:
    return last.state in REOPENABLE_STATES and last.resolved_at is not None and now - last.resolved_at < reopen


def _changed(book: Book, row: IncidentRow, after: Incident, entry: NewEntry, now: datetime) -> Incident:
    if after.state in FINAL_STATES:
        raise NotOpenError(f"{after.id} is {after.state}, which is final; it can no longer be changed.")
    row, _ = record(book, row, entry, now, after=after)
    return row.incident


def _check_approved(book: Book, incident: Incident) -> None:
    """Raise :class:`IllegalMoveError` for an incident that does not close before its review is approved."""
    if incident.severity not in REVIEWED_SEVERITIES:
        return
    for entry in reversed(book.entries(incident.id)):
        if entry.kind is EntryKind.REVIEWED and entry.data.get("step") == APPROVED:
            return
        if entry.kind is EntryKind.REOPENED:  # what was approved before is about another outage
            break
    raise IllegalMoveError(
        f"{incident.id} ({incident.severity.label}) cannot be closed: its review is not approved. A person approves it"
        " in Airflow, in the run of post_incident_review that waits for it; the incident is closed then.",
        incident.state,
        (state for state in allowed(incident.state, incident.severity) if state is not IncidentState.CLOSED),
    )


def _check_open(incident: Incident, what: str) -> None:
    if not incident.open:
        into = f" into {incident.merged_into}" if incident.merged_into else ""
        raise NotOpenError(f"{what}; {incident.id} is {incident.state}{into}.")


def _entry(kind: EntryKind, new: NewIncident, text: str, data: Mapping[str, Any]) -> NewEntry:
    return NewEntry(kind, new.reported_by, text, new.onset_at, dict(data))
