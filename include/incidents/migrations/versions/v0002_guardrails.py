"""Actions, leases, refusals that were told, and the history of the switches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSED = "the history of the switches is never changed or removed"
_RUNNING = sa.text("state = 'running'")
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SQLITE_GUARDS = (
    f"CREATE TRIGGER guardrail_switch_changes_no_update BEFORE UPDATE ON guardrail_switch_changes"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    f"CREATE TRIGGER guardrail_switch_changes_no_delete BEFORE DELETE ON guardrail_switch_changes"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    # INSERT OR REPLACE removes the old row without telling the trigger above
    f"CREATE TRIGGER guardrail_switch_changes_no_replace BEFORE INSERT ON guardrail_switch_changes"  # noqa: S608 - ours
    f" WHEN EXISTS (SELECT 1 FROM guardrail_switch_changes WHERE number = NEW.number OR key = NEW.key)"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
)
_POSTGRESQL_GUARDS = (
    f"CREATE FUNCTION guardrail_switch_changes_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$",
    "CREATE TRIGGER guardrail_switch_changes_no_change BEFORE UPDATE OR DELETE ON guardrail_switch_changes"
    " FOR EACH ROW EXECUTE FUNCTION guardrail_switch_changes_refuse()",
    "CREATE TRIGGER guardrail_switch_changes_no_truncate BEFORE TRUNCATE ON guardrail_switch_changes"
    " FOR EACH STATEMENT EXECUTE FUNCTION guardrail_switch_changes_refuse()",
)


def upgrade() -> None:
    """Apply."""
    _actions()
    _leases()
    _refusals()
    _switches()


def _actions() -> None:
    op.create_table(
        "guardrail_actions",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("scenario", sa.String(64), nullable=False),
        sa.Column("rung", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        *(_moment("started_at"), _moment("expires_at"), _moment("ended_at", nullable=True)),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="guardrail_actions_incident_id_fk"),
        sa.PrimaryKeyConstraint("id", name="guardrail_actions_pk"),
    )
    op.create_index(
        "guardrail_actions_one_running",
        "guardrail_actions",
        ["target"],
        unique=True,
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    )
    op.create_index("guardrail_actions_by_subject", "guardrail_actions", ["target", "rung", "started_at"])
    op.create_index("guardrail_actions_by_incident", "guardrail_actions", ["incident_id"])
    op.create_index("guardrail_actions_by_start", "guardrail_actions", ["started_at"])


def _leases() -> None:
    op.create_table(
        "guardrail_leases",
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        *(_moment("taken_at"), _moment("expires_at")),
        sa.Column("action_id", _NUMBER),
        sa.ForeignKeyConstraint(["action_id"], ["guardrail_actions.id"], name="guardrail_leases_action_id_fk"),
        sa.PrimaryKeyConstraint("service", name="guardrail_leases_pk"),
    )


def _refusals() -> None:
    op.create_table(
        "guardrail_refusals",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("rung", sa.String(64), nullable=False),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("refusal", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="guardrail_refusals_incident_id_fk"),
        sa.PrimaryKeyConstraint("incident_id", "run", "rung", "target", "refusal", name="guardrail_refusals_pk"),
    )


def _switches() -> None:
    op.create_table(
        "guardrail_switch_changes",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        _moment("at"),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("off", sa.Boolean, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _moment("until", nullable=True),
        sa.PrimaryKeyConstraint("number", name="guardrail_switch_changes_pk"),
        sa.UniqueConstraint("key", name="guardrail_switch_changes_key_key"),
    )
    op.create_index("guardrail_switch_changes_by_scope", "guardrail_switch_changes", ["scope", "number"])
    for guard in _POSTGRESQL_GUARDS if _dialect() == "postgresql" else _SQLITE_GUARDS:
        op.execute(guard)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    kind = sa.DateTime(timezone=True) if _dialect() == "postgresql" else sa.String(27)
    return sa.Column(name, kind, nullable=nullable)


def _dialect() -> str:
    return op.get_context().dialect.name
