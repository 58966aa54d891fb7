"""The store in MySQL does what the store in memory does, and survives what happens to a database."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import pytest
from sqlalchemy import Connection, Engine

from include.runtime.clock import ManualClock
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.error_numbers import ErrorKind
from include.warehouse.errors import WarehouseFailedError
from include.warehouse.id_ranges import IdRanges
from include.warehouse.memory_store import MemoryStore
from include.warehouse.migrations import migrate
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.reader import WarehouseReader
from include.warehouse.sink import BatchSink, Outcome, Receipt
from include.warehouse.store import WarehouseStore
from include.warehouse.transaction import TransactionRunner
from tests.support.averages import read_averages
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.servers import MySQLServer
from tests.support.trade_groups import START_MS, Feeder, trade

pytestmark = [pytest.mark.integration, pytest.mark.both_databases]

WINDOWS = (1, 5, 15)
Transact = Callable[[Callable[[WarehouseStore], Receipt]], Receipt]


@dataclass
class Warehouse:
    """A migrated database and its pool."""

    settings: Settings
    engine: Engine

    def transact(self, work: Callable[[WarehouseStore], Receipt]) -> Receipt:
        return TransactionRunner(self.engine, retry_seconds=30).run(lambda c: work(MySQLStore(c)))

    def feeder(self) -> Feeder:
        return Feeder(BatchSink(WINDOWS, 10_000, "test", ManualClock(START_MS)), self.transact)


@pytest.fixture
def warehouse(fresh_database: Settings) -> Iterator[Warehouse]:
    """A migrated, empty database."""
    migrate(fresh_database)
    engine = create_warehouse_engine(fresh_database)
    yield Warehouse(fresh_database, engine)
    engine.dispose()


def story(seed: int, trades: int = 300) -> tuple[list[ReferenceTrade], list[list[ReferenceTrade]]]:
    """Trades, and a delivery of them in batches: out of order, repeated, some very late."""
    dice = random.Random(seed)
    ledger = [
        trade(
            10_000 + i,
            minute=i / 20 + dice.random() / 50,
            price=f"{dice.randrange(1, 10**18) / 10**8:.8f}",
            qty=f"0.{dice.randrange(1, 10**8):08d}",
            symbol=symbol,
        )
        for symbol in ("BTCUSDT", "ETHUSDT")
        for i in range(trades)
    ]
    delivery = sorted([*ledger, *dice.sample(ledger, trades // 5)], key=lambda t: t.time_ms + dice.random() * 200_000)
    late = delivery.pop(0)
    cuts = [0, *sorted(dice.sample(range(1, len(delivery)), 12)), len(delivery)]
    return ledger, [*(delivery[a:b] for a, b in pairwise(cuts)), [late]]


@pytest.fixture
def stores(warehouse: Warehouse) -> Iterator[tuple[Callable[[], WarehouseStore], ...]]:
    """Either store, each call in the same open transaction."""
    memory = MemoryStore()
    with warehouse.engine.begin() as connection:
        yield lambda: memory, lambda: MySQLStore(connection)


def test_coverage_is_replaced_where_it_changed(stores: tuple[Callable[[], WarehouseStore], ...]) -> None:
    for store in stores:
        before = IdRanges()
        for after in ([(1, 5), (10, 20), (30, 40)], [(1, 25), (30, 40)], [(0, 40)], [(0, 40), (50, 50)]):
            store().write_coverage("A", before, IdRanges(after))
            before = IdRanges(after)
            assert store().coverage({"A": (0, 100)})["A"] == before
        found = store().coverage({"A": (41, 48), "B": (0, 9)})
        assert found == {"A": IdRanges([(0, 40)]), "B": IdRanges()}  # what abuts matters, what is far away does not


def test_both_stores_hold_the_same_after_the_same_story(warehouse: Warehouse) -> None:
    ledger, batches = story(seed=1)
    memory = MemoryStore()
    twin = Feeder(BatchSink(WINDOWS, 10_000, "test", ManualClock(START_MS)), lambda work: work(memory))
    feeder = warehouse.feeder()
    for batch in batches:
        assert feeder.feed(batch) == twin.feed(batch)

    assert read_averages(warehouse.settings) == reference_averages(ledger, WINDOWS)
    with warehouse.engine.begin() as connection:
        everything = {"BTCUSDT": IdRanges([(0, 10**9)])}
        mysql = MySQLStore(connection)
        assert mysql.position() == memory.position()
        assert mysql.minutes(everything) == memory.minutes(everything)
        rows = connection.exec_driver_sql(
            "SELECT symbol, window_minutes, UNIX_TIMESTAMP(window_start) DIV 60 FROM moving_averages WHERE is_final"
        )
        assert {tuple(row) for row in rows} == memory.final
    with closing(WarehouseReader(warehouse.settings)) as reader:
        progress = {p.symbol: (p.newest_trade_id, p.newest_window_end.timestamp() * 1000) for p in reader.progress()}
        last = {t.symbol: (t.id, t.time_ms // 60_000 * 60_000 + 60_000) for t in ledger}
        assert progress == last
        assert reader.counts().batch_ledger == len(batches)
        beat = reader.heartbeat("test")
        assert beat is not None
        assert beat.timestamp() * 1000 == START_MS
        assert reader.heartbeat("nobody") is None
        latest = {(row.symbol, row.window_minutes): row for row in reader.latest_averages()}
        assert len(latest) == 2 * len(WINDOWS)
        for symbol in ("BTCUSDT", "ETHUSDT"):  # all lengths end with the newest minute that has a trade
            newest = max(t.time_ms for t in ledger if t.symbol == symbol) // 60_000 + 1
            assert {latest[symbol, n].window_end.timestamp() / 60 for n in WINDOWS} == {newest}


def test_the_largest_values_fit(warehouse: Warehouse) -> None:
    largest = [trade(2**62 + i, price="9999999999.99999999", qty="9999.99999999") for i in range(5)]
    warehouse.feeder().feed(largest)
    assert read_averages(warehouse.settings) == reference_averages(largest, WINDOWS)


def test_a_killed_database_is_waited_for_and_nothing_is_counted_twice(warehouse: Warehouse, mysql: MySQLServer) -> None:
    ledger, batches = story(seed=2)
    feeder, dice = warehouse.feeder(), random.Random(3)
    for number, batch in enumerate(batches * 2):
        outage = threading.Timer(dice.random() / 50, _kill_and_start, [mysql])
        if number in {2, 9, 20}:  # in the middle of a write, or thereabouts; the third one while replaying
            outage.start()
        feeder.feed(batch)
        if outage.ident:
            outage.join()
    assert read_averages(warehouse.settings) == reference_averages(ledger, WINDOWS)


def _kill_and_start(mysql: MySQLServer) -> None:
    mysql.kill()
    mysql.start()


def test_a_commit_whose_answer_is_lost_is_not_repeated(warehouse: Warehouse) -> None:
    feeder = warehouse.feeder()
    first = feeder.feed([trade(1)], batch_id=1)
    second = feeder.feed([trade(1)], batch_id=1)
    assert (first.outcome, second.outcome) == (Outcome.COMMITTED, Outcome.ALREADY_COMMITTED)


def test_a_hung_database_is_noticed_by_deadline(warehouse: Warehouse, mysql: MySQLServer) -> None:
    short = create_warehouse_engine(warehouse.settings.model_copy(update={"mysql_timeout_seconds": 1.0}))
    runner = TransactionRunner(short, retry_seconds=2)

    def select(connection: Connection) -> object:
        return connection.exec_driver_sql("SELECT 1").scalar()

    assert runner.run(select) == 1
    mysql.suspend()
    try:
        with pytest.raises(WarehouseFailedError) as failure:
            runner.run(select)
    finally:
        mysql.resume()
    assert failure.value.kind is ErrorKind.CONNECTIVITY
    assert runner.run(select) == 1
    short.dispose()


def test_sessions_are_strict_and_in_utc(warehouse: Warehouse) -> None:
    with warehouse.engine.connect() as connection:
        zone, mode = connection.exec_driver_sql("SELECT @@session.time_zone, @@session.sql_mode").one()
        assert zone == "+00:00"
        assert "STRICT_ALL_TABLES" in mode
        total = connection.exec_driver_sql("SELECT CAST('0.1' AS DECIMAL(18,8)) + 0.2").scalar()
        assert total == Decimal("0.3")
