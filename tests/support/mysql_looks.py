"""The probes of MySQL on a migrated database of the real server, each look held to its deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from include.health.observations import Code, Observation, Outcome, Probe
from include.health.probes.base import Probe as ProbeProtocol
from include.health.probes.warehouse import warehouse_probes
from include.settings import Settings
from include.warehouse.migrations import migrate
from tests.support.servers import MySQLServer

WINDOWS = (1, 5, 15)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ALL = (Probe.MYSQL_CANARY, Probe.MYSQL_LEDGER, Probe.MYSQL_SCHEMA, Probe.MYSQL_AUDIT, Probe.MYSQL_LOCKS)


class Looks:
    """The probes by name; each look must end by its deadline."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.probes: dict[Probe, ProbeProtocol] = {probe.name: probe for probe in warehouse_probes(settings)}

    def __call__(self, name: Probe = Probe.MYSQL_CANARY) -> Observation:
        probe, started = self.probes[name], time.monotonic()
        observation = probe.look()
        assert time.monotonic() - started < probe.deadline + 0.1
        return observation

    def verdict(self, name: Probe = Probe.MYSQL_CANARY) -> tuple[Outcome, Code]:
        observation = self(name)
        return observation.outcome, observation.code

    def good(self, name: Probe) -> Any:
        """The facts of a look that succeeds."""
        observation = self(name)
        assert observation.outcome is Outcome.OK, observation
        return observation.facts

    def close(self) -> None:
        for probe in self.probes.values():
            probe.close()


@pytest.fixture(name="settings")
def migrated_settings(fresh_database: Settings) -> Settings:
    """A migrated, empty database."""
    chosen = fresh_database.model_copy(update={"symbols": SYMBOLS, "windows": WINDOWS})
    migrate(chosen)
    return chosen


@pytest.fixture(name="looks")
def all_looks(settings: Settings) -> Iterator[Looks]:
    """All probes."""
    with closing(Looks(settings)) as found:
        yield found


def execute(
    mysql: MySQLServer, statement: str, database: str | None = None, arguments: tuple[object, ...] = ()
) -> None:
    with closing(mysql.connect(database)) as connection:
        connection.cursor().execute(statement, arguments)
