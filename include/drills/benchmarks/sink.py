"""Sink: averages into MySQL by the product's writer, beside a bare multi-row upsert and LOAD DATA of the same rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from sqlalchemy import Connection

from include.drills.benchmarks.report import Section, ratio_rows
from include.drills.benchmarks.workbench import workbench
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine, driver_connection
from include.warehouse.minutes import TradeSums
from include.warehouse.mysql_store import AVERAGES, MySQLStore, average_row
from include.warehouse.transaction import TransactionRunner
from include.warehouse.windows import Average

ROWS, PER_TRANSACTION, PER_STATEMENT, ROUNDS = 100_000, 5_000, 1_000, 3

_NOW = "2026-11-24 06:00:00.000"
_COLUMNS = ", ".join(AVERAGES.columns)
_UPDATES = ", ".join(f"{c} = VALUES({c})" for c in AVERAGES.columns if c not in AVERAGES.key)


def averages(count: int) -> list[Average]:
    """``count`` windows of two symbols and three lengths."""
    sums = TradeSums(
        price_sum=4_300_000_000_000 * 37,
        quote_sum=4_300_000_000_000 * 123_456_789,
        volume=123_456_789,
        trade_count=37,
        first_trade_id=1_000_000,
        last_trade_id=1_000_036,
        last_price=4_300_000_000_000,
    )
    kinds = [(symbol, minutes) for symbol in ("BTCUSDT", "ETHUSDT") for minutes in (1, 5, 15)]
    return [Average(*kinds[number % len(kinds)], 29_000_000 + number // len(kinds), sums) for number in range(count)]


def run() -> Section:
    """Write the same rows three ways, in turn, each into an empty table: first as new rows, then over present ones."""
    with workbench() as bench:
        rates = _measure(bench.settings)
    bare, _, ours = (statistics.median(values) for values in rates.values())
    return Section(
        "Sink: rows of moving_averages upserted",
        f"{ROWS:,} rows in transactions of {PER_TRANSACTION:,}, statements of {PER_STATEMENT:,}; median of {ROUNDS} "
        "rounds in turn, each once into the empty table and once over the same rows. The product's figure includes "
        "making the rows: exact division, rounding, formatting.",
        ["way", "rows/s", "range", "of the bare upsert"],
        ratio_rows(rates),
        [f"Aim ≥ 90 % of the bare upsert: {ours / bare:.0%}."],
    )


def _measure(settings: Settings) -> dict[str, list[float]]:
    rows = averages(ROWS)
    ready = [average_row(average, 0, _NOW) for average in rows]
    ways: dict[str, Callable[[], None]] = {
        "bare multi-row upsert, rows made beforehand": lambda: _bare(settings, ready),
        "LOAD DATA LOCAL … REPLACE, file made beforehand": lambda: _load(settings, ready),
        "the product's writer, from sums to rows": lambda: _ours(settings, rows),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, write in ways.items():
            _execute(settings, "TRUNCATE TABLE moving_averages")
            for _pass in ("insert", "update"):
                started = time.perf_counter()
                write()
                rates[name].append(ROWS / (time.perf_counter() - started))
            _check(settings)
    return rates


def _ours(settings: Settings, rows: list[Average]) -> None:
    engine = create_warehouse_engine(settings)
    runner = TransactionRunner(engine, 0)
    for chunk in _chunks(rows, PER_TRANSACTION):
        runner.run(partial(_write, chunk))
    engine.dispose()


def _write(chunk: Sequence[Average], connection: Connection) -> None:
    MySQLStore(connection).write_averages(chunk, 0, 1_790_000_000_000)


def _bare(settings: Settings, rows: list[tuple[object, ...]]) -> None:
    one = f"({', '.join(['%s'] * len(AVERAGES.columns))})"
    values = ", ".join([one] * PER_STATEMENT)
    statement = f"INSERT INTO moving_averages ({_COLUMNS}) VALUES {values} ON DUPLICATE KEY UPDATE {_UPDATES}"  # noqa: S608
    with closing(driver_connection(settings)) as connection:
        cursor = connection.cursor()
        for transaction in _chunks(rows, PER_TRANSACTION):
            for chunk in _chunks(transaction, PER_STATEMENT):
                cursor.execute(statement, [value for row in chunk for value in row])
            connection.commit()


def _load(settings: Settings, rows: list[tuple[object, ...]]) -> None:
    file = settings.home / "averages.tsv"
    if not file.is_file():
        file.write_text("".join("\t".join(str(int(v) if isinstance(v, bool) else v) for v in r) + "\n" for r in rows))
    with closing(driver_connection(settings, allow_local_infile=True)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' REPLACE INTO TABLE moving_averages ({_COLUMNS})")
        connection.commit()


def _check(settings: Settings) -> None:
    with closing(driver_connection(settings)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*), SUM(trade_count) FROM moving_averages")
        if (found := cursor.fetchone()) != (ROWS, ROWS * 37):
            raise RuntimeError(f"the table holds {found}, not {ROWS} rows: the figure would be a lie")


def _execute(settings: Settings, statement: str) -> None:
    with closing(driver_connection(settings)) as connection:
        connection.cursor().execute(statement)


def _chunks(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
