"""What the probes of MySQL make of errors, rows and waits; the server itself is in the integration tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import mysql.connector
import pytest
from mysql.connector.errors import OperationalError
from pydantic import SecretStr

from include.health.observations import Code, Observation, Outcome, Probe
from include.health.probes import mysql_link
from include.health.probes.mysql_audit import clean_boundary, expected_windows, window_problems
from include.health.probes.mysql_canary import MysqlCanaryProbe
from include.health.probes.mysql_link import TooSlowError, failure, failure_code
from include.health.probes.mysql_locks import Connection, RowWait, locks_facts
from include.health.probes.mysql_schema import MysqlSchemaProbe
from include.runtime.clock import ManualClock
from include.settings import Settings
from include.warehouse.fixed_point import to_decimal
from include.warehouse.minutes import TradeSums
from include.warehouse.windows import Average

REFUSED = "Can't connect to MySQL server on '127.0.0.1:3306' (111)"
GREETING = "Lost connection to MySQL server at 'waiting for initial communication packet', system error: 110"


@pytest.mark.parametrize(
    ("number", "text", "spent", "code"),
    [
        (2003, REFUSED, 0.0, Code.REFUSED),
        (2003, REFUSED.replace("111", "113"), 0.1, Code.UNREACHABLE),
        (2003, REFUSED.replace("111", "101"), 0.0, Code.UNREACHABLE),
        (2003, REFUSED.replace("111", "110"), 1.0, Code.TIMEOUT),
        (2005, "Unknown MySQL server host 'nowhere' (-2)", 0.0, Code.UNREACHABLE),
        (2013, GREETING, 1.0, Code.TIMEOUT),
        (2013, "Lost connection to MySQL server during query", 2.0, Code.TIMEOUT),
        (2013, "Lost connection to MySQL server during query", 0.3, Code.CONNECTIVITY),
        (1205, "Lock wait timeout exceeded", 1.0, Code.LOCKED),
        (1040, "Too many connections", 0.0, Code.CAPACITY),
        (1226, "User 'pipeline' has exceeded max_user_connections", 0.0, Code.CAPACITY),
        (1045, "Access denied", 0.0, Code.CREDENTIALS),
        (1142, "INSERT command denied", 0.0, Code.CREDENTIALS),
        (1290, "The MariaDB server is running with the --read-only option", 0.0, Code.READ_ONLY),
        (1021, "Disk full", 0.0, Code.DISK_FULL),
        (1114, "The table is full", 0.0, Code.DISK_FULL),
        (1030, "Got error 28 'No space left on device' from storage engine", 0.0, Code.DISK_FULL),
        (1146, "Table 'crypto.heartbeats' doesn't exist", 0.0, Code.SCHEMA),
        (1053, "Server shutdown in progress", 0.0, Code.SHUTTING_DOWN),
        (9999, "never heard of", 0.0, Code.UNKNOWN),
    ],
)
def test_errors_have_classes(number: int, text: str, spent: float, code: Code) -> None:
    error = OperationalError(msg=text, errno=number)
    assert failure_code(error, spent) is code
    observation = failure(Probe.MYSQL_CANARY, error, spent)
    assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, code, number)


def test_a_server_that_is_slow_throughout_has_timed_out() -> None:
    assert failure_code(TooSlowError(), 1.2) is Code.TIMEOUT


def test_without_a_password_the_refusal_is_our_own_fault() -> None:
    refusal = OperationalError(msg="Access denied for user 'pipeline'", errno=1045)
    own = failure(Probe.MYSQL_CANARY, refusal, 0.0, has_password=False)
    assert (own.outcome, own.code) == (Outcome.BLIND, Code.OWN_CREDENTIALS)
    assert failure(Probe.MYSQL_CANARY, OperationalError(errno=1040), 0.0, has_password=False).outcome is Outcome.FAILED


class Driver:
    """A connection whose statements fail as told, and take their time."""

    def __init__(self, *script: Exception | float, tables: bool = True) -> None:
        self.script, self.tables, self.closed = list(script), tables, False
        self.clock = ManualClock()
        self.statements: list[str] = []

    def cursor(self) -> Driver:
        return self

    def execute(self, statement: str, _: object = ()) -> None:
        self.statements.append(statement)
        step = self.script.pop(0) if self.script else 0.0
        if isinstance(step, Exception):
            raise step
        self.clock.advance(step)

    def fetchall(self) -> list[tuple[int]]:
        return [(1,)] if self.tables else []

    def close(self) -> None:
        self.closed = True


def look(monkeypatch: pytest.MonkeyPatch, driver: Driver, **settings: Any) -> Observation:
    monkeypatch.setattr(mysql_link, "driver_connection", lambda *_, **__: driver)
    chosen = Settings(mysql_password=SecretStr("secret"), **settings)
    return MysqlCanaryProbe(chosen, driver.clock).look()


@pytest.mark.parametrize(
    ("errno", "code"), [(1021, Code.DISK_FULL), (1114, Code.DISK_FULL), (1290, Code.READ_ONLY), (1205, Code.LOCKED)]
)
def test_what_hits_the_writing_of_any_table_is_told(monkeypatch: pytest.MonkeyPatch, errno: int, code: Code) -> None:
    for place in range(5):
        driver = Driver(*[0.0] * place, OperationalError(errno=errno))
        observation = look(monkeypatch, driver)
        assert (observation.outcome, observation.code) == (Outcome.FAILED, code)
        assert driver.closed


def test_every_table_that_the_pipeline_writes_to_is_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    assert look(monkeypatch, driver).outcome is Outcome.OK
    tables = {statement.split()[2] for statement in driver.statements}
    assert tables == {"heartbeats", "moving_averages", "trade_minutes", "trade_coverage", "batch_ledger"}
    assert [s for s in driver.statements if "WHERE FALSE" not in s] == driver.statements[:1]


def test_a_slow_server_is_given_up_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(0.6, 0.6, 0.6, 0.6)
    observation = look(monkeypatch, driver)
    assert observation.code is Code.TIMEOUT
    assert len(driver.statements) == 2  # a third one might end too late


@pytest.mark.parametrize(
    ("tables", "expected"),
    [(True, (Outcome.FAILED, Code.SCHEMA)), (False, (Outcome.BLIND, Code.NOT_AVAILABLE))],
)
def test_a_table_is_lost_only_if_it_was_ever_made(
    monkeypatch: pytest.MonkeyPatch, tables: bool, expected: tuple[Outcome, Code]
) -> None:
    missing = OperationalError(msg="Table 'crypto.heartbeats' doesn't exist", errno=1146)
    observation = look(monkeypatch, Driver(missing, tables=tables))
    assert (observation.outcome, observation.code) == expected


def test_a_probe_without_a_server_says_so_at_once() -> None:
    settings = Settings(mysql_port=1, mysql_password=SecretStr("secret"))
    for probe in (MysqlCanaryProbe(settings), MysqlSchemaProbe(settings)):
        observation = probe.look()
        assert (observation.outcome, observation.code, observation.number) == (Outcome.FAILED, Code.REFUSED, 2003)
        assert "secret" not in (observation.error or "")
        probe.close()


# --- audit ---------------------------------------------------------------------------------------------------------
def sums(first: int, last: int, price: int = 100) -> TradeSums:
    count = last - first + 1
    return TradeSums(price * count, price * count, count, count, first, last, price)


def row(average: Average) -> tuple[Any, ...]:
    """As the driver returns it."""
    own = average.sums
    return (
        *(to_decimal(average.sma, 8), to_decimal(average.vwap, 8), own.trade_count, to_decimal(own.volume, 8)),
        *(own.first_trade_id, own.last_trade_id, to_decimal(own.last_price, 8)),
    )


def test_windows_are_summed_from_the_minutes_that_are_there() -> None:
    minutes = {10: sums(1, 5), 12: sums(6, 7)}
    windows = expected_windows("A", 2, 10, 12, minutes)
    assert {start: (w.sums.first_trade_id, w.sums.trade_count) for start, w in windows.items()} == {
        10: (1, 5),
        11: (6, 2),
        12: (6, 2),
    }


def change(index: int, value: object) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    return lambda found: (*found[:index], value, *found[index + 1 :])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (None, "A 5 min from 1970-01-01T00:10Z: no row"),
        (change(0, Decimal("0.00000101")), "A 5 min from 1970-01-01T00:10Z: wrong sma"),
        (change(2, 4), "A 5 min from 1970-01-01T00:10Z: wrong trade_count"),
        (change(3, Decimal(9)), "A 5 min from 1970-01-01T00:10Z: wrong volume"),
        (change(5, 4), "A 5 min from 1970-01-01T00:10Z: wrong last_trade_id"),
    ],
)
def test_each_disagreement_is_named(damage: Callable[[Any], Any] | None, problem: str) -> None:
    windows = expected_windows("A", 5, 10, 10, {10: sums(1, 5)})
    good = {10: row(windows[10])}
    assert window_problems("A", 5, windows, good) == {}
    bad = {} if damage is None else {10: damage(good[10])}
    assert list(window_problems("A", 5, windows, bad).values()) == [problem]


def test_a_row_without_trades_is_named_too() -> None:
    window = expected_windows("A", 1, 10, 10, {10: sums(1, 5)})[10]
    found = window_problems("A", 1, {}, {10: row(window)})
    assert found == {10: "A 1 min from 1970-01-01T00:10Z: a row without trades"}


def test_ids_are_compared_from_where_they_part_cleanly() -> None:
    minutes = {m: sums(m * 10, m * 10 + 9) for m in range(40)}
    assert clean_boundary(minutes, whole=True) == (0, 0)
    minute, first_id = clean_boundary(minutes, whole=False) or (0, 0)
    assert 0 < minute < 20
    assert first_id == minute * 10
    mixed = {**minutes, minute - 1: replace(minutes[minute - 1], last_trade_id=minute * 10 + 3)}
    assert clean_boundary(mixed, whole=False) == (minute + 1, (minute + 1) * 10)
    assert clean_boundary({1: minutes[1]}, whole=False) is None
    assert clean_boundary({}, whole=True) is None


# --- locks ---------------------------------------------------------------------------------------------------------
def connection(id_: int, **changes: Any) -> Connection:
    quiet = Connection(id_, "pipeline", "127.0.0.1", "Sleep", 60, "", False, True, True)
    return quiet._replace(**changes)


WAITS = connection(1, command="Query", seconds=4, state="Waiting for table metadata lock")
ADMIN = connection(2, user="root", host="localhost", seconds=30, is_our_account=False)
POOLED = connection(3)


def test_nobody_waits() -> None:
    facts = locks_facts([], [ADMIN, POOLED], {})
    assert (facts.waiting, facts.longest_wait_seconds, facts.blockers) == (0, 0.0, ())


def test_the_holder_of_rows_is_named_by_the_server() -> None:
    waits = [RowWait(7, 2, 40, "crypto.heartbeats"), RowWait(3, 2, 40, "crypto.heartbeats")]
    facts = locks_facts(waits, [ADMIN, POOLED], {})
    assert (facts.waiting, facts.longest_wait_seconds) == (2, 7.0)
    assert facts.blockers == (
        "connection 2 (root@localhost, asleep for 30 s) with a transaction open for 40 s blocks 2 on rows of"
        " crypto.heartbeats",
    )


@pytest.mark.parametrize(
    ("connections", "transactions", "named"),
    [
        ([WAITS, ADMIN, POOLED], {}, [2]),  # a stranger in our database
        ([WAITS, ADMIN, POOLED], {3: 50}, [3]),  # an open transaction
        ([WAITS, POOLED], {}, [3]),
        ([WAITS, ADMIN._replace(seconds=2), POOLED], {}, [3]),  # it has done something since the wait began
        ([WAITS, ADMIN._replace(is_in_our_database=False)], {}, []),
        ([WAITS, ADMIN._replace(is_me=True)], {}, []),
        ([WAITS, WAITS._replace(id=4, seconds=9)], {}, []),
    ],
)
def test_the_holder_of_a_table_is_whoever_was_there_before(
    connections: list[Connection], transactions: dict[int, int], named: list[int]
) -> None:
    facts = locks_facts([], connections, transactions)
    assert facts.waiting >= 1
    assert [int(text.split()[1]) for text in facts.blockers] == named


def test_a_driver_error_without_a_number_is_unknown() -> None:
    assert failure_code(mysql.connector.Error(msg="odd"), 0.0) is Code.UNKNOWN
