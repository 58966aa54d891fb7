"""The probes of MySQL on the real server, in good and in bad times."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from mysql.connector.errors import Error as driver_error  # noqa: N813 - "mysql" is the server here
from pydantic import SecretStr
from sqlalchemy import Engine

from include.health.observations import (
    AuditFacts,
    Code,
    HostFacts,
    LocksFacts,
    LogFacts,
    Observation,
    Outcome,
    Probe,
    RoundTripFacts,
    RowsFacts,
    SchemaFacts,
)
from include.health.probes.base import Probe as ProbeProtocol
from include.health.probes.host import HostProbe, watched_folders
from include.health.probes.logs import LogsProbe
from include.health.probes.mysql_audit import MysqlAuditProbe
from include.health.probes.mysql_canary import SERVICE
from include.health.probes.warehouse import warehouse_probes
from include.runtime.clock import SystemClock
from include.settings import Settings
from include.stack.isolation import isolated_settings
from include.warehouse.dialect import MARIADB, MYSQL
from include.warehouse.engine import create_warehouse_engine, driver_connection
from include.warehouse.migrations import migrate
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.reader import WarehouseReader
from include.warehouse.sink import BatchSink
from include.warehouse.transaction import TransactionRunner
from tests.support.genuine_mysql import GenuineMySQLServer
from tests.support.reference import ReferenceTrade
from tests.support.servers import MySQLServer
from tests.support.trade_groups import Feeder, trade
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]

WINDOWS = (1, 5, 15)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ASKED_ANEW = 0.3  # the server repeats its last answer about locks to whoever asks again within 0.1 s
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


@pytest.fixture
def settings(fresh_database: Settings) -> Settings:
    """A migrated, empty database."""
    chosen = fresh_database.model_copy(update={"symbols": SYMBOLS, "windows": WINDOWS})
    migrate(chosen)
    return chosen


@pytest.fixture
def looks(settings: Settings) -> Iterator[Looks]:
    """All probes."""
    with closing(Looks(settings)) as found:
        yield found


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """A writer's pool."""
    pool = create_warehouse_engine(settings)
    yield pool
    pool.dispose()


def feeder(engine: Engine, lengths: tuple[int, ...] = WINDOWS) -> Feeder:
    runner = TransactionRunner(engine, retry_seconds=30)
    sink = BatchSink(lengths, 10_000, "test", SystemClock())
    return Feeder(sink, lambda work: runner.run(lambda connection: work(MySQLStore(connection))))


def trades(first: int, count: int, minute: float, per_minute: int = 10) -> list[ReferenceTrade]:
    return [
        trade(first + i, minute=minute + i / per_minute, price=f"{100 + i % 7}.5", qty="0.3", symbol=symbol)
        for symbol in SYMBOLS
        for i in range(count)
    ]


def execute(
    mysql: MySQLServer, statement: str, database: str | None = None, arguments: tuple[object, ...] = ()
) -> None:
    with closing(mysql.connect(database)) as connection:
        connection.cursor().execute(statement, arguments)


@contextmanager
def changed(mysql: MySQLServer, change: str, back: str) -> Iterator[None]:
    """The server is shared: whatever happens, it is as before."""
    execute(mysql, change)
    try:
        yield
    finally:
        execute(mysql, back)


# --- good times ----------------------------------------------------------------------------------------------------
def test_a_healthy_server_gives_its_figures(settings: Settings, looks: Looks, engine: Engine) -> None:
    empty = looks.good(Probe.MYSQL_LEDGER)
    assert empty == RowsFacts(counted={}, batches=0, batch_age_seconds=None, row_age_seconds=None, offsets={})
    assert looks.good(Probe.MYSQL_AUDIT) == AuditFacts(checked=0, missing=())
    feed = feeder(engine)
    feed.feed(trades(1000, 25, 0))
    first = looks.good(Probe.MYSQL_LEDGER)
    feed.feed(trades(1025, 5, 2.5))
    second = looks.good(Probe.MYSQL_LEDGER)
    assert first.counted == dict.fromkeys(SYMBOLS, 1024)
    assert second.counted == dict.fromkeys(SYMBOLS, 1029)
    assert second.batches > first.batches
    assert 0 <= second.batch_age_seconds < 5
    assert 0 <= second.row_age_seconds < 5
    assert second.offsets == {0: 2}
    assert looks.good(Probe.MYSQL_SCHEMA) == SchemaFacts(problems=())
    audit = looks.good(Probe.MYSQL_AUDIT)
    assert audit.missing == ()
    assert audit.checked > 2 * len(SYMBOLS)
    canary = looks.good(Probe.MYSQL_CANARY)
    assert isinstance(canary, RoundTripFacts)
    assert 0 < canary.seconds < 1
    with closing(WarehouseReader(settings)) as reader:
        assert reader.heartbeat(SERVICE) is not None
        assert reader.counts().batch_ledger == 2  # the rehearsals write nothing


