"""Rows of the tables and the model's records, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy import RowMapping

from include.incidents.book import IncidentRow
from include.incidents.entry_data import canonical, moment_text
from include.incidents.errors import CorruptStoreError
from include.incidents.model import (
    AttachedSymptom,
    DecisionRecord,
    Entry,
    EntryKind,
    HandOver,
    Incident,
    IncidentState,
)
from include.incidents.timeline import RawEntry
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom

T = TypeVar("T")
# Columns that hold a word of ours; the others are taken as they are.
_WORDS: Mapping[str, Callable[[Any], Any]] = {
    "scenario": ScenarioId,
    "target": Component,
    "cause": Cause,
    "severity": Severity,
    "state": IncidentState,
    "kind": EntryKind,
    "symptom": Symptom,
    "data": json.loads,
}


def _or_corrupt(read: Callable[[RowMapping], T]) -> Callable[[RowMapping], T]:
    @wraps(read)
    def guarded(row: RowMapping) -> T:
        try:
            return read(row)
        except (ValueError, TypeError) as error:
            name = row.get("id") or row.get("incident_id")
            raise CorruptStoreError(f"A row of {name} holds what was never written by us: {error}") from error

    return guarded


@_or_corrupt
def incident_row(row: RowMapping) -> IncidentRow:
    """From ``incidents``."""
    values = _values(row)
    entries, head = values.pop("entries"), values.pop("head")
    return IncidentRow(Incident(**values), entries, head)


@_or_corrupt
def entry(row: RowMapping) -> Entry:
    """From ``incident_timeline``."""
    return Entry(**_values(row))


@_or_corrupt
def symptom(row: RowMapping) -> AttachedSymptom:
    """From ``incident_symptoms``."""
    return AttachedSymptom(**_values(row))


@_or_corrupt
def hand_over(row: RowMapping) -> HandOver:
    """From ``incident_hand_overs``."""
    return HandOver(**_values(row))


@_or_corrupt
def decision(row: RowMapping) -> DecisionRecord:
    """From ``incident_decisions``."""
    values = _values(row)
    del values["number"], values["key"]
    return DecisionRecord(**values)


def raw_entry(row: Mapping[str, Any]) -> RawEntry:
    """From ``incident_timeline``, nothing parsed."""
    return RawEntry(**{name: raw_value(value) for name, value in row.items()})


def raw_value(value: Any) -> Any:
    """A value as the hash covers it."""
    return moment_text(value) if isinstance(value, datetime) else value


def columns(record: Any) -> dict[str, Any]:
    """The record's fields as values of columns."""
    if isinstance(record, IncidentRow):
        return {**columns(record.incident), "entries": record.entries, "head": record.head}
    values = {name: getattr(record, name) for name in record.__dataclass_fields__}
    if "data" in values:
        values["data"] = canonical(values["data"])
    return values


def _values(row: RowMapping) -> dict[str, Any]:
    return {name: _WORDS[name](value) if name in _WORDS else value for name, value in row.items()}
