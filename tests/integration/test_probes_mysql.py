"""The probes of MySQL on the real server: its figures in good times, and rows that were lost in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from include.health.observations import AuditFacts, Code, Outcome, Probe, RoundTripFacts, RowsFacts, SchemaFacts
from include.health.probes.mysql_audit import MysqlAuditProbe
from include.health.probes.mysql_canary import SERVICE
from include.runtime.clock import SystemClock
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.reader import WarehouseReader
from include.warehouse.sink import BatchSink
from include.warehouse.transaction import TransactionRunner
from tests.support.mysql_looks import (
    ALL,
    SYMBOLS,
    WINDOWS,
    Looks,
    all_looks,  # noqa: F401 - the fixture looks
    execute,
    migrated_settings,  # noqa: F401 - the fixture settings
)
from tests.support.reference import ReferenceTrade
from tests.support.servers import MySQLServer
from tests.support.trade_groups import Feeder, trade

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]


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
