"""The reviews' tables in the incident store's database, as the newest migration leaves them (a test compares)."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Table, Text, text

from include.incidents.tables import Moment, metadata
from include.review.model import OPEN_STATES

_OPEN = text(f"state IN ({', '.join(repr(state.value) for state in sorted(OPEN_STATES))})")

REVIEWS = Table(
    "incident_reviews",
    metadata,
    Column("incident_id", String(20), ForeignKey("incidents.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(32), nullable=False),
    Column("facts", String(64), nullable=False),
    Column("document", Text, nullable=False),  # JSON, see include.review.document
    Column("drafted_at", Moment, nullable=False),
    Column("answer", Text),  # JSON, see include.review.model.Answer
    Column("published_at", Moment),
    Column("markdown", Text, nullable=False),
    Column("html", Text, nullable=False),
    # whatever the program does: of two drafts at once the database takes one
    Index("incident_reviews_one_open", "incident_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
)
ACTION_ITEMS = Table(
    "review_action_items",
    metadata,
    Column("incident_id", String(20), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("what", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due", String(10), nullable=False),  # ISO 8601 date, which sorts
    Column("state", String(32), nullable=False),
    ForeignKeyConstraint(
        ["incident_id", "version"],
        ["incident_reviews.incident_id", "incident_reviews.version"],
        name="review_action_items_review_fk",
    ),
    Index("review_action_items_by_due", "state", "due"),
)
