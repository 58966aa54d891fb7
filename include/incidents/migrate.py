"""Bringing a database to the tables that this version of the product uses."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from include.incidents.errors import StoreVersionError
from include.incidents.sql_engine import create_store_engine, reading
from include.incidents.tables import VERSION_TABLE

NEWEST = "0003"  # the newest migration; kept here so that a look at a database in order need not load Alembic
_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x1C1D_E275  # any number that nobody else in the database takes an advisory lock by


def migrate(url: str) -> None:
    """Bring the database at ``url`` to the newest tables. Any number of processes may do so at once, and again.

    Raises :class:`StoreVersionError` if a newer product made it, :class:`sqlalchemy.exc.DBAPIError` as the database
    does.
    """
    engine = create_store_engine(url)
    try:
        migrate_engine(engine)
    finally:
        engine.dispose()


def migrate_engine(engine: Engine) -> None:
    """See :func:`migrate`. Costs one look when nothing is to be done."""
    with reading(engine) as connection:
        current = _version(connection)
    if current == NEWEST:
        return
    with engine.begin() as connection:  # SQLite: begun with the write lock
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _upgrade(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant
    return str(found) if found is not None else None


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreVersionError(
            f"The incident store's tables have version {_version(connection)}, this product knows up to {NEWEST}:"
            " a newer product made them. Update the product, or name another database."
        ) from error
