"""The guardrails in the incident store's database: SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import text

from include.guardrails.base import BaseGuardrails
from include.guardrails.book import GuardBook
from include.guardrails.settling import Alive
from include.guardrails.sql_book import SqlGuardBook
from include.incidents.sql_book import SqlBook
from include.incidents.sql_store import PATIENCE_SECONDS, SqlIncidentStore
from include.runtime.clock import Clock, SystemClock

T = TypeVar("T")
_LOCK = 0x6A1D_2A11  # any number that nobody else in the database takes an advisory lock by


class SqlGuardrails(BaseGuardrails):
    """See :class:`~include.guardrails.guardrails.Guardrails`.

    Connections, migration, and patience with errors that may pass are those of
    :class:`~include.incidents.sql_store.SqlIncidentStore`. Usable after a fork.
    """

    def __init__(
        self,
        url: str,
        clock: Clock | None = None,
        alive: Alive | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        clock = clock or SystemClock()
        super().__init__(clock, alive)
        self._store = SqlIncidentStore(url, clock, patience=patience)

    def close(self) -> None:
        """See the protocol."""
        self._store.close()

    def _do(self, work: Callable[[GuardBook], T], *, write: bool) -> T:
        def on_book(incidents: SqlBook) -> T:
            connection = incidents.connection
            if write and connection.dialect.name == "postgresql":
                # Budgets are counted over rows that are not there yet, so locking rows is not enough. SQLite has one
                # writer anyway. It is taken before any row, so nobody waits for it who has what we need.
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            return work(SqlGuardBook(incidents, connection))

        return self._store.within(on_book, write=write)
