"""Reading and writing the tables within a transaction, in the terms of the modules that compute.

Every function raises :class:`sqlalchemy.exc.DBAPIError` when the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from include.warehouse.fixed_point import PRICE_PLACES, QUOTE_PLACES, to_text, to_units
from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey, Minutes, TradeSums
from include.warehouse.moments import from_minute, to_minute
from include.warehouse.upsert import UpsertTarget, upsert
from include.warehouse.windows import Average

_MINUTES = UpsertTarget(
    "trade_minutes",
    (
        *("symbol", "minute_start", "price_sum", "quote_sum", "volume", "trade_count"),
        *("first_trade_id", "last_trade_id", "last_price", "updated_at"),
    ),
    frozenset({"symbol", "minute_start"}),
)
AVERAGES = UpsertTarget(
    "moving_averages",
    (
        *("symbol", "window_minutes", "window_start", "window_end", "sma", "vwap", "trade_count", "volume"),
        *("first_trade_id", "last_trade_id", "last_price", "is_final", "updated_at"),
    ),
    frozenset({"symbol", "window_minutes", "window_start"}),
    sticky=frozenset({"is_final"}),  # a final window that is corrected stays final
)
_COVERAGE = UpsertTarget(
    "trade_coverage", ("symbol", "first_trade_id", "last_trade_id"), frozenset({"symbol", "first_trade_id"})
)


def read_coverage(connection: Connection, bounds: Mapping[str, tuple[int, int]]) -> dict[str, IdRanges]:
    """Counted ids, by symbol: the ranges that touch or abut the ids from first to last, locked until the commit."""
    coverage: dict[str, IdRanges] = {symbol: IdRanges() for symbol in bounds}
    if not bounds:
        return coverage
    one = "(symbol = %s AND last_trade_id >= %s AND first_trade_id <= %s)"
    arguments = [value for symbol, (first, last) in bounds.items() for value in (symbol, first - 1, last + 1)]
    rows = connection.exec_driver_sql(
        "SELECT symbol, first_trade_id, last_trade_id FROM trade_coverage"  # noqa: S608 - placeholders only
        f" WHERE {' OR '.join([one] * len(bounds))} FOR UPDATE",
        tuple(arguments),
    )
    for symbol, first, last in rows:
        coverage[symbol].add(first, last)
    return coverage


def write_coverage(connection: Connection, symbol: str, before: IdRanges, after: IdRanges) -> None:
    """Replace the ranges ``before`` (as read by :func:`read_coverage`) by ``after``."""
    old, new = set(before), set(after)
    kept = {first for first, _ in new}
    for first, _ in old - new:
        if first not in kept:
            connection.exec_driver_sql(
                "DELETE FROM trade_coverage WHERE symbol = %s AND first_trade_id = %s", (symbol, first)
            )
    upsert(connection, _COVERAGE, [(symbol, first, last) for first, last in sorted(new - old)])


def read_minutes(connection: Connection, spans: Mapping[str, IdRanges]) -> Minutes:
    """The sums of all minutes in ``spans`` (minutes since the epoch, by symbol)."""
    minutes: Minutes = {}
    for symbol, ranges in spans.items():
        for first, last in ranges:
            rows = connection.exec_driver_sql(
                "SELECT minute_start, price_sum, quote_sum, volume, trade_count, first_trade_id, last_trade_id,"
                " last_price FROM trade_minutes WHERE symbol = %s AND minute_start BETWEEN %s AND %s",
                (symbol, from_minute(first), from_minute(last)),
            )
            minutes.update((MinuteKey(symbol, to_minute(row[0])), _sums(*row[1:])) for row in rows)
    return minutes


def _sums(price: Decimal, quote: Decimal, volume: Decimal, *rest: Any) -> TradeSums:
    count, first, last, last_price = rest
    return TradeSums(
        to_units(price, PRICE_PLACES),
        to_units(quote, QUOTE_PLACES),
        to_units(volume, PRICE_PLACES),
        count,
        first,
        last,
        to_units(last_price, PRICE_PLACES),
    )


def write_minutes(connection: Connection, minutes: Minutes, now: str) -> None:
    """Write the sums as absolute values."""
    rows = [
        (
            *(symbol, from_minute(minute), to_text(sums.price_sum, PRICE_PLACES)),
            *(to_text(sums.quote_sum, QUOTE_PLACES), to_text(sums.volume, PRICE_PLACES), sums.trade_count),
            *(sums.first_trade_id, sums.last_trade_id, to_text(sums.last_price, PRICE_PLACES), now),
        )
        for (symbol, minute), sums in minutes.items()
    ]
    upsert(connection, _MINUTES, rows)


def average_row(average: Average, watermark_ms: int, now: str) -> tuple[object, ...]:
    """The values of one row of ``moving_averages``; final when its end is not behind the watermark."""
    sums = average.sums
    return (
        *(average.symbol, average.window_minutes, from_minute(average.start), from_minute(average.end)),
        *(to_text(average.sma, PRICE_PLACES), to_text(average.vwap, PRICE_PLACES), sums.trade_count),
        *(to_text(sums.volume, PRICE_PLACES), sums.first_trade_id, sums.last_trade_id),
        *(to_text(sums.last_price, PRICE_PLACES), average.end * 60_000 <= watermark_ms, now),
    )


def finish_windows(connection: Connection, watermark: str, now: str) -> int:
    """Mark windows final that end by the ``watermark`` and are not yet; returns how many."""
    return connection.exec_driver_sql(
        "UPDATE moving_averages SET is_final = 1, updated_at = %s WHERE is_final = 0 AND window_end <= %s",
        (now, watermark),
    ).rowcount


def write_averages(connection: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Upsert rows as :func:`average_row` makes them."""
    upsert(connection, AVERAGES, list(rows))
