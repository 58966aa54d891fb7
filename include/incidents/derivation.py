"""The rows that follow from a timeline: every change of an incident, a symptom or a hand-over is written into the entry
that tells of it, so the rows are only a summary, and a row that says otherwise was tampered with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any

from include.incidents.entry_data import ATTACHMENT, CHANGE, HAND_OVER, moment_text
from include.incidents.model import AttachedSymptom, HandOver, Incident

# These follow from the entry itself: its incident, how many changes there were, when it was recorded.
_IMPLIED = frozenset({"id", "version", "updated_at"})
CHANGING = tuple(field.name for field in fields(Incident) if field.name not in _IMPLIED)


def row_values(row: Incident | AttachedSymptom | HandOver) -> dict[str, Any]:
    """The row's columns as JSON values."""
    return {field.name: _value(getattr(row, field.name)) for field in fields(row)}


def difference(before: Incident | None, after: Incident) -> dict[str, list[Any]]:
    """What changed: column → [old value, new value]. Of a new incident everything did."""
    old = row_values(before) if before else dict.fromkeys(CHANGING)
    new = row_values(after)
    return {name: [old[name], new[name]] for name in CHANGING if old[name] != new[name]}


def derive_incident(incident_id: str, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The incident's columns, from (recorded_at, data) of its entries."""
    values: dict[str, Any] = {"id": incident_id, **dict.fromkeys(CHANGING), "version": 0, "updated_at": None}
    for recorded_at, data in entries:
        values["updated_at"] = recorded_at
        if change := data.get(CHANGE):
            values["version"] += 1
            values.update({name: new for name, (_, new) in change.items()})
    return values


def derive_symptoms(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The symptoms' columns by (scenario, target), from the data of an incident's entries."""
    found = (data[ATTACHMENT] for data in entries if ATTACHMENT in data)
    return {(each["scenario"], each["target"]): each for each in found}


def derive_hand_overs(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The hand-overs' columns by (scenario, occurrence), from the data of an incident's entries."""
    found = (data[HAND_OVER] for data in entries if HAND_OVER in data)
    return {(each["scenario"], each["occurrence"]): each for each in found}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment_text(value)
    return value.value if isinstance(value, Enum) else value
