"""The moments of an incident between which its durations are counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.incidents.model import Entry, EntryKind, IncidentState
from include.review.document import Figure, FigureKey, Reference
from include.review.material import Material, state_after
from include.review.words import action_ref, entry_refs


@dataclass(frozen=True, slots=True)
class Milestone:
    """When it was, and what says so; ``at`` is ``None`` when there was none."""

    at: datetime | None = None
    evidence: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Milestones:
    """From the first sign to the end. ``mitigated`` and ``resolved`` are the last ones: it may have come back."""

    onset: Milestone
    detected: Milestone
    first_action: Milestone
    mitigated: Milestone
    resolved: Milestone


def milestones(material: Material) -> Milestones:
    """Of this incident."""
    incident, told = material.incident, material.told
    opening = entry_refs(told[:1])
    return Milestones(
        onset=Milestone(incident.onset_at, opening),
        detected=Milestone(incident.opened_at, opening),
        first_action=_first_action(material),
        mitigated=_last_move(told, IncidentState.MITIGATED),
        resolved=_resolved(material),
    )


def durations(moments: Milestones) -> tuple[Figure, ...]:
    """Onset → detected → first action → mitigated → resolved, all from the first sign; the review's comes later."""
    rows = (
        (FigureKey.TIME_TO_DETECT, "First sign to detection", moments.detected, "not known"),
        (FigureKey.TIME_TO_FIRST_ACTION, "First sign to first action", moments.first_action, "no action is on record"),
        (FigureKey.TIME_TO_MITIGATE, "First sign to mitigated", moments.mitigated, "no remedy was verified before"),
        (FigureKey.TIME_TO_RESOLVE, "First sign to resolved", moments.resolved, "it is not resolved"),
    )
    return (
        *(_duration(key, label, moments.onset.at, reached, why) for key, label, reached, why in rows),
        Figure(
            key=FigureKey.TIME_TO_REVIEW,
            label="Resolved to review approved",
            value=None,
            unit="s",
            note="nobody has approved it yet",
        ),
    )


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """To the tenth of a second."""
    return None if start is None or end is None else round((end - start).total_seconds(), 1)


def _duration(key: FigureKey, label: str, onset: datetime | None, reached: Milestone, why: str) -> Figure:
    value = seconds_between(onset, reached.at)
    return Figure(
        key=key, label=label, value=value, unit="s", note=why if value is None else "", evidence=reached.evidence
    )


def _first_action(material: Material) -> Milestone:
    started = material.entries(EntryKind.ACTION_STARTED)
    if started:
        first = min(started, key=lambda entry: entry.event_at)
        return Milestone(first.event_at, entry_refs([first]))
    if actions := material.known_actions:
        earliest = min(actions, key=lambda action: action.started_at)
        return Milestone(earliest.started_at, (action_ref(earliest.id),))
    return Milestone()


def _resolved(material: Material) -> Milestone:
    last = _last_move(material.told, IncidentState.RESOLVED)
    return Milestone(material.incident.resolved_at, last.evidence)


def _last_move(told: tuple[Entry, ...], state: IncidentState) -> Milestone:
    moves = [entry for entry in told if state_after(entry) is state]
    return Milestone(moves[-1].event_at, entry_refs(moves[-1:])) if moves else Milestone()
