"""The store's tables, as the newest migration leaves them (a test compares the two)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TypeEngine

from include.incidents.entry_data import moment_text
from include.incidents.model import CLOSED_STATES

VERSION_TABLE = "crypto_incident_response_version"  # of the migrations; the database may be shared with others
ONE_OPEN = "incidents_one_open"

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)
_CLOSED = ", ".join(f"'{state.value}'" for state in sorted(CLOSED_STATES))
_OPEN = text(f"state NOT IN ({_CLOSED})")


class Moment(TypeDecorator[datetime]):
    """An aware moment in UTC to the microsecond: PostgreSQL's own type; in SQLite ISO 8601 text, which sorts."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """See :class:`TypeDecorator`."""
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """See :class:`TypeDecorator`."""
        return value if value is None or dialect.name == "postgresql" else moment_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """See :class:`TypeDecorator`. Raises :class:`ValueError` for text that is no moment."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


COUNTERS = Table(
    "incident_counters",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("last", Integer, nullable=False),
)
INCIDENTS = Table(
    "incidents",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("scenario", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("state", String(32), nullable=False),
    Column("summary", Text, nullable=False),
    Column("reported_by", Text, nullable=False),
    Column("onset_at", Moment, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("resolved_at", Moment),
    Column("merged_into", String(20), ForeignKey("incidents.id")),
    Column("reopened", Integer, nullable=False),
    Column("entries", Integer, nullable=False),  # length of the timeline, and …
    Column("head", String(64), nullable=False),  # … hash of its last entry: so that losing its end shows
    CheckConstraint("severity BETWEEN 1 AND 4", name="severity"),
    Index(ONE_OPEN, "scenario", "target", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("incidents_by_subject", "scenario", "target", "opened_at"),
    Index("incidents_by_opening", "opened_at"),
)
TIMELINE = Table(
    "incident_timeline",
    metadata,
    Column("incident_id", String(20), ForeignKey("incidents.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("event_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("data", Text, nullable=False),  # the very JSON text that was hashed; a JSON type would rewrite it
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
SYMPTOMS = Table(
    "incident_symptoms",
    metadata,
    Column("incident_id", String(20), ForeignKey("incidents.id"), primary_key=True),
    Column("scenario", String(64), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("symptom", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attached_at", Moment, nullable=False),
    Column("cleared_at", Moment),
    Column("deadline_at", Moment),
    Column("residual", Boolean, nullable=False),
)
HAND_OVERS = Table(
    "incident_hand_overs",
    metadata,
    Column("incident_id", String(20), ForeignKey("incidents.id"), primary_key=True),
    Column("scenario", String(64), primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("health_run", Text, nullable=False),
    Column("remediation", Text, nullable=False),
    Column("at", Moment, nullable=False),
)
DECISIONS = Table(
    "incident_decisions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("at", Moment, nullable=False),
    Column("scenario", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("incident_id", String(20)),
    Column("data", Text, nullable=False),
    Index("incident_decisions_by_moment", "at"),
    Index("incident_decisions_by_incident", "incident_id", "at"),
)
