"""Everything that a review is made of, read at one moment: composing looks at nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.guardrails.model import Action
from include.incidents.model import AttachedSymptom, Entry, EntryKind, HandOver, Incident, IncidentState
from include.incidents.verification import Finding
from include.playbook.scenario import Scenario
from include.review.evidence import Manifest
from include.review.freshness import Freshness


@dataclass(frozen=True, slots=True)
class Missing:
    """A source did not answer; the text says why, without addresses of the machine or secrets."""

    why: str


@dataclass(frozen=True, slots=True)
class RowFigures:
    """What the warehouse says of the incident's time. ``newest_update``: when the averages were last written to."""

    freshness: Freshness | None
    batches: int
    after_watermark: int  # trades
    windows_corrected: int
    newest_update: datetime | None


@dataclass(frozen=True, slots=True)
class Material:
    """``timeline`` is the whole one; :attr:`told` leaves out what tells of the review itself. ``harm``: what was said
    when measured harm made it worse.
    """

    incident: Incident
    scenario: Scenario
    timeline: tuple[Entry, ...]
    symptoms: tuple[AttachedSymptom, ...]
    hand_overs: tuple[HandOver, ...]
    findings: tuple[Finding, ...]
    harm: tuple[str, ...]
    actions: tuple[Action, ...] | Missing  # oldest first
    collections: tuple[Manifest, ...] | Missing
    rows: RowFigures | Missing
    target_seconds: float  # age of the averages above which they are late
    now: datetime

    @property
    def told(self) -> tuple[Entry, ...]:
        """The incident's own story."""
        return tuple(entry for entry in self.timeline if not _of_review(entry))

    @property
    def known_actions(self) -> tuple[Action, ...]:
        """None where they cannot be read."""
        return () if isinstance(self.actions, Missing) else self.actions

    def entries(self, *kinds: EntryKind) -> tuple[Entry, ...]:
        """Those of some kinds, in order."""
        return tuple(entry for entry in self.told if entry.kind in kinds)


def state_after(entry: Entry) -> IncidentState | None:
    """The state that an entry moved the incident to."""
    change = entry.data.get("change", {}).get("state")
    return IncidentState(change[1]) if change else None


def _of_review(entry: Entry) -> bool:
    return entry.kind is EntryKind.REVIEWED or state_after(entry) in (IncidentState.IN_REVIEW, IncidentState.CLOSED)
