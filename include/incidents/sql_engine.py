"""Connections to the store's database, with the sessions' agreements: SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

BUSY_SECONDS = 5.0
_READING = "incidents_reading"


def create_store_engine(url: str | URL, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """A thread-safe pool for the database; ``dispose()`` it at the end. Nothing is connected yet.

    ``busy_seconds``: the longest wait for SQLite's single writer, or for a lock in PostgreSQL.

    ``sqlite:///<path>`` or ``postgresql://…``. Raises :class:`ValueError` for any other.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, busy_seconds)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed, busy_seconds)
    raise ValueError(f"the incident store is SQLite or PostgreSQL, not {parsed.get_backend_name()}")


def reading(engine: Engine) -> Connection:
    """A connection whose transaction sees one moment of the database, and takes no write lock."""
    options: dict[str, Any] = {_READING: True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    connection = engine.connect()
    try:
        return connection.execution_options(**options)
    except BaseException:
        connection.close()
        raise


def _postgresql(url: URL, busy_seconds: float) -> Engine:
    milliseconds = round(busy_seconds * 1000)
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",  # whatever is changed is locked first, and read as it is then
        pool_timeout=busy_seconds,
        connect_args={
            "application_name": "incident-store",
            "connect_timeout": 5,
            "options": f"-c timezone=UTC -c lock_timeout={milliseconds} -c statement_timeout={2 * milliseconds}",
            # A server that is gone without a word is noticed by the network, since it no longer counts its own time.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )


def _sqlite(url: URL, busy_seconds: float) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("the incident store needs a file; in memory there is MemoryIncidentStore")
    path = Path(url.database)
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": busy_seconds},
        pool_timeout=busy_seconds,
    )

    @event.listens_for(engine, "do_connect")
    def _make_private(*_: Any) -> None:
        """SQLite gives its other files the mode of the first.

        A file that is there is not opened: to close it would give back every lock that this process has on it, another
        process could then take the write-ahead log away, and our connections would see an old state for ever.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)

    @event.listens_for(engine, "connect")
    def _agree(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; we do, below
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        """A writer takes the lock at once: one that reads first and then wants to write could only fail."""
        mode = "DEFERRED" if connection.get_execution_options().get(_READING) else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
