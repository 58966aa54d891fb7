"""``MYSQL_SCHEMA``: the tables against the migrations."""

from __future__ import annotations

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from include.health.observations import Code, Observation, Outcome, Probe, SchemaFacts
from include.health.probes.base import blind, seen_well
from include.health.probes.mysql_link import CONNECT_SECONDS, STATEMENT_SECONDS, Link, failure
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings
from include.warehouse.migrations import nothing_applied, problems_of


class MysqlSchemaProbe:
    """Compares on a connection of its own, with the probes' short deadlines."""

    name = Probe.MYSQL_SCHEMA
    every = 10.0
    deadline = CONNECT_SECONDS + 2.0 * STATEMENT_SECONDS
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._has_password = bool(settings.mysql_password.get_secret_value())
        connect = Link(settings, self.deadline, keep=False).connect
        self._engine = create_engine("mysql+mysqlconnector://", creator=connect, poolclass=NullPool)

    def look(self) -> Observation:
        """``SchemaFacts``; an empty database, before the first migration, says nothing yet."""
        started = self._clock.monotonic()
        try:
            with self._engine.connect() as connection:
                if nothing_applied(connection):
                    return blind(self.name, Code.NOT_AVAILABLE, "the tables are not made yet")
                return seen_well(self.name, SchemaFacts(problems=tuple(problems_of(connection))))
        except DBAPIError as error:
            spent = self._clock.monotonic() - started
            return failure(self.name, error, spent, has_password=self._has_password)

    def close(self) -> None:
        """See ``Probe``."""
        self._engine.dispose()
