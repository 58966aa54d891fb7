"""How each decision that changes something is written: which commands of the store it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from include.health.verdicts import Evidence
from include.incidents.correlation_step import moment
from include.incidents.decisions import (
    Adopt,
    BeginVerifying,
    Change,
    ClearSymptom,
    Decision,
    Merge,
    Move,
    Open,
    Place,
    RaiseSeverity,
    Reopen,
    Residual,
    Resolve,
    SetCause,
)
from include.incidents.model import (
    AttachedSymptom,
    EntryKind,
    Incident,
    IncidentState,
    NewEntry,
    NewIncident,
    OpenOutcome,
)
from include.incidents.states import REOPENABLE_STATES, path
from include.incidents.store import IncidentStore
from include.playbook.names import Severity

ACTOR = "watch"
_MOST_EVIDENCE = 8
_LONGEST_TEXT = 300


class Outcome(StrEnum):
    """What became of a decision."""

    DONE = "done"
    JOINED = "joined"  # another watch had opened it
    ALREADY = "already"  # there was nothing left to do
    SAID = "said"  # recorded before, for this episode
    NOTED = "noted"  # a record that belongs to an incident which ended a moment ago
    LOST_RACE = "lost_race"  # the incident has changed since it was looked at: decide anew
    REFUSED = "refused"  # the store does not allow it any more: decide anew
    NOT_WRITTEN = "not_written"  # the store is away


@dataclass(frozen=True, slots=True)
class Applied:
    """One decision and what became of it. ``message``: an error's text; for an opening, the store's ``OpenOutcome``."""

    decision: Decision
    outcome: Outcome
    incident_id: str | None = None
    message: str = ""


class NotOpenAnyMoreError(Exception):
    """The incident that a decision is about is not open any more. Inside the room only: the keeper catches it."""


class ChangeWriter:
    """Writes changes; each may be written again without harm."""

    def __init__(self, store: IncidentStore, reopen: timedelta) -> None:
        self._store, self._reopen = store, reopen
        self._writers: dict[type, Callable[[Any, str], Applied]] = {
            Open: self._open,
            Adopt: self._adopt,
            Merge: self._merge,
            RaiseSeverity: self._raise_severity,
            SetCause: self._set_cause,
            ClearSymptom: self._clear_symptom,
            BeginVerifying: self._begin_verifying,
            Reopen: self._reopen_again,
            Residual: self._residual,
            Resolve: self._resolve,
        }

    def write(self, decision: Change, text: str) -> Applied:
        """Write it, with ``text`` for the timeline. Raises the store's errors and :class:`NotOpenAnyMoreError`."""
        return self._writers[type(decision)](decision, text)

    # --- Opening and attaching
    def _open(self, decision: Open, text: str) -> Applied:
        if (recent := self._just_resolved(decision)) is not None:
            return Applied(decision, Outcome.NOTED, recent.id)
        if (known := self._store.open_for(decision.scenario, decision.target)) is not None:
            return Applied(decision, Outcome.JOINED, known.id)  # without a line in the timeline each second
        new = NewIncident(
            scenario=decision.scenario,
            target=decision.target,
            cause=decision.cause,
            severity=decision.severity,
            summary=short(decision.summary),
            onset_at=moment(decision.onset),
            reported_by=ACTOR,
            reason=text,
            evidence=evidence_data(decision.evidence),
        )
        incident, outcome = self._store.open(new)
        if outcome is OpenOutcome.JOINED:
            return Applied(decision, Outcome.JOINED, incident.id)
        return Applied(decision, Outcome.DONE, incident.id, outcome)

    def _just_resolved(self, decision: Open) -> Incident | None:
        """A real incident of the same target that ended a moment ago: a mere record must not bring it back."""
        if decision.severity is not Severity.SEV_4:
            return None
        for incident in self._store.recent(20):
            same = (incident.scenario, incident.target) == (decision.scenario, decision.target)
            if same and incident.state in REOPENABLE_STATES and incident.severity < Severity.SEV_4:
                ended = incident.resolved_at
                if ended is not None and moment(decision.at) - ended < self._reopen:
                    return incident
        return None

    def _adopt(self, decision: Adopt, text: str) -> Applied:
        incident_id = self._find(decision.into)
        attached = self._attach(incident_id, decision, text)
        return _done(decision, incident_id) if attached else Applied(decision, Outcome.ALREADY, incident_id)

    def _merge(self, decision: Merge, text: str) -> Applied:
        child = self._store.incident(decision.incident_id)
        into = self._find(decision.into)
        if not child.open or child.id == into:
            return Applied(decision, Outcome.ALREADY, into)
        self._store.merge(child.id, into, actor=ACTOR, reason=text, event_at=moment(decision.at))
        self._attach(into, decision, text)
        return _done(decision, into)

    def _attach(self, incident_id: str, decision: Adopt | Merge, text: str) -> bool:
        symptom = AttachedSymptom(
            incident_id=incident_id,
            scenario=decision.scenario,
            target=decision.target,
            symptom=decision.symptom,
            reason=text,
            attached_at=moment(decision.at),
        )
        attached = self._store.attach(symptom, moment(decision.onset))
        if attached and decision.evidence:
            self.note(incident_id, f"What was seen of {decision.scenario}.", decision, decision.onset)
        return attached

    def note(self, incident_id: str, text: str, decision: Decision, at: float) -> None:
        """An observation for the timeline, with the decision's evidence."""
        data = {"reason": decision.reason, "evidence": list(evidence_data(decision.evidence))}
        self._store.append(incident_id, NewEntry(EntryKind.OBSERVED, ACTOR, short(text), moment(at), data))

    def _find(self, place: Place) -> str:
        if place.incident_id is not None:
            return place.incident_id
        incident = self._store.open_for(place.scenario, place.target)
        if incident is None:
            raise NotOpenAnyMoreError(f"no incident of {place.scenario} is open")
        return incident.id

    # --- While it is open
    def _raise_severity(self, decision: RaiseSeverity, text: str) -> Applied:
        before = self._store.incident(decision.incident_id)
        if decision.severity >= before.severity or not before.open:
            return Applied(decision, Outcome.ALREADY, before.id)
        at = moment(decision.at)
        self._store.raise_severity(before.id, decision.severity, actor=ACTOR, reason=text, event_at=at)
        return _done(decision, before.id)

    def _set_cause(self, decision: SetCause, text: str) -> Applied:
        before = self._store.incident(decision.incident_id)
        if decision.cause is before.cause or not before.open:
            return Applied(decision, Outcome.ALREADY, before.id)
        self._store.set_cause(before.id, decision.cause, actor=ACTOR, reason=text, event_at=moment(decision.at))
        return _done(decision, before.id)

    def _clear_symptom(self, decision: ClearSymptom, text: str) -> Applied:
        incident_id, at = decision.incident_id, moment(decision.at)
        if self._store.clear_symptom(incident_id, decision.scenario, decision.target, reason=text, event_at=at):
            return _done(decision, incident_id)
        return Applied(decision, Outcome.ALREADY, incident_id)

    # --- Moves
    def _begin_verifying(self, decision: BeginVerifying, text: str) -> Applied:
        moved = self._walk(decision, IncidentState.VERIFYING, text)
        for deadline in decision.deadlines:
            self._store.set_symptom(
                decision.incident_id,
                deadline.scenario,
                deadline.target,
                deadline_at=moment(deadline.at),
                residual=False,
                reason=text,
                event_at=moment(decision.at),
            )
        return _done(decision, decision.incident_id) if decision.deadlines else moved

    def _reopen_again(self, decision: Reopen, text: str) -> Applied:
        return self._walk(decision, IncidentState.MITIGATING, text)

    def _resolve(self, decision: Resolve, text: str) -> Applied:
        return self._walk(decision, IncidentState.RESOLVED, text)

    def _residual(self, decision: Residual, text: str) -> Applied:
        moved = self._walk(decision, IncidentState.MITIGATING, text)
        if moved.outcome is not Outcome.DONE:
            return moved
        incident_id, at = decision.incident_id, moment(decision.at)
        self._store.set_symptom(
            incident_id,
            decision.scenario,
            decision.target,
            deadline_at=None,
            residual=True,
            reason=text,
            event_at=at,
        )
        self._store.raise_severity(incident_id, decision.severity, actor=ACTOR, reason=text, event_at=at)
        return moved

    def _walk(self, decision: Move, goal: IncidentState, text: str) -> Applied:
        """Every step of the workflow on the way, from the version that was decided about."""
        incident = self._store.incident(decision.incident_id)
        if not incident.open or incident.state is goal:
            return Applied(decision, Outcome.ALREADY, incident.id)
        version = decision.version
        for state in path(incident.state, goal, incident.severity):
            incident = self._store.move(
                incident.id,
                state,
                version=version,
                actor=ACTOR,
                reason=text,
                event_at=moment(decision.at),
                data={"reason": decision.reason, "evidence": list(evidence_data(decision.evidence))},
            )
            version = incident.version
        return _done(decision, incident.id)


def _done(decision: Decision, incident_id: str) -> Applied:
    return Applied(decision, Outcome.DONE, incident_id)


def evidence_data(evidence: tuple[Evidence, ...]) -> tuple[dict[str, Any], ...]:
    """The newest pieces, as the timeline keeps them."""
    return tuple(
        {"at": moment(e.at).isoformat(), "probe": e.probe, "code": e.code, "text": short(e.text)}
        for e in evidence[-_MOST_EVIDENCE:]
    )


def short(text: str) -> str:
    """Of bounded length."""
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
