"""The incident store: its commands, what they promise, and what they refuse.

Every moment is aware and in UTC. Every command is one transaction: it is done whole, together with its line in the
timeline, or not at all. All calls block (an asyncio caller uses a thread), and a store may be used by many threads and
processes at once. Any command may raise :class:`~include.incidents.errors.StoreUnavailableError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from include.incidents.model import (
    AttachedSymptom,
    DecisionRecord,
    Entry,
    HandOver,
    Incident,
    IncidentState,
    NewEntry,
    NewIncident,
    OpenOutcome,
)
from include.incidents.verification import Finding
from include.playbook.names import Cause, Component, ScenarioId, Severity


class IncidentStore(Protocol):
    """Incidents, their timelines, symptoms and hand-overs, and the decisions that opened nothing."""

    def open(self, new: NewIncident) -> tuple[Incident, OpenOutcome]:
        """Open an incident, unless there is one.

        ``JOINED``: one is open for (scenario, target); it stays as it is, the joining is noted. ``REOPENED``: the last
        one was resolved less than ``incident_reopen_minutes`` ago; it goes on under its id, with the new cause (if it
        is known), the worse of both severities and the new summary. Otherwise ``OPENED``. Any number of callers may
        race: one opens, the others join.
        """
        ...

    def incident(self, incident_id: str) -> Incident:
        """As it stands. Raises :class:`UnknownIncidentError`, as does every command that names an incident."""
        ...

    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open, oldest first."""
        ...

    def recent(self, limit: int = 50) -> tuple[Incident, ...]:
        """The ones opened last in any state, newest first."""
        ...

    def open_for(self, scenario: ScenarioId, target: Component) -> Incident | None:
        """The open incident of a scenario and target."""
        ...

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
        """One step of the workflow (:mod:`include.incidents.states`), from the ``version`` that the caller has read.

        Raises :class:`StaleVersionError`, and :class:`IllegalMoveError`, which says what is allowed. A merge has a
        command of its own. SEV-1 and SEV-2 do not close before their review is approved, as the timeline tells it.
        """
        ...

    def raise_severity(
        self, incident_id: str, severity: Severity, *, actor: str, reason: str, event_at: datetime
    ) -> Incident:
        """Make it worse; no change if it is as bad already. Raises :class:`NotOpenError` in a final state."""
        ...

    def set_cause(self, incident_id: str, cause: Cause, *, actor: str, reason: str, event_at: datetime) -> Incident:
        """The diagnosis became another; no change if it is the same. Raises :class:`NotOpenError` in a final state."""
        ...

    def attach(self, symptom: AttachedSymptom, event_at: datetime) -> bool:
        """Make an open incident responsible for a symptom. ``False``: it is already. One that was cleared is attached
        anew. Raises :class:`NotOpenError`.
        """
        ...

    def clear_symptom(
        self, incident_id: str, scenario: ScenarioId, target: Component, *, reason: str, event_at: datetime
    ) -> bool:
        """The symptom is gone. ``False``: it was cleared before. Raises :class:`UnknownSymptomError`."""
        ...

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
        """Set deadline and residual mark, both as given; no entry if both are so already. Raises
        :class:`UnknownSymptomError`.
        """
        ...

    def symptoms(self, incident_id: str) -> tuple[AttachedSymptom, ...]:
        """All that were ever attached, cleared ones too, in the order of attachment."""
        ...

    def merge(self, child_id: str, into_id: str, *, actor: str, reason: str, event_at: datetime) -> Incident:
        """The fault of ``into_id`` explains the child's: the child ends as ``MERGED`` and is returned. What was
        attached to the child and is not cleared is attached to the other. Doing it again changes nothing.

        Raises :class:`IllegalMoveError` if the child is over, :class:`NotOpenError` if the other one is.
        """
        ...

    def append(self, incident_id: str, new: NewEntry) -> Entry:
        """Note an observation, a decision or a person's words; also after the end. Each call adds a line.

        Raises :class:`InvalidEntryError`, as every command does for data that looks like a secret or is no JSON; and
        for kinds that only other commands write.
        """
        ...

    def timeline(self, incident_id: str) -> tuple[Entry, ...]:
        """All entries in the order of recording."""
        ...

    def hand_over(self, hand_over: HandOver, *, actor: str = "health") -> tuple[HandOver, bool]:
        """Record that the incident was handed to the remediation of a scenario, and by whom. ``False``, and the earlier
        one, if that was done already since the incident was opened, or last reopened.
        """
        ...

    def hand_overs(self, incident_id: str, *, earlier: bool = False) -> tuple[HandOver, ...]:
        """Those since the incident was opened, or last reopened; ``earlier``: all."""
        ...

    def record_decision(self, decision: DecisionRecord) -> None:
        """Keep a decision with its reason. Each call adds one."""
        ...

    def decisions(
        self, *, since: datetime | None = None, incident_id: str | None = None, limit: int = 100
    ) -> tuple[DecisionRecord, ...]:
        """Recorded decisions, newest first."""
        ...

    def verify(self, incident_id: str | None = None) -> tuple[Finding, ...]:
        """What is wrong with the timelines, and with the rows that follow from them; of one incident, or of all."""
        ...

    def close(self) -> None:
        """Give back all connections."""
        ...
