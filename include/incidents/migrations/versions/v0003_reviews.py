"""Versions of post-incident reviews, and the preventive actions that were agreed on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('approved', 'drafted')")


def upgrade() -> None:
    """Apply."""
    _reviews()
    _action_items()


def _reviews() -> None:
    op.create_table(
        "incident_reviews",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("facts", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        _moment("drafted_at"),
        sa.Column("answer", sa.Text),
        _moment("published_at", nullable=True),
        sa.Column("markdown", sa.Text, nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="incident_reviews_incident_id_fk"),
        sa.PrimaryKeyConstraint("incident_id", "version", name="incident_reviews_pk"),
    )
    op.create_index(
        "incident_reviews_one_open",
        "incident_reviews",
        ["incident_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _action_items() -> None:
    op.create_table(
        "review_action_items",
        sa.Column("incident_id", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("due", sa.String(10), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "version"],
            ["incident_reviews.incident_id", "incident_reviews.version"],
            name="review_action_items_review_fk",
        ),
        sa.PrimaryKeyConstraint("incident_id", "version", "number", name="review_action_items_pk"),
    )
    op.create_index("review_action_items_by_due", "review_action_items", ["state", "due"])


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    kind = sa.DateTime(timezone=True) if op.get_context().dialect.name == "postgresql" else sa.String(27)
    return sa.Column(name, kind, nullable=nullable)
