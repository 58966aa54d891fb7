"""The post-incident review as a document: its parts, and what every sentence in it is.

Design §1: facts with evidence, or "not known yet"; no speculation. A sentence is a :class:`Fact` with what proves it, a
:class:`NotKnown` with the reason, a :class:`Proposal` of the playbook, the :class:`Words` of a person, or a
:class:`Blank` that only a person can fill. A document is kept as JSON (:meth:`Document.model_dump_json`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from include.incidents.model import EntryKind
from include.playbook.names import ScenarioId, Severity


class Part(BaseModel):
    """Base of all parts: frozen, with no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReferenceKind(StrEnum):
    """Where a reference points to."""

    ENTRY = "entry"  # number of a line of the incident's timeline
    BLOCK = "block"  # a block of collected evidence: "<collection>/<block>"
    ACTION = "action"  # number of an action on record
    TABLE = "table"  # of the warehouse, read for a span of time
    PLAYBOOK = "playbook"  # file of the playbook's data
    INCIDENT = "incident"  # another incident


class Reference(Part):
    """What proves a fact. ``sha256``: of the line, or of the file, as it was when the review was drafted."""

    kind: ReferenceKind
    name: str
    sha256: str = ""


class Fact(Part):
    """What is known."""

    kind: Literal["fact"] = "fact"
    text: str
    evidence: tuple[Reference, ...] = ()


class NotKnown(Part):
    """What is not known, or not known yet, and why."""

    kind: Literal["not_known"] = "not_known"
    text: str
    evidence: tuple[Reference, ...] = ()


class Proposal(Part):
    """A suggestion of the playbook or of a rule; nobody has decided it."""

    kind: Literal["proposal"] = "proposal"
    text: str
    evidence: tuple[Reference, ...] = ()


class Words(Part):
    """What a person says, word for word."""

    kind: Literal["words"] = "words"
    text: str
    by: str
    at: datetime


class Blank(Part):
    """What only a person can say."""

    kind: Literal["blank"] = "blank"
    asks: str


Statement = Annotated[Fact | NotKnown | Proposal | Words | Blank, Field(discriminator="kind")]
Statements = tuple[Statement, ...]


class FigureKey(StrEnum):
    """Every number of the impact."""

    TIME_TO_DETECT = "time_to_detect"
    TIME_TO_FIRST_ACTION = "time_to_first_action"
    TIME_TO_MITIGATE = "time_to_mitigate"
    TIME_TO_RESOLVE = "time_to_resolve"
    TIME_TO_REVIEW = "time_to_review"
    FRESHNESS_BREACH = "freshness_breach"
    LONGEST_AGE = "longest_age"
    NEWEST_ROW_AGE = "newest_row_age"
    ROWS_LATE = "rows_late"
    TRADES_LATE = "trades_late"
    TRADES_AFTER_WATERMARK = "trades_after_watermark"
    WINDOWS_CORRECTED = "windows_corrected"
    TRADES_MISSING = "trades_missing"
    TRADES_REPAIRED = "trades_repaired"
    TRADES_LOST = "trades_lost"
    WINDOWS_WRONG_BEFORE = "windows_wrong_before"
    WINDOWS_WRONG_AFTER = "windows_wrong_after"


class Figure(Part):
    """One number. ``value`` is ``None`` when it is not available, and ``note`` says why; else ``note`` says how it was
    counted.
    """

    key: FigureKey
    label: str
    value: float | int | None
    unit: str
    note: str = ""
    evidence: tuple[Reference, ...] = ()


class Line(Part):
    """A line of the timeline. ``key``: one of those that tell the story."""

    number: int
    at: datetime
    recorded_at: datetime
    kind: EntryKind
    actor: str
    text: str
    sha256: str
    key: bool


class SentBack(Part):
    """Why the version before this one was not approved, and what had been filled in."""

    version: int
    by: str
    at: datetime
    comment: str
    form: dict[str, str] = {}


class ActionItem(Part):
    """One preventive action that somebody will do. ``due``: ISO 8601 date."""

    what: str
    owner: str
    due: str


class Document(Part):
    """The review of one incident, field by field as the playbook's template has them."""

    schema_version: Literal[1] = 1  # a new number when an older document could no longer be read
    incident_id: str
    version: int
    scenario: ScenarioId
    scenario_title: str
    severity: Severity
    onset_at: datetime
    opened_at: datetime
    resolved_at: datetime | None
    drafted_at: datetime
    sent_back: SentBack | None = None
    severity_words: Statements
    date_time: Statements
    reported_by: Statements
    summary: Statements
    impact: Statements
    figures: tuple[Figure, ...]
    root_cause: Statements
    resolution: Statements
    what_worked: Statements
    what_failed: Statements
    lessons: Statements
    preventive_actions: Statements
    action_items: tuple[ActionItem, ...] = ()
    runbook_updates: Statements
    logs_and_evidence: Statements
    timeline: tuple[Line, ...]
