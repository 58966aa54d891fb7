"""The store's commands over any kind of transaction: memory and databases differ only in how a transaction is done."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from include.incidents import commands, symptom_commands
from include.incidents.book import Book
from include.incidents.entry_data import check_data, clean_text, utc
from include.incidents.errors import UnknownIncidentError
from include.incidents.model import (
    AttachedSymptom,
    DecisionRecord,
    Entry,
    EntryKind,
    HandOver,
    Incident,
    IncidentState,
    NewEntry,
    NewIncident,
    OpenOutcome,
)
from include.incidents.verification import Finding, verify
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.runtime.clock import Clock

T = TypeVar("T")
REOPEN = timedelta(minutes=10)


class BaseIncidentStore(ABC):
    """See :class:`~include.incidents.store.IncidentStore`."""

    def __init__(self, clock: Clock, reopen: timedelta = REOPEN) -> None:
        self._clock = clock
        self._reopen = reopen

    @abstractmethod
    def _do(self, work: Callable[[Book], T], *, write: bool) -> T:
        """Do the work in one transaction, whole or not at all. The work may be done again after a failed try."""

    @abstractmethod
    def close(self) -> None:
        """See the protocol."""

    def within(self, work: Callable[[Book], T], *, write: bool) -> T:
        """Another room's work together with the incidents' own in one transaction; it may be done again after a failed
        try. What it wrote is recognised by its last line in a timeline. Raises what every command does.
        """
        return self._do(work, write=write)

    # --- the incident
    def open(self, new: NewIncident) -> tuple[Incident, OpenOutcome]:
        """See the protocol."""
        return self._write(lambda book: commands.open_incident(book, new, self._now(), self._reopen))

    def incident(self, incident_id: str) -> Incident:
        """See the protocol."""
        row = self._read(lambda book: book.row(incident_id))
        if row is None:
            raise UnknownIncidentError(incident_id)
        return row.incident

    def open_incidents(self) -> tuple[Incident, ...]:
        """See the protocol."""
        return self._read(lambda book: book.open_incidents())

    def recent(self, limit: int = 50) -> tuple[Incident, ...]:
        """See the protocol."""
        return self._read(lambda book: book.recent(limit))

    def open_for(self, scenario: ScenarioId, target: Component) -> Incident | None:
        """See the protocol."""
        row = self._read(lambda book: book.open_row(scenario, target))
        return row.incident if row else None

    def move(
        self,
        incident_id: str,
        to: IncidentState,
        *,
        version: int,
        actor: str,
        reason: str,
        event_at: datetime,
        data: Mapping[str, Any] | None = None,
    ) -> Incident:
        """See the protocol."""
        kind = EntryKind.REOPENED if to is IncidentState.REOPENED else EntryKind.STATE_CHANGED
        entry = NewEntry(kind, actor, reason, event_at, dict(data or {}))
        return self._write(
            lambda book: commands.move(book, incident_id, to, version=version, entry=entry, now=self._now())
        )

    def raise_severity(
        self, incident_id: str, severity: Severity, *, actor: str, reason: str, event_at: datetime
    ) -> Incident:
        """See the protocol."""
        entry = NewEntry(EntryKind.SEVERITY_RAISED, actor, reason, event_at)
        return self._write(lambda book: commands.raise_severity(book, incident_id, severity, entry, self._now()))

    def set_cause(self, incident_id: str, cause: Cause, *, actor: str, reason: str, event_at: datetime) -> Incident:
        """See the protocol."""
        entry = NewEntry(EntryKind.CAUSE_CHANGED, actor, reason, event_at)
        return self._write(lambda book: commands.set_cause(book, incident_id, cause, entry, self._now()))

    def merge(self, child_id: str, into_id: str, *, actor: str, reason: str, event_at: datetime) -> Incident:
        """See the protocol."""
        entry = NewEntry(EntryKind.MERGED, actor, reason, event_at)
        return self._write(lambda book: commands.merge(book, child_id, into_id, entry, self._now()))

    # --- its timeline
    def append(self, incident_id: str, new: NewEntry) -> Entry:
        """See the protocol."""
        return self._write(lambda book: commands.append(book, incident_id, new, self._now()))

    def timeline(self, incident_id: str) -> tuple[Entry, ...]:
        """See the protocol."""
        return self._read(lambda book: self._of(book, incident_id, book.entries))

    def verify(self, incident_id: str | None = None) -> tuple[Finding, ...]:
        """See the protocol."""
        return self._read(lambda book: verify(book, incident_id))

    # --- its symptoms
    def attach(self, symptom: AttachedSymptom, event_at: datetime) -> bool:
        """See the protocol."""
        return self._write(lambda book: symptom_commands.attach(book, symptom, event_at, self._now()))

    def clear_symptom(
        self, incident_id: str, scenario: ScenarioId, target: Component, *, reason: str, event_at: datetime
    ) -> bool:
        """See the protocol."""
        entry = NewEntry(EntryKind.SYMPTOM_CLEARED, symptom_commands.ACTOR, reason, event_at)
        return self._write(
            lambda book: symptom_commands.clear_symptom(
                book, incident_id, scenario, target, entry=entry, now=self._now()
            )
        )

    def set_symptom(
        self,
        incident_id: str,
        scenario: ScenarioId,
        target: Component,
        *,
        deadline_at: datetime | None,
        residual: bool,
        reason: str,
        event_at: datetime,
    ) -> AttachedSymptom:
        """See the protocol."""
        entry = NewEntry(EntryKind.DECIDED, symptom_commands.ACTOR, reason, event_at)
        return self._write(
            lambda book: symptom_commands.set_symptom(
                book,
                incident_id,
                scenario,
                target,
                deadline_at=deadline_at,
                residual=residual,
                entry=entry,
                now=self._now(),
            )
        )

    def symptoms(self, incident_id: str) -> tuple[AttachedSymptom, ...]:
        """See the protocol."""
        return self._read(lambda book: self._of(book, incident_id, book.symptoms))

    # --- hand-overs and decisions
    def hand_over(self, hand_over: HandOver, *, actor: str = "health") -> tuple[HandOver, bool]:
        """See the protocol."""
        return self._write(lambda book: symptom_commands.hand_over(book, hand_over, actor, self._now()))

    def hand_overs(self, incident_id: str, *, earlier: bool = False) -> tuple[HandOver, ...]:
        """See the protocol."""

        def look(book: Book) -> tuple[HandOver, ...]:
            row = book.row(incident_id)
            if row is None:
                raise UnknownIncidentError(incident_id)
            every = book.hand_overs(incident_id)
            return every if earlier else tuple(h for h in every if h.occurrence == row.incident.reopened)

        return self._read(look)

    def record_decision(self, decision: DecisionRecord) -> None:
        """See the protocol."""
        checked = DecisionRecord(
            utc(decision.at),
            decision.scenario,
            decision.target,
            clean_text(decision.decision),
            clean_text(decision.reason),
            decision.incident_id,
            check_data(decision.data),
        )
        key = uuid.uuid4().hex  # the same in every try: kept once, whatever became of a failed one
        self._write(lambda book: book.add_decision(key, checked))

    def decisions(
        self, *, since: datetime | None = None, incident_id: str | None = None, limit: int = 100
    ) -> tuple[DecisionRecord, ...]:
        """See the protocol."""
        return self._read(lambda book: book.decisions(since and utc(since), incident_id, limit))

    # --- how
    def _write(self, work: Callable[[Book], T]) -> T:
        return self._do(work, write=True)

    def _read(self, work: Callable[[Book], T]) -> T:
        return self._do(work, write=False)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time_ms() / 1000, UTC)

    @staticmethod
    def _of(book: Book, incident_id: str, look: Callable[[str], tuple[T, ...]]) -> tuple[T, ...]:
        """What an incident has; raises :class:`UnknownIncidentError` when there is no such incident."""
        found = look(incident_id)
        if not found and book.row(incident_id) is None:
            raise UnknownIncidentError(incident_id)
        return found
