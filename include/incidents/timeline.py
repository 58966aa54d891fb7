"""The hash chain of a timeline: each entry's hash covers the entry and the hash before it.

The first entry's ``previous`` covers the incident's id, so that a timeline cannot be passed off as another incident's.
What the chain can prove, and what not, is said in ADR 0007.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.incidents.entry_data import canonical, moment_text
from include.incidents.model import Entry, NewEntry

_ORIGIN = "crypto-incident-response/timeline/1"  # a new number when what the hash covers changes


@dataclass(frozen=True, slots=True)
class RawEntry:
    """An entry exactly as it lies in the database, nothing parsed: what lies there may have been tampered with."""

    incident_id: str
    number: int
    kind: str
    actor: str
    text: str
    event_at: str  # as :func:`~include.incidents.entry_data.moment_text` writes it
    recorded_at: str
    data: str  # JSON text
    previous: str
    hash: str


def genesis(incident_id: str) -> str:
    """What the first entry of an incident has as ``previous``."""
    return _digest({"origin": _ORIGIN, "incident_id": incident_id})


def entry_hash(entry: RawEntry, number: int | None = None) -> str:
    """The hash that an entry must have; ``number``: as if it stood there."""
    return _digest(
        {
            "incident_id": entry.incident_id,
            "number": entry.number if number is None else number,
            "kind": entry.kind,
            "actor": entry.actor,
            "text": entry.text,
            "event_at": entry.event_at,
            "recorded_at": entry.recorded_at,
            "data": entry.data,
            "previous": entry.previous,
        }
    )


def seal(incident_id: str, number: int, new: NewEntry, recorded_at: datetime, previous: str) -> Entry:
    """The entry that ``new`` becomes behind the entry whose hash is ``previous``. ``new`` must be checked already."""
    text = canonical(new.data)
    raw = RawEntry(
        *(incident_id, number, new.kind.value, new.actor, new.text),
        *(moment_text(new.event_at), moment_text(recorded_at), text, previous, ""),
    )
    data: dict[str, Any] = json.loads(text)  # what is handed out is what is stored
    return Entry(
        *(incident_id, number, new.kind, new.actor, new.text, new.event_at, recorded_at),
        *(data, previous, entry_hash(raw)),
    )


def raw(entry: Entry) -> RawEntry:
    """The entry as it lies in the database."""
    return RawEntry(
        *(entry.incident_id, entry.number, entry.kind.value, entry.actor, entry.text),
        *(moment_text(entry.event_at), moment_text(entry.recorded_at), canonical(entry.data)),
        *(entry.previous, entry.hash),
    )


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(document).encode("ascii")).hexdigest()
