"""Words of the reviews: a version of a review, its states, and a person's answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from include.review.document import ActionItem, Document


class ReviewState(StrEnum):
    """Where a version of a review is."""

    DRAFTED = "drafted"  # waits for a person
    SENT_BACK = "sent_back"  # with a comment; the next version carries it
    APPROVED = "approved"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"  # the facts changed before anybody answered


class ActionState(StrEnum):
    """Where a preventive action is. Others come with whatever works them off."""

    OPEN = "open"


OPEN_STATES = frozenset({ReviewState.DRAFTED, ReviewState.APPROVED})


@dataclass(frozen=True, slots=True)
class Form:
    """What a person filled in. Empty text: nothing was said."""

    root_cause: str = ""
    lessons: str = ""
    runbook_updates: str = ""
    preventive_actions: tuple[ActionItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer to a draft. ``form``: the fields as they were typed."""

    approved: bool
    by: str
    at: datetime
    comment: str = ""
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """One version of the review of one incident. ``facts`` is the fingerprint of what it tells: the same facts make no
    second draft. ``markdown`` and ``html`` are the published files, relative to the reports folder.
    """

    incident_id: str
    version: int
    state: ReviewState
    facts: str
    document: Document
    drafted_at: datetime
    answer: Answer | None = None
    published_at: datetime | None = None
    markdown: str = ""
    html: str = ""

    @property
    def id(self) -> str:
        """``INC-2026-0001-R1``."""
        return review_id(self.incident_id, self.version)

    def form_values(self) -> dict[str, str]:
        """What the form begins with: what was filled in the last time, if it came back."""
        return dict(self.document.sent_back.form) if self.document.sent_back else {}


@dataclass(frozen=True, slots=True)
class OpenAction:
    """A preventive action on record, with where it comes from."""

    review_id: str
    incident_id: str
    number: int
    item: ActionItem
    state: ActionState


@dataclass(frozen=True, slots=True)
class PublishedReview:
    """Where a published review lies."""

    markdown: Path
    html: Path


def review_id(incident_id: str, version: int) -> str:
    """The name of a version."""
    return f"{incident_id}-R{version}"


def parse_review_id(text: str) -> tuple[str, int] | None:
    """Incident and version, or ``None`` if it names no review."""
    incident_id, separator, version = text.rpartition("-R")
    return (incident_id, int(version)) if separator and version.isascii() and version.isdigit() else None
