"""Writing a line of a timeline together with what it changes: the one place where either is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from include.incidents.book import Book, IncidentRow
from include.incidents.derivation import difference
from include.incidents.entry_data import CHANGE, check_data, clean_text, utc
from include.incidents.errors import UnknownIncidentError
from include.incidents.model import Entry, Incident, NewEntry
from include.incidents.timeline import genesis, seal


def locked(book: Book, incident_id: str) -> IncidentRow:
    """The incident, to be changed by this transaction. Raises :class:`UnknownIncidentError`."""
    row = book.row(incident_id, lock=True)
    if row is None:
        raise UnknownIncidentError(incident_id)
    return row


def record(
    book: Book,
    row: IncidentRow,
    new: NewEntry,
    now: datetime,
    *,
    after: Incident | None = None,
    own: Mapping[str, Any] | None = None,
) -> tuple[IncidentRow, Entry]:
    """Write the entry, and the incident as ``after`` (default: unchanged).

    ``own``: what the store itself adds to the data, under its reserved keys.
    """
    before = row.incident
    incident = replace(after or before, updated_at=now)
    change = difference(before, incident)
    if change:
        incident = replace(incident, version=before.version + 1)
    entry = _sealed(before.id, row, new, now, {**(own or {}), **({CHANGE: change} if change else {})})
    row = IncidentRow(incident, row.entries + 1, entry.hash)
    book.update(row)
    book.add_entry(entry)
    return row, entry


def record_first(book: Book, incident: Incident, new: NewEntry, now: datetime) -> IncidentRow:
    """Write a new incident and its first entry. Raises :class:`~include.incidents.book.OpenTwiceError`."""
    empty = IncidentRow(incident, 0, genesis(incident.id))
    entry = _sealed(incident.id, empty, new, now, {CHANGE: difference(None, incident)})
    row = IncidentRow(incident, 1, entry.hash)
    book.insert(row)
    book.add_entry(entry)
    return row


def _sealed(incident_id: str, row: IncidentRow, new: NewEntry, now: datetime, own: Mapping[str, Any]) -> Entry:
    checked = NewEntry(
        kind=new.kind,
        actor=clean_text(new.actor),
        text=clean_text(new.text),
        event_at=utc(new.event_at),
        data={**check_data(new.data), **own},
    )
    return seal(incident_id, row.entries + 1, checked, now, row.head)
