"""What the store's commands on symptoms and hand-overs do; see :class:`include.incidents.store.IncidentStore`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from include.incidents.book import Book, IncidentRow
from include.incidents.derivation import row_values
from include.incidents.entry_data import ATTACHMENT, HAND_OVER, clean_text, utc
from include.incidents.errors import NotOpenError, UnknownSymptomError
from include.incidents.model import AttachedSymptom, EntryKind, HandOver, NewEntry
from include.incidents.recording import locked, record
from include.playbook.names import Component, ScenarioId

ACTOR = "watch"  # who adopts, watches and clears symptoms


def attach(book: Book, symptom: AttachedSymptom, event_at: datetime, now: datetime) -> bool:
    """See the protocol."""
    row = locked(book, symptom.incident_id)
    known = _find(book, symptom.incident_id, symptom.scenario, symptom.target)
    if known and known.cleared_at is None:
        return False
    if not row.incident.open:
        raise NotOpenError(
            f"A symptom can be attached to an open incident only; {row.incident.id} is {row.incident.state}."
        )
    entry = NewEntry(EntryKind.SYMPTOM_ATTACHED, ACTOR, symptom.reason, event_at)
    _put(book, row, _cleaned(symptom), entry, now)
    return True


def clear_symptom(
    book: Book, incident: str, scenario: ScenarioId, target: Component, *, entry: NewEntry, now: datetime
) -> bool:
    """See the protocol."""
    row, known = _known(book, incident, scenario, target)
    if known.cleared_at is not None:
        return False
    _put(book, row, replace(known, cleared_at=utc(entry.event_at)), entry, now)
    return True


def set_symptom(
    book: Book,
    incident: str,
    scenario: ScenarioId,
    target: Component,
    *,
    deadline_at: datetime | None,
    residual: bool,
    entry: NewEntry,
    now: datetime,
) -> AttachedSymptom:
    """See the protocol."""
    row, known = _known(book, incident, scenario, target)
    after = replace(known, deadline_at=deadline_at and utc(deadline_at), residual=residual)
    if after != known:
        _put(book, row, after, entry, now)
    return after


def carry_over(book: Book, child_id: str, into: IncidentRow, entry: NewEntry, now: datetime) -> None:
    """Attach the child's uncleared symptoms to the incident that it was merged into."""
    there = {(s.scenario, s.target) for s in book.symptoms(into.incident.id) if s.cleared_at is None}
    there.add((into.incident.scenario, into.incident.target))
    for symptom in book.symptoms(child_id):
        if symptom.cleared_at is None and (symptom.scenario, symptom.target) not in there:
            adopted = replace(symptom, incident_id=into.incident.id)
            told = NewEntry(EntryKind.SYMPTOM_ATTACHED, entry.actor, f"It came with {child_id}.", entry.event_at)
            into = _put(book, into, adopted, told, now)


def hand_over(book: Book, new: HandOver, actor: str, now: datetime) -> tuple[HandOver, bool]:
    """See the protocol."""
    row = locked(book, new.incident_id)
    occurrence = row.incident.reopened
    for earlier in book.hand_overs(new.incident_id):
        if earlier.scenario is new.scenario and earlier.occurrence == occurrence:
            return earlier, False
    made = replace(
        new,
        health_run=clean_text(new.health_run),
        remediation=clean_text(new.remediation),
        at=utc(new.at),
        occurrence=occurrence,
    )
    text = f"Handed over for {new.scenario}: {new.remediation}"
    entry = NewEntry(EntryKind.HANDED_OVER, actor, text, made.at)
    record(book, row, entry, now, own={HAND_OVER: row_values(made)})
    book.add_hand_over(made)
    return made, True


def _known(book: Book, incident: str, scenario: ScenarioId, target: Component) -> tuple[IncidentRow, AttachedSymptom]:
    row = locked(book, incident)
    known = _find(book, incident, scenario, target)
    if known is None:
        raise UnknownSymptomError(f"{scenario} of {target} was never attached to {incident}.")
    return row, known


def _find(book: Book, incident: str, scenario: ScenarioId, target: Component) -> AttachedSymptom | None:
    found = (s for s in book.symptoms(incident) if s.scenario is scenario and s.target is target)
    return next(found, None)


def _put(book: Book, row: IncidentRow, symptom: AttachedSymptom, entry: NewEntry, now: datetime) -> IncidentRow:
    row, _ = record(book, row, entry, now, own={ATTACHMENT: row_values(symptom)})
    book.put_symptom(symptom)
    return row


def _cleaned(symptom: AttachedSymptom) -> AttachedSymptom:
    return replace(
        symptom,
        reason=clean_text(symptom.reason),
        attached_at=utc(symptom.attached_at),
        cleared_at=symptom.cleared_at and utc(symptom.cleared_at),
        deadline_at=symptom.deadline_at and utc(symptom.deadline_at),
    )
