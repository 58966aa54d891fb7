"""Reviews on a database of incidents, for the suites of that room."""

from __future__ import annotations

from pathlib import Path

from include.incidents.model import EntryKind, Incident, IncidentState
from include.review.reviews import Reviews
from tests.support.incident_stores import Backend
from tests.support.reviewing import FORM, Desk, review_settings


class Office:
    """A database with incidents, and the reviews on it."""

    def __init__(self, backend: Backend, home: Path) -> None:
        self.desk = Desk(backend.store, backend.clock)
        self.settings = review_settings(home, **backend.settings)
        self.backend, self.home = backend, home
        self.reviews = self.another()

    def another(self) -> Reviews:
        """One more process on the same database."""
        return Reviews(self.settings, self.backend.clock, self.desk.fake.sources())

    def state(self, incident: Incident) -> IncidentState:
        """Where the incident is now."""
        return self.desk.store.incident(incident.id).state

    def steps(self, incident: Incident) -> list[str]:
        """What the timeline tells of its reviews."""
        told = self.desk.store.timeline(incident.id)
        return [str(entry.data["step"]) for entry in told if entry.kind is EntryKind.REVIEWED]

    def approve(self, incident: Incident, **changes: str) -> str:
        """Draft and approve; the review's name."""
        review = self.reviews.draft(incident.id)
        self.reviews.answer(review.id, approved=True, by="ada", form=FORM | changes)
        return review.id
