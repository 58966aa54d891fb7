"""Ordered, checksummed migrations, and the check that the tables still are what they made.

A migration is a file ``sql/NNNN_name.sql``. It is applied once, under an advisory lock, and recorded in
``schema_migrations`` with its checksum and the schema that it left. DDL commits by itself on MySQL, so every statement
must be safe to repeat (``IF NOT EXISTS``): a migration cut short is simply run again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files

from sqlalchemy import Connection, Engine

from include.settings import Settings
from include.warehouse.dialect import LONGEST_LOCK_NAME
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.errors import MigrationError
from include.warehouse.schema import MIGRATIONS_TABLE, Snapshot, differences, read_snapshot

_LOCK_SECONDS = 30
_STATEMENT_SECONDS = 600  # changing a large table takes its time

_CREATE = f"""CREATE TABLE IF NOT EXISTS {MIGRATIONS_TABLE} (
  version INT NOT NULL,
  name VARCHAR(100) NOT NULL,
  checksum CHAR(64) NOT NULL,
  schema_snapshot MEDIUMTEXT NOT NULL,
  applied_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (version)
) ENGINE = InnoDB"""


@dataclass(frozen=True)
class Migration:
    """One file of SQL."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements, without comments."""
        bare = re.sub(r"^--.*$", "", self.sql, flags=re.MULTILINE)
        return [statement.strip() for statement in bare.split(";\n") if statement.strip()]


@dataclass(frozen=True)
class MigrationState:
    """One migration and whether it is applied; ``problem`` says what is wrong with it."""

    version: int
    name: str
    applied: bool
    problem: str | None = None


def known_migrations() -> list[Migration]:
    """The migrations of this release, in order."""
    found = []
    for file in files("include.warehouse").joinpath("sql").iterdir():
        if match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(settings: Settings) -> list[str]:
    """Apply what is missing and return the names applied; quick and harmless when nothing is.

    Raises :class:`MigrationError` when an applied migration was changed, is newer than this release, or the lock is
    not to be had, and :class:`sqlalchemy.exc.DBAPIError` when the database cannot be reached or refuses.
    """
    with _engine(settings) as engine, engine.connect() as connection, _locked(connection):
        connection.exec_driver_sql(_CREATE)
        states = _states(connection)
        if problems := [state.problem for state in states if state.problem]:
            raise MigrationError("; ".join(problems))
        applied = {state.version for state in states if state.applied}
        return [_apply(connection, m) for m in known_migrations() if m.version not in applied]


def migration_states(settings: Settings) -> list[MigrationState]:
    """Every migration known or applied, in order. Raises :class:`sqlalchemy.exc.DBAPIError`."""
    with _engine(settings) as engine, engine.connect() as connection:
        return _states(connection)


def schema_problems(settings: Settings) -> list[str]:
    """How the tables differ from what the migrations made, in words; empty when all is well.

    Raises :class:`sqlalchemy.exc.DBAPIError` when the database cannot be asked.
    """
    with _engine(settings) as engine, engine.connect() as connection:
        return problems_of(connection)


def problems_of(connection: Connection) -> list[str]:
    """:func:`schema_problems`, asked over a connection that is there already."""
    states = _states(connection)
    if problems := [state.problem for state in states if state.problem]:
        return problems
    if missing := [f"{s.version:04d}_{s.name}" for s in states if not s.applied]:
        return [f"migration {name} is not applied (python -m include.warehouse migrate)" for name in missing]
    text = connection.exec_driver_sql(
        f"SELECT schema_snapshot FROM {MIGRATIONS_TABLE} ORDER BY version DESC LIMIT 1"  # noqa: S608
    ).scalar_one()
    expected: Snapshot = json.loads(text)
    return differences(expected, read_snapshot(connection))


def nothing_applied(connection: Connection) -> bool:
    """Whether the database is still as it was before the first migration."""
    return not any(state.applied for state in _states(connection))


def _states(connection: Connection) -> list[MigrationState]:
    recorded = _recorded(connection)
    states = []
    for migration in known_migrations():
        label = f"{migration.version:04d}_{migration.name}"
        checksum = recorded.pop(migration.version, (None, None))[1]
        changed = checksum is not None and checksum != migration.checksum
        problem = f"migration {label} was changed after it was applied" if changed else None
        states.append(MigrationState(migration.version, migration.name, checksum is not None, problem))
    for version, (name, _) in sorted(recorded.items()):
        problem = f"migration {version:04d}_{name} is applied, but this release does not know it"
        states.append(MigrationState(version, str(name), True, problem))
    return states


def _recorded(connection: Connection) -> dict[int, tuple[str | None, str | None]]:
    """Name and checksum of each applied migration."""
    present = connection.exec_driver_sql(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
        (MIGRATIONS_TABLE,),
    ).first()
    if present is None:
        return {}
    rows = connection.exec_driver_sql(f"SELECT version, name, checksum FROM {MIGRATIONS_TABLE}")  # noqa: S608
    return {version: (name, checksum) for version, name, checksum in rows}


def _apply(connection: Connection, migration: Migration) -> str:
    for statement in migration.statements:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        f"INSERT INTO {MIGRATIONS_TABLE} (version, name, checksum, schema_snapshot) VALUES (%s, %s, %s, %s)",  # noqa: S608
        (migration.version, migration.name, migration.checksum, json.dumps(read_snapshot(connection), sort_keys=True)),
    )
    connection.commit()
    return f"{migration.version:04d}_{migration.name}"


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    engine = create_warehouse_engine(settings, _STATEMENT_SECONDS)
    with closing(_Disposer(engine)):
        yield engine


class _Disposer:
    def __init__(self, engine: Engine) -> None:
        self.close = engine.dispose


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """Two starting processes must not migrate at the same time. The lock ends with the connection at the latest."""
    database = str(connection.exec_driver_sql("SELECT DATABASE()").scalar_one())
    name = f"migrate.{database}"
    if len(name) > LONGEST_LOCK_NAME:
        name = f"migrate.{hashlib.sha1(database.encode(), usedforsecurity=False).hexdigest()}"
    if connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, _LOCK_SECONDS)).scalar() != 1:
        raise MigrationError(f"another process has held the lock {name} for {_LOCK_SECONDS} s")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("SELECT RELEASE_LOCK(%s)", (name,))