def test_ages_are_told_by_the_servers_clock(
    mysql: MySQLServer, settings: Settings, looks: Looks, engine: Engine
) -> None:
    feeder(engine).feed(trades(1000, 25, 0))
    for statement in (
        "UPDATE batch_ledger SET committed_at = committed_at - INTERVAL 90 SECOND",
        "UPDATE moving_averages SET updated_at = updated_at - INTERVAL 30 SECOND",
    ):
        execute(mysql, statement, settings.mysql_database)
    facts = looks.good(Probe.MYSQL_LEDGER)
    assert 90 <= facts.batch_age_seconds < 100
    assert 30 <= facts.row_age_seconds < 40


def test_before_the_first_migration_nothing_is_said(fresh_database: Settings) -> None:
    with closing(Looks(fresh_database)) as looks:
        for name in ALL[:3]:
            assert looks.verdict(name) == (Outcome.BLIND, Code.NOT_AVAILABLE)


def test_looks_leave_neither_transactions_nor_locks(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    for name in ALL:
        looks(name)
    with closing(mysql.connect(settings.mysql_database)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")
        assert cursor.fetchone() == (0,)
        cursor.execute("SET lock_wait_timeout = 1")
        cursor.execute("ALTER TABLE moving_averages COMMENT = 'unlocked'")


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


# --- locks ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def may_see_locks(mysql: MySQLServer, settings: Settings) -> Iterator[None]:
    """The account has the rights that the dialect names."""
    account = f"'{settings.mysql_user}'@'127.0.0.1'"
    rights = ["PROCESS ON *.*"]
    if isinstance(mysql, GenuineMySQLServer):
        rights.append("SELECT ON performance_schema.*")
    for right in rights:
        execute(mysql, f"GRANT {right} TO {account}")
    yield
    for right in rights:
        execute(mysql, f"REVOKE {right} FROM {account}")


@contextmanager
def waiting(settings: Settings, statement: str) -> Iterator[None]:
    """A statement of the pipeline's account that waits for a lock."""
    connection = driver_connection(settings, autocommit=True)

    def wait() -> None:
        with suppress(driver_error):
            connection.cursor().execute(statement)

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join(20)
    connection.close()


@pytest.mark.usefixtures("may_see_locks")
def test_a_locked_table_fails_the_canary_and_its_holder_is_named(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    with closing(mysql.connect(settings.mysql_database)) as holder:
        cursor = holder.cursor()
        cursor.execute("LOCK TABLES moving_averages WRITE")
        observation = looks()
        assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.LOCKED, 1205)
        assert looks.verdict(Probe.MYSQL_LEDGER) == (Outcome.FAILED, Code.LOCKED)
        with waiting(settings, "SELECT COUNT(*) FROM moving_averages"):
            locks = wait_for(lambda: seen_waiting(looks), 5, interval=ASKED_ANEW)
            cursor.execute("UNLOCK TABLES")
        assert f"connection {holder.connection_id} (root@localhost" in locks.blockers[0]
    looks.good(Probe.MYSQL_CANARY)
    looks.good(Probe.MYSQL_LEDGER)


@pytest.mark.usefixtures("may_see_locks")
def test_locked_rows_and_their_holder(mysql: MySQLServer, settings: Settings, looks: Looks) -> None:
    looks.good(Probe.MYSQL_CANARY)
    with closing(mysql.connect(settings.mysql_database)) as holder:
        cursor = holder.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM heartbeats FOR UPDATE")
        cursor.fetchall()
        assert looks.verdict() == (Outcome.FAILED, Code.LOCKED)
        with waiting(settings, "UPDATE heartbeats SET pid = 1"):
            locks = wait_for(lambda: seen_waiting(looks), 5, interval=ASKED_ANEW)
            name = f"connection {holder.connection_id} (root@localhost"
            holder.rollback()
    assert name in locks.blockers[0]
    assert "on rows of" in locks.blockers[0]
    assert f"{settings.mysql_database}.heartbeats" in locks.blockers[0]
    assert "UPDATE" not in locks.blockers[0]
    wait_for(lambda: looks.good(Probe.MYSQL_LOCKS).waiting == 0, 5, interval=ASKED_ANEW)


def seen_waiting(looks: Looks) -> LocksFacts | None:
    facts = looks.good(Probe.MYSQL_LOCKS)
    assert isinstance(facts, LocksFacts)
    return facts if facts.waiting and facts.blockers else None


def test_without_the_right_it_sees_its_own_waits_and_says_so(
    mysql: MySQLServer, settings: Settings, looks: Looks
) -> None:
    with closing(mysql.connect(settings.mysql_database)) as holder:
        holder.cursor().execute("LOCK TABLES moving_averages WRITE")
        with waiting(settings, "SELECT COUNT(*) FROM moving_averages"):
            wait_for(lambda: looks.good(Probe.MYSQL_LOCKS).waiting == 1, 5)
            holder.cursor().execute("UNLOCK TABLES")
    rights = MYSQL.lock_rights if isinstance(mysql, GenuineMySQLServer) else MARIADB.lock_rights
    assert (looks(Probe.MYSQL_LOCKS).error or "").endswith(f"without {rights}")


# --- silent loss ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("DELETE FROM moving_averages WHERE symbol = 'BTCUSDT' AND window_minutes = 5 AND window_start = %s", "no row"),
        ("UPDATE moving_averages SET sma = sma + 0.00000001 WHERE window_minutes = 15 AND window_start = %s", "sma"),
        ("UPDATE trade_minutes SET trade_count = trade_count - 1 WHERE minute_start = %s", "ids counted"),
        (
            "UPDATE trade_coverage SET last_trade_id = last_trade_id - 1 WHERE first_trade_id = 1000 OR %s IS NULL",
            "ids",
        ),
        ("DELETE FROM moving_averages WHERE %s IS NOT NULL", "no row"),
    ],
)
def test_what_was_lost_in_silence_is_found(
    mysql: MySQLServer, looks: Looks, engine: Engine, damage: str, named: str
) -> None:
    feeder(engine).feed(trades(1000, 300, 0))
    assert looks.good(Probe.MYSQL_AUDIT).missing == ()
    with closing(WarehouseReader(looks.settings)) as reader:
        newest = max(row.newest_window_end for row in reader.progress())
    moment = newest.replace(tzinfo=None, minute=newest.minute - 8)
    execute(mysql, damage, looks.settings.mysql_database, (moment,))
    with closing(MysqlAuditProbe(looks.settings)) as newcomer:  # which does not know what was there before
        for observation in (looks(Probe.MYSQL_AUDIT), newcomer.look()):
            facts = observation.facts
            assert isinstance(facts, AuditFacts)
            assert any(named in text for text in facts.missing), facts


