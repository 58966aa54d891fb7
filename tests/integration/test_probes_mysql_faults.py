"""A MySQL that is away, refuses, has lost tables or has no room: what the probes say, and when they see it again."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from mysql.connector.errors import Error as driver_error  # noqa: N813 - "mysql" is the server here
from pydantic import SecretStr

from include.health.observations import Code, HostFacts, LogFacts, Outcome, Probe, SchemaFacts
from include.health.probes.host import HostProbe, watched_folders
from include.health.probes.logs import LogsProbe
from include.settings import Settings
from include.stack.isolation import isolated_settings
from include.warehouse.engine import driver_connection
from include.warehouse.migrations import migrate
from tests.support.mysql_looks import (
    ALL,
    Looks,
    all_looks,  # noqa: F401 - the fixture looks
    execute,
    migrated_settings,  # noqa: F401 - the fixture settings
)
from tests.support.servers import MySQLServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]


@contextmanager
def changed(mysql: MySQLServer, change: str, back: str) -> Iterator[None]:
    """The server is shared: whatever happens, it is as before."""
    execute(mysql, change)
    try:
        yield
    finally:
        execute(mysql, back)


# --- a server that is away -----------------------------------------------------------------------------------------
def test_a_killed_server_is_refused_at_once_and_seen_again_as_soon_as_it_is_back(
    mysql: MySQLServer, looks: Looks
) -> None:
    for name in ALL:
        looks.good(name)
    mysql.kill()
    for name in ALL:
        started = time.monotonic()
        assert looks.verdict(name) == (Outcome.FAILED, Code.REFUSED)
        assert time.monotonic() - started < 0.5
    mysql.start()
    started = time.monotonic()
    for name in ALL:
        looks.good(name)
    assert time.monotonic() - started < 3


def test_a_restart_between_two_looks_goes_unnoticed_on_a_kept_connection(mysql: MySQLServer, looks: Looks) -> None:
    looks.good(Probe.MYSQL_LEDGER)
    mysql.stop()
    mysql.start()
    looks.good(Probe.MYSQL_LEDGER)


def test_a_hung_server_times_out_within_the_deadline_and_does_not_hold_up_others(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    for name in ALL:
        looks.good(name)
    gaps, done = [0.0], threading.Event()

    def tick() -> None:  # a driver that waits without releasing the interpreter would hold up the whole process
        last = time.monotonic()
        while not done.wait(0.01):
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticker = threading.Thread(target=tick)
    ticker.start()
    mysql.suspend()
    try:
        for _ in range(2):
            for name in ALL:
                assert looks.verdict(name) == (Outcome.FAILED, Code.TIMEOUT)
        looks.close()  # at once
    finally:
        mysql.resume()
        done.set()
        ticker.join()
    started = time.monotonic()
    for name in ALL:
        looks.good(name)
    assert time.monotonic() - started < 3
    assert max(gaps) < 0.5
    execute(mysql, "ALTER TABLE heartbeats COMMENT = 'no transaction was left open'", settings.mysql_database)


# --- a server that refuses -----------------------------------------------------------------------------------------
def test_rights_that_were_taken_away(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    looks.good(Probe.MYSQL_CANARY)
    account = f"'{settings.mysql_user}'@'127.0.0.1'"
    execute(mysql, f"REVOKE UPDATE ON `{settings.mysql_database}`.* FROM {account}")
    assert looks.verdict() == (Outcome.FAILED, Code.CREDENTIALS)
    execute(mysql, f"REVOKE ALL PRIVILEGES ON `{settings.mysql_database}`.* FROM {account}")
    for name in (Probe.MYSQL_CANARY, Probe.MYSQL_SCHEMA, Probe.MYSQL_AUDIT):
        assert looks.verdict(name) == (Outcome.FAILED, Code.CREDENTIALS)
    execute(mysql, f"GRANT ALL PRIVILEGES ON `{settings.mysql_database}`.* TO {account}")
    looks.good(Probe.MYSQL_CANARY)


def test_a_changed_password_shows_on_the_next_look(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    looks.good(Probe.MYSQL_CANARY)
    account, password = f"'{settings.mysql_user}'@'127.0.0.1'", settings.mysql_password.get_secret_value()
    with changed(
        mysql, f"ALTER USER {account} IDENTIFIED BY 'another'", f"ALTER USER {account} IDENTIFIED BY '{password}'"
    ):
        observation = looks()
        assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.CREDENTIALS, 1045)
        assert password not in (observation.error or "")
    looks.good(Probe.MYSQL_CANARY)


def test_without_a_password_the_probe_is_blind(settings: Settings) -> None:
    with closing(Looks(settings.model_copy(update={"mysql_password": SecretStr("")}))) as looks:
        for name in ALL:
            assert looks.verdict(name) == (Outcome.BLIND, Code.OWN_CREDENTIALS)


def test_a_server_that_takes_no_writes(mysql: MySQLServer, looks: Looks) -> None:
    with changed(mysql, "SET GLOBAL read_only = ON", "SET GLOBAL read_only = OFF"):
        observation = looks()
        assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.READ_ONLY, 1290)
        looks.good(Probe.MYSQL_LEDGER)
    looks.good(Probe.MYSQL_CANARY)


def test_no_connection_is_left_but_what_is_connected_still_sees(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    looks.good(Probe.MYSQL_LEDGER)
    held = []
    with changed(mysql, "SET GLOBAL max_connections = 10", "SET GLOBAL max_connections = DEFAULT"):
        try:
            with suppress(driver_error):
                while len(held) < 12:
                    held.append(driver_connection(settings))
            observation = looks()
            assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.CAPACITY, 1040)
            looks.good(Probe.MYSQL_LEDGER)
        finally:
            for connection in held:
                connection.close()
    wait_for(lambda: looks.verdict() == (Outcome.OK, Code.OK), 5)


def test_an_account_that_may_not_connect_so_often(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    looks.good(Probe.MYSQL_LEDGER)
    limit = f"ALTER USER '{settings.mysql_user}'@'127.0.0.1' WITH MAX_USER_CONNECTIONS"
    with changed(mysql, f"{limit} 1", f"{limit} 0"), closing(driver_connection(settings)):
        assert looks.verdict() == (Outcome.FAILED, Code.CAPACITY)
    looks.good(Probe.MYSQL_CANARY)


# --- tables that are not what they were ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("damage", "problem", "canary"),
    [
        ("ALTER TABLE moving_averages DROP COLUMN vwap", "column moving_averages.vwap is missing", Code.SCHEMA),
        ("DROP TABLE trade_minutes", "table trade_minutes is missing", Code.SCHEMA),
        ("ALTER TABLE moving_averages DROP KEY by_finality", "index moving_averages.by_finality is missing", Code.OK),
    ],
)
def test_what_was_dropped_is_named(mysql: MySQLServer, looks: Looks, damage: str, problem: str, canary: Code) -> None:
    execute(mysql, damage, looks.settings.mysql_database)
    assert looks.good(Probe.MYSQL_SCHEMA) == SchemaFacts(problems=(problem,))
    assert looks().code is canary


def test_a_lost_database(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    execute(mysql, f"DROP DATABASE `{settings.mysql_database}`")
    assert looks.verdict() == (Outcome.FAILED, Code.SCHEMA)


# --- a full disk ---------------------------------------------------------------------------------------------------
def run_as_root(name: str, *arguments: str) -> bool:
    command = shutil.which(name)
    return command is not None and subprocess.run([command, *arguments], check=False).returncode == 0


@pytest.fixture
def on_small_disk() -> Iterator[MySQLServer]:
    """A server of its own, whose data lie in a file system of 300 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with isolated_settings() as chosen:
        chosen.data_dir.mkdir(parents=True)
        if not run_as_root("mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(chosen.data_dir)):
            pytest.skip("no file system can be mounted here")
        server = MySQLServer(chosen)
        try:
            server.start()
            migrate(chosen)
            yield server
        finally:
            server.stop()
            assert run_as_root("umount", "-l", str(chosen.data_dir))


@pytest.mark.usefixtures("_mysql")  # the server's files are there
def test_a_full_disk_shows_before_and_when_rows_need_room(on_small_disk: MySQLServer) -> None:
    chosen = on_small_disk.settings
    host, logs = HostProbe(watched_folders(chosen), lambda: ()), LogsProbe(chosen.log_dir, ["mysql"])
    logs.look()
    assert _free_share(host) > 0.2
    with (chosen.data_dir / "filler").open("wb") as filler, suppress(OSError):
        while True:
            filler.write(bytes(1 << 20))
    assert _free_share(host) < 0.01
    with suppress(driver_error), closing(driver_connection(chosen, autocommit=True, read_timeout=2)) as writer:
        columns = "NULL, %s, 1, '', '', REPEAT('x', 15000), '', 0, 0, 0, 0, 0, 0, NULL, '', NOW()"
        grow = f"INSERT INTO batch_ledger SELECT {columns}"
        for number in range(1000):
            writer.cursor().execute(grow, (number,))

    def told() -> bool:
        facts = logs.look().facts
        return isinstance(facts, LogFacts) and "error 28" in facts.newest.get("mysql", "")

    wait_for(told, 10, "the server's own log tells of it")


def _free_share(host: HostProbe) -> float:
    facts = host.look().facts
    assert isinstance(facts, HostFacts)
    return facts.disk_free_share["mysql"]
