"""Incidents, their timelines, symptoms and hand-overs, decisions, and what guards them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSED = "entries of a timeline are never changed or removed"
_OPEN = sa.text("state NOT IN ('closed', 'false_positive', 'in_review', 'merged', 'resolved')")
_SQLITE_GUARDS = (
    f"CREATE TRIGGER incident_timeline_no_update BEFORE UPDATE ON incident_timeline"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    f"CREATE TRIGGER incident_timeline_no_delete BEFORE DELETE ON incident_timeline"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    # INSERT OR REPLACE removes the old row without telling the trigger above
    f"CREATE TRIGGER incident_timeline_no_replace BEFORE INSERT ON incident_timeline"  # noqa: S608 - our constants
    f" WHEN EXISTS (SELECT 1 FROM incident_timeline WHERE incident_id = NEW.incident_id AND number = NEW.number)"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)
_POSTGRESQL_GUARDS = (
    f"CREATE FUNCTION incident_timeline_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$",
    "CREATE TRIGGER incident_timeline_no_change BEFORE UPDATE OR DELETE ON incident_timeline"
    " FOR EACH ROW EXECUTE FUNCTION incident_timeline_refuse()",
    "CREATE TRIGGER incident_timeline_no_truncate BEFORE TRUNCATE ON incident_timeline"
    " FOR EACH STATEMENT EXECUTE FUNCTION incident_timeline_refuse()",
)


def upgrade() -> None:
    """Apply."""
    _incidents()
    _timeline()
    _attachments()
    _decisions()


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    kind = sa.DateTime(timezone=True) if _dialect() == "postgresql" else sa.String(27)
    return sa.Column(name, kind, nullable=nullable)


def _incidents() -> None:
    op.create_table(
        "incident_counters",
        sa.Column("year", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("year", name="incident_counters_pk"),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("severity", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("reported_by", sa.Text, nullable=False),
        *(_moment("onset_at"), _moment("opened_at"), _moment("updated_at")),
        sa.Column("version", sa.Integer, nullable=False),
        _moment("resolved_at", nullable=True),
        sa.Column("merged_into", sa.String(20)),
        sa.Column("reopened", sa.Integer, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.CheckConstraint("severity BETWEEN 1 AND 4", name="severity"),
        sa.ForeignKeyConstraint(["merged_into"], ["incidents.id"], name="incidents_merged_into_fk"),
        sa.PrimaryKeyConstraint("id", name="incidents_pk"),
    )
    op.create_index(
        "incidents_one_open",
        "incidents",
        ["scenario", "target"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("incidents_by_subject", "incidents", ["scenario", "target", "opened_at"])
    op.create_index("incidents_by_opening", "incidents", ["opened_at"])


def _timeline() -> None:
    op.create_table(
        "incident_timeline",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        *(_moment("event_at"), _moment("recorded_at")),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="incident_timeline_incident_id_fk"),
        sa.PrimaryKeyConstraint("incident_id", "number", name="incident_timeline_pk"),
    )
    for guard in _POSTGRESQL_GUARDS if _dialect() == "postgresql" else _SQLITE_GUARDS:
        op.execute(guard)


def _attachments() -> None:
    op.create_table(
        "incident_symptoms",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("symptom", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _moment("attached_at"),
        _moment("cleared_at", nullable=True),
        _moment("deadline_at", nullable=True),
        sa.Column("residual", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="incident_symptoms_incident_id_fk"),
        sa.PrimaryKeyConstraint("incident_id", "scenario", "target", name="incident_symptoms_pk"),
    )
    op.create_table(
        "incident_hand_overs",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("occurrence", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("health_run", sa.Text, nullable=False),
        sa.Column("remediation", sa.Text, nullable=False),
        _moment("at"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="incident_hand_overs_incident_id_fk"),
        sa.PrimaryKeyConstraint("incident_id", "scenario", "occurrence", name="incident_hand_overs_pk"),
    )


def _decisions() -> None:
    op.create_table(
        "incident_decisions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        _moment("at"),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("incident_id", sa.String(20)),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="incident_decisions_pk"),
        sa.UniqueConstraint("key", name="incident_decisions_key_key"),
    )
    op.create_index("incident_decisions_by_moment", "incident_decisions", ["at"])
    op.create_index("incident_decisions_by_incident", "incident_decisions", ["incident_id", "at"])


def _dialect() -> str:
    return op.get_context().dialect.name
