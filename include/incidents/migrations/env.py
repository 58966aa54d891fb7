"""How Alembic applies the migrations: on the connection and within the transaction of ``include.incidents.migrate``."""

from __future__ import annotations

from alembic import context

from include.incidents.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite's too, since we begin its transactions ourselves
    render_as_batch=True,
)
context.run_migrations()