def test_a_loss_does_not_heal_by_growing_old(mysql: MySQLServer, looks: Looks, engine: Engine) -> None:
    feed = feeder(engine)
    feed.feed(trades(1000, 300, 0))
    with closing(WarehouseReader(looks.settings)) as reader:
        lost = max(row.newest_window_end for row in reader.progress()).replace(tzinfo=None) - timedelta(minutes=8)
    change = "UPDATE moving_averages SET trade_count = trade_count + %s WHERE window_minutes = 1 AND window_start = %s"
    execute(mysql, change, looks.settings.mysql_database, (1, lost))
    found = looks.good(Probe.MYSQL_AUDIT).missing
    assert len(found) == len(SYMBOLS)
    feed.feed(trades(1300, 600, 30))  # an hour of new minutes: the sample has gone on
    assert looks.good(Probe.MYSQL_AUDIT).missing == found
    execute(mysql, change, looks.settings.mysql_database, (-1, lost))
    assert looks.good(Probe.MYSQL_AUDIT).missing == ()


def test_a_window_length_that_was_added_is_not_missed_before(settings: Settings, engine: Engine) -> None:
    feeder(engine).feed(trades(1000, 300, 0))
    more = (1, 2, 5, 15)
    with closing(MysqlAuditProbe(settings.model_copy(update={"windows": more}))) as probe:
        before = probe.look().facts
        feeder(engine, more).feed(trades(1300, 5, 30), batch_id=99)
        after = probe.look().facts
    assert isinstance(before, AuditFacts)
    assert isinstance(after, AuditFacts)
    assert before.missing == after.missing == ()
    assert after.checked > before.checked


def test_an_audit_beside_a_writer_never_reports_what_is_not_so(looks: Looks, engine: Engine) -> None:
    feed, audits, done = feeder(engine), 0, threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            batch = 0
            while not done.is_set():
                ahead = trades(10_000 + batch * 40, 40, batch * 0.4, per_minute=100)
                feed.feed([*ahead[::2], *ahead[1::4]])  # out of order, with gaps that are filled later
                feed.feed(ahead)
                batch += 1
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert looks.good(Probe.MYSQL_AUDIT).missing == ()
            audits += 1
    finally:
        done.set()
        writer.join(30)
    assert not failures
    assert audits > 20
    assert feed._batches > 20


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
