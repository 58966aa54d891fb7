"""``MYSQL_CANARY``: log in and write, as the pipeline does, into every table that it writes to."""

from __future__ import annotations

import os

from include.health.observations import Facts, Observation, Outcome, Probe, RoundTripFacts
from include.health.probes.mysql_link import CONNECT_SECONDS, STATEMENT_SECONDS, Link, Session
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings
from include.warehouse.mysql_store import AVERAGES

SERVICE = "health-canary"

_BEAT = (
    "INSERT INTO heartbeats (service, beat_at, started_at, pid)"
    " VALUES (%s, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), %s) ON DUPLICATE KEY UPDATE"
    " started_at = IF(pid = %s, started_at, UTC_TIMESTAMP(3)), pid = %s, beat_at = UTC_TIMESTAMP(3)"
)


def _nothing_into(table: str, columns: str = "") -> str:
    """Opens, locks and checks a table for writing like any insert, and writes no row."""
    return f"INSERT INTO {table}{f' ({columns})' if columns else ''} SELECT {columns or '*'} FROM {table} WHERE FALSE"  # noqa: S608 - names from code


_REHEARSALS = (
    _nothing_into("moving_averages", ", ".join(AVERAGES.columns)),  # as it is written: what people added counts too
    *(_nothing_into(table) for table in ("trade_minutes", "trade_coverage", "batch_ledger")),
)


class MysqlCanaryProbe:
    """A new connection each time: rights, passwords and free connections count when one logs in.

    The row in ``heartbeats`` is really written; the product's tables are opened for writing without writing, so that a
    lock, a lost right, a missing table or column shows although nothing is traded.
    """

    name = Probe.MYSQL_CANARY
    every = 1.0
    deadline = CONNECT_SECONDS + STATEMENT_SECONDS
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._link = Link(settings, self.deadline, keep=False, clock=self._clock)

    def look(self) -> Observation:
        """``RoundTripFacts``, or the class of the error."""
        started = self._clock.monotonic()

        def write(session: Session) -> Facts:
            pid = os.getpid()
            session.run(_BEAT, SERVICE, pid, pid, pid)
            for statement in _REHEARSALS:
                session.run(statement)
            return RoundTripFacts(seconds=self._clock.monotonic() - started)

        return self._link.ask(self.name, write)

    def close(self) -> None:
        """See ``Probe``."""
        self._link.close()
