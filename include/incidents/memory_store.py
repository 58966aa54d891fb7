"""The store in memory, for tests and simulations. It passes the same suite as the databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from include.incidents.base_store import REOPEN, BaseIncidentStore
from include.incidents.book import Book, IncidentRow, OpenTwiceError
from include.incidents.derivation import row_values
from include.incidents.ids import parse_incident_id
from include.incidents.model import AttachedSymptom, DecisionRecord, Entry, HandOver, Incident
from include.incidents.timeline import RawEntry, raw
from include.playbook.names import Component, ScenarioId
from include.runtime.clock import Clock, SystemClock

T = TypeVar("T")


@dataclass
class MemoryBook:
    """See :class:`~include.incidents.book.Book`. The dictionaries keep the order of insertion."""

    counted: dict[int, int] = field(default_factory=dict)
    rows: dict[str, IncidentRow] = field(default_factory=dict)
    lines: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    attached: dict[tuple[str, ScenarioId, Component], AttachedSymptom] = field(default_factory=dict)
    handed: tuple[HandOver, ...] = ()
    decided: dict[str, DecisionRecord] = field(default_factory=dict)

    def copy(self) -> MemoryBook:
        """A copy to go back to. Decisions are left out: a command writes nothing after one."""
        return replace(
            self,
            counted=dict(self.counted),
            rows=dict(self.rows),
            lines=dict(self.lines),
            attached=dict(self.attached),
        )

    def next_number(self, year: int) -> int:
        """See the protocol."""
        self.counted[year] = self.counted.get(year, 0) + 1
        return self.counted[year]

    def row(self, incident_id: str, *, lock: bool = False) -> IncidentRow | None:
        """See the protocol."""
        return self.rows.get(incident_id)

    def open_row(self, scenario: ScenarioId, target: Component, *, lock: bool = False) -> IncidentRow | None:
        """See the protocol."""
        return next((row for row in self._about(scenario, target) if row.incident.open), None)

    def last_closed_row(self, scenario: ScenarioId, target: Component) -> IncidentRow | None:
        """See the protocol."""
        return next((row for row in self._about(scenario, target) if not row.incident.open), None)

    def open_incidents(self) -> tuple[Incident, ...]:
        """See the protocol."""
        return tuple(row.incident for row in self.rows.values() if row.incident.open)

    def recent(self, limit: int) -> tuple[Incident, ...]:
        """See the protocol."""
        return tuple(row.incident for row in list(reversed(self.rows.values()))[:limit])

    def insert(self, row: IncidentRow) -> None:
        """See the protocol."""
        self._check_once(row.incident)
        self.rows[row.incident.id] = row

    def update(self, row: IncidentRow) -> None:
        """See the protocol."""
        self._check_once(row.incident)
        self.rows[row.incident.id] = row

    def add_entry(self, entry: Entry) -> None:
        """See the protocol."""
        self.lines[entry.incident_id] = (*self.lines.get(entry.incident_id, ()), entry)

    def entries(self, incident_id: str) -> tuple[Entry, ...]:
        """See the protocol."""
        return self.lines.get(incident_id, ())

    def symptoms(self, incident_id: str) -> tuple[AttachedSymptom, ...]:
        """See the protocol."""
        return tuple(symptom for symptom in self.attached.values() if symptom.incident_id == incident_id)

    def put_symptom(self, symptom: AttachedSymptom) -> None:
        """See the protocol."""
        self.attached[symptom.incident_id, symptom.scenario, symptom.target] = symptom

    def hand_overs(self, incident_id: str) -> tuple[HandOver, ...]:
        """See the protocol."""
        return tuple(each for each in self.handed if each.incident_id == incident_id)

    def add_hand_over(self, hand_over: HandOver) -> None:
        """See the protocol."""
        self.handed = (*self.handed, hand_over)

    def add_decision(self, key: str, decision: DecisionRecord) -> None:
        """See the protocol."""
        self.decided.setdefault(key, decision)

    def decisions(self, since: datetime | None, incident_id: str | None, limit: int) -> tuple[DecisionRecord, ...]:
        """See the protocol."""
        wanted = [
            each
            for each in reversed(self.decided.values())
            if (since is None or each.at >= since) and (incident_id is None or each.incident_id == incident_id)
        ]
        return tuple(sorted(wanted, key=lambda each: each.at, reverse=True)[:limit])

    def counters(self) -> Mapping[int, int]:
        """See the protocol."""
        return self.counted

    def known_ids(self) -> tuple[str, ...]:
        """See the protocol."""
        return tuple(sorted({*self.rows, *self.lines}, key=lambda name: (parse_incident_id(name) or (0, 0), name)))

    def raw_row(self, incident_id: str) -> Mapping[str, Any] | None:
        """See the protocol."""
        row = self.rows.get(incident_id)
        return {**row_values(row.incident), "entries": row.entries, "head": row.head} if row else None

    def raw_entries(self, incident_id: str) -> tuple[RawEntry, ...]:
        """See the protocol."""
        return tuple(sorted(map(raw, self.entries(incident_id)), key=lambda entry: entry.number))

    def _about(self, scenario: ScenarioId, target: Component) -> list[IncidentRow]:
        """Newest first."""
        rows = reversed(self.rows.values())
        return [row for row in rows if row.incident.scenario is scenario and row.incident.target is target]

    def _check_once(self, incident: Incident) -> None:
        other = self.open_row(incident.scenario, incident.target)
        if incident.open and other and other.incident.id != incident.id:
            raise OpenTwiceError


class MemoryIncidentStore(BaseIncidentStore):
    """See :class:`~include.incidents.store.IncidentStore`. Safe between threads; gone with the process."""

    def __init__(self, clock: Clock | None = None, reopen: timedelta = REOPEN) -> None:
        super().__init__(clock or SystemClock(), reopen)
        self.book = MemoryBook()
        self._lock = threading.Lock()

    def close(self) -> None:
        """See the protocol."""

    def _do(self, work: Callable[[Book], T], *, write: bool) -> T:
        with self._lock:
            before = self.book.copy() if write else self.book
            try:
                return work(self.book)
            except BaseException:
                self.book = before
                raise
