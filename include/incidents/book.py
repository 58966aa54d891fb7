"""The rows of the store within one transaction: the port behind which memory and databases are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from include.incidents.model import AttachedSymptom, DecisionRecord, Entry, HandOver, Incident
from include.incidents.timeline import RawEntry
from include.playbook.names import Component, ScenarioId


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident together with the length of its timeline and the hash of the last entry."""

    incident: Incident
    entries: int
    head: str


class OpenTwiceError(Exception):
    """There is an open incident of this scenario and target already. Inside the room only: the stores catch it."""


class Book(Protocol):
    """One transaction. What is read for a change (``lock``) stays as read until the transaction ends."""

    def next_number(self, year: int) -> int:
        """Count one more incident of the year."""
        ...

    def row(self, incident_id: str, *, lock: bool = False) -> IncidentRow | None:
        """One incident."""
        ...

    def open_row(self, scenario: ScenarioId, target: Component, *, lock: bool = False) -> IncidentRow | None:
        """The open incident of a scenario and target."""
        ...

    def last_closed_row(self, scenario: ScenarioId, target: Component) -> IncidentRow | None:
        """The one opened last of those that are over; locked."""
        ...

    def open_incidents(self) -> tuple[Incident, ...]:
        """All open ones, oldest first."""
        ...

    def recent(self, limit: int) -> tuple[Incident, ...]:
        """The ones opened last, newest first."""
        ...

    def insert(self, row: IncidentRow) -> None:
        """A new incident. Raises :class:`OpenTwiceError`."""
        ...

    def update(self, row: IncidentRow) -> None:
        """An incident as it stands now. Raises :class:`OpenTwiceError`."""
        ...

    def add_entry(self, entry: Entry) -> None:
        """One more line of a timeline."""
        ...

    def entries(self, incident_id: str) -> tuple[Entry, ...]:
        """A timeline, in order."""
        ...

    def symptoms(self, incident_id: str) -> tuple[AttachedSymptom, ...]:
        """All that were ever attached, in the order of attachment."""
        ...

    def put_symptom(self, symptom: AttachedSymptom) -> None:
        """Insert or replace the row of (incident, scenario, target)."""
        ...

    def hand_overs(self, incident_id: str) -> tuple[HandOver, ...]:
        """All, oldest first."""
        ...

    def add_hand_over(self, hand_over: HandOver) -> None:
        """One more."""
        ...

    def add_decision(self, key: str, decision: DecisionRecord) -> None:
        """One more, unless ``key`` is there already."""
        ...

    def decisions(self, since: datetime | None, incident_id: str | None, limit: int) -> tuple[DecisionRecord, ...]:
        """Newest first."""
        ...

    # --- for verification: as it lies in the database, nothing parsed
    def counters(self) -> Mapping[int, int]:
        """Incidents counted in each year."""
        ...

    def known_ids(self) -> tuple[str, ...]:
        """Ids of all incidents, and of those of which only timeline entries are left."""
        ...

    def raw_row(self, incident_id: str) -> Mapping[str, Any] | None:
        """The columns (see :func:`include.incidents.derivation.row_values`), and ``entries`` and ``head``."""
        ...

    def raw_entries(self, incident_id: str) -> tuple[RawEntry, ...]:
        """The timeline by number."""
        ...
