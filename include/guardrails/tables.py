"""The guardrails' tables in the incident store's database, as the newest migration leaves them (a test compares)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from include.guardrails.model import ActionState
from include.incidents.tables import Moment, metadata

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
_RUNNING = text(f"state = '{ActionState.RUNNING.value}'")

ACTIONS = Table(
    "guardrail_actions",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("incident_id", String(20), ForeignKey("incidents.id"), nullable=False),
    Column("scenario", String(64), nullable=False),
    Column("rung", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("text", Text, nullable=False),
    Column("services", Text, nullable=False),  # JSON list
    Column("data", Text, nullable=False),  # JSON object
    # whatever the program does: of two that begin on one target the database takes one
    Index("guardrail_actions_one_running", "target", unique=True, sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    Index("guardrail_actions_by_subject", "target", "rung", "started_at"),
    Index("guardrail_actions_by_incident", "incident_id"),
    Index("guardrail_actions_by_start", "started_at"),
)
LEASES = Table(
    "guardrail_leases",
    metadata,
    Column("service", String(64), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("action_id", _NUMBER, ForeignKey("guardrail_actions.id")),
)
REFUSALS = Table(  # which were told already; what they said is in the timeline
    "guardrail_refusals",
    metadata,
    Column("incident_id", String(20), ForeignKey("incidents.id"), primary_key=True),
    Column("run", Text, primary_key=True),
    Column("rung", String(64), primary_key=True),
    Column("target", String(64), primary_key=True),
    Column("refusal", String(32), primary_key=True),
)
SWITCH_CHANGES = Table(  # append-only: triggers refuse everything else
    "guardrail_switch_changes",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),
    Column("at", Moment, nullable=False),
    Column("scope", String(64), nullable=False),
    Column("off", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Moment),
    Index("guardrail_switch_changes_by_scope", "scope", "number"),
)
