"""What ``moving_averages`` holds, in the shape of the reference."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC

from include.settings import Settings
from include.warehouse.engine import driver_connection
from include.warehouse.fixed_point import to_decimal
from include.warehouse.memory_store import MemoryStore
from tests.support.reference import ReferenceAverage


def memory_averages(store: MemoryStore) -> dict[tuple[str, int, int], ReferenceAverage]:
    """All of a warehouse in memory."""
    return {
        (a.symbol, a.window_minutes, a.start * 60_000): ReferenceAverage(
            to_decimal(a.sma, 8),
            to_decimal(a.vwap, 8),
            a.sums.trade_count,
            to_decimal(a.sums.volume, 8),
            a.sums.first_trade_id,
            a.sums.last_trade_id,
            to_decimal(a.sums.last_price, 8),
        )
        for a in store.averages.values()
    }


def read_averages(settings: Settings) -> dict[tuple[str, int, int], ReferenceAverage]:
    """All rows, read with the bare driver: the product's own reader must not hide what the table holds."""
    with closing(driver_connection(settings)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT symbol, window_minutes, window_start, sma, vwap, trade_count, volume, first_trade_id,"
            " last_trade_id, last_price FROM moving_averages"
        )
        return {
            (symbol, minutes, round(start.replace(tzinfo=UTC).timestamp() * 1000)): ReferenceAverage(*values)
            for symbol, minutes, start, *values in cursor.fetchall()
        }
