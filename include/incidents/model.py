"""What an incident is: its states, its timeline, and the commands and answers of the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom


class IncidentState(StrEnum):
    """Where an incident is in the workflow. The legal moves are in :mod:`include.incidents.states`."""

    DETECTED = "detected"
    ACKNOWLEDGED = "acknowledged"
    MITIGATING = "mitigating"
    MITIGATED = "mitigated"
    VERIFYING = "verifying"  # the cause is gone, its consequences are watched
    RESOLVED = "resolved"
    IN_REVIEW = "in_review"
    CLOSED = "closed"
    MERGED = "merged"  # into an incident whose fault explains this one
    FALSE_POSITIVE = "false_positive"
    REOPENED = "reopened"


class EntryKind(StrEnum):
    """What a line of the timeline tells."""

    OPENED = "opened"
    REOPENED = "reopened"
    STATE_CHANGED = "state_changed"
    SEVERITY_RAISED = "severity_raised"
    CAUSE_CHANGED = "cause_changed"  # the diagnosis became more exact
    SYMPTOM_ATTACHED = "symptom_attached"
    SYMPTOM_CLEARED = "symptom_cleared"
    MERGED = "merged"
    OBSERVED = "observed"  # evidence
    DECIDED = "decided"  # a decision that is no change: why something was not opened, paged or done
    HANDED_OVER = "handed_over"  # to a remediation Dag
    ACTION_STARTED = "action_started"  # a remedy begins
    ACTION_ENDED = "action_ended"
    ACTION_REFUSED = "action_refused"  # by a guardrail, or for want of a person's yes
    SUPERVISED = "supervised"  # supervision started or stopped a process meanwhile
    EVIDENCE_COLLECTED = "evidence_collected"
    ESCALATED = "escalated"  # handed to people
    REPAIRED = "repaired"  # the data
    REVIEWED = "reviewed"  # a review was drafted, sent back, approved or published: ``step`` says which
    NOTE = "note"  # of a person


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as it stands. ``onset_at`` is when the first bad sample was seen, ``opened_at`` when the row was
    written; moments are aware, in UTC. ``version`` counts the changes (optimistic locking). ``merged_into`` names the
    incident that took this one over. ``reopened`` counts how often it came back.
    """

    id: str  # INC-2026-0001
    scenario: ScenarioId
    target: Component
    cause: Cause
    severity: Severity
    state: IncidentState
    summary: str  # one sentence of fact
    reported_by: str
    onset_at: datetime
    opened_at: datetime
    updated_at: datetime
    version: int
    resolved_at: datetime | None = None
    merged_into: str | None = None
    reopened: int = 0

    @property
    def open(self) -> bool:
        """Whether its fault is still there or still being verified."""
        return self.state not in CLOSED_STATES


CLOSED_STATES = frozenset(
    {
        IncidentState.RESOLVED,
        IncidentState.IN_REVIEW,
        IncidentState.CLOSED,
        IncidentState.MERGED,
        IncidentState.FALSE_POSITIVE,
    }
)


@dataclass(frozen=True, slots=True)
class NewIncident:
    """What the store needs to open (or join, or reopen) an incident."""

    scenario: ScenarioId
    target: Component
    cause: Cause
    severity: Severity
    summary: str
    onset_at: datetime
    reported_by: str
    reason: str  # why it is opened, and why it is a root
    evidence: tuple[dict[str, Any], ...] = ()


class OpenOutcome(StrEnum):
    """What :meth:`IncidentStore.open` did."""

    OPENED = "opened"
    JOINED = "joined"  # there was one already
    REOPENED = "reopened"  # the last one had been resolved a moment ago


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A line to be added to a timeline. ``event_at``: when it happened (the store adds when it was recorded).
    ``data``: JSON values only, no secrets.
    """

    kind: EntryKind
    actor: str  # "health", "watch", "supervision", or a person's login
    text: str
    event_at: datetime
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a timeline; never changed. ``hash`` covers everything here and ``previous``."""

    incident_id: str
    number: int  # 1, 2, … within its incident
    kind: EntryKind
    actor: str
    text: str
    event_at: datetime
    recorded_at: datetime
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class AttachedSymptom:
    """Another scenario's fault that this incident is responsible for. ``deadline_at``: when it must be clear once the
    root is (``None`` while the root is not). ``residual``: it outlived the root and is worked on in its place.
    """

    incident_id: str
    scenario: ScenarioId
    target: Component
    symptom: Symptom
    reason: str
    attached_at: datetime
    cleared_at: datetime | None = None
    deadline_at: datetime | None = None
    residual: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """The one hand-over of an incident to the remediation of a scenario (a second Dag run finds the first one's)."""

    incident_id: str
    scenario: ScenarioId
    health_run: str  # Dag run that handed over, or the person who reported it and works on it
    remediation: str  # what it was handed to, or why to nobody
    at: datetime
    occurrence: int = (
        0  # the incident's ``reopened`` at that time (the store fills it in): each return is handed over anew
    )


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision that was taken about a scenario, above all those that open nothing. ``decision`` and ``reason`` are
    words of the decider's own enums; ``data``: JSON values only, no secrets.
    """

    at: datetime
    scenario: ScenarioId
    target: Component
    decision: str
    reason: str
    incident_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
