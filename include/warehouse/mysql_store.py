"""The store in MySQL or MariaDB: the tables, read and written within one transaction.

Every method raises :class:`sqlalchemy.exc.DBAPIError` when the database does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from include.warehouse import ledger
from include.warehouse.fixed_point import PRICE_PLACES, QUOTE_PLACES, to_text, to_units
from include.warehouse.heartbeats import beat
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import LedgerEntry, LedgerPosition
from include.warehouse.minutes import MinuteKey, Minutes, TradeSums
from include.warehouse.moments import MINUTE_MS, from_minute, from_ms, to_minute
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


class MySQLStore:
    """See :class:`~include.warehouse.store.WarehouseStore`. Lives as long as the transaction of ``connection``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def is_committed(self, query_id: str, batch_id: int) -> bool:
        """See the protocol."""
        return ledger.is_committed(self._connection, query_id, batch_id)

    def position(self) -> LedgerPosition | None:
        """See the protocol. Other writers wait until our commit."""
        return ledger.read_position(self._connection, lock=True)

    def coverage(self, bounds: Mapping[str, tuple[int, int]]) -> dict[str, IdRanges]:
        """See the protocol. The ranges are locked until the commit."""
        coverage: dict[str, IdRanges] = {symbol: IdRanges() for symbol in bounds}
        if not bounds:
            return coverage
        one = "(symbol = %s AND last_trade_id >= %s AND first_trade_id <= %s)"
        arguments = [value for symbol, (first, last) in bounds.items() for value in (symbol, first - 1, last + 1)]
        rows = self._connection.exec_driver_sql(
            "SELECT symbol, first_trade_id, last_trade_id FROM trade_coverage"  # noqa: S608 - placeholders only
            f" WHERE {' OR '.join([one] * len(bounds))} FOR UPDATE",
            tuple(arguments),
        )
        for symbol, first, last in rows:
            coverage[symbol].add(first, last)
        return coverage

    def write_coverage(self, symbol: str, before: IdRanges, after: IdRanges) -> None:
        """See the protocol."""
        old, new = set(before), set(after)
        kept = {first for first, _ in new}
        for first, _ in old - new:
            if first not in kept:
                self._connection.exec_driver_sql(
                    "DELETE FROM trade_coverage WHERE symbol = %s AND first_trade_id = %s", (symbol, first)
                )
        upsert(self._connection, _COVERAGE, [(symbol, first, last) for first, last in sorted(new - old)])

    def minutes(self, spans: Mapping[str, IdRanges]) -> Minutes:
        """See the protocol."""
        minutes: Minutes = {}
        for symbol, ranges in spans.items():
            for first, last in ranges:
                rows = self._connection.exec_driver_sql(
                    "SELECT minute_start, price_sum, quote_sum, volume, trade_count, first_trade_id, last_trade_id,"
                    " last_price FROM trade_minutes WHERE symbol = %s AND minute_start BETWEEN %s AND %s",
                    (symbol, from_minute(first), from_minute(last)),
                )
                minutes.update((MinuteKey(symbol, to_minute(row[0])), _sums(*row[1:])) for row in rows)
        return minutes

    def write_minutes(self, minutes: Minutes, now_ms: int) -> None:
        """See the protocol."""
        now = from_ms(now_ms)
        rows = [
            (
                *(symbol, from_minute(minute), to_text(sums.price_sum, PRICE_PLACES)),
                *(to_text(sums.quote_sum, QUOTE_PLACES), to_text(sums.volume, PRICE_PLACES), sums.trade_count),
                *(sums.first_trade_id, sums.last_trade_id, to_text(sums.last_price, PRICE_PLACES), now),
            )
            for (symbol, minute), sums in minutes.items()
        ]
        upsert(self._connection, _MINUTES, rows)

    def write_averages(self, averages: Sequence[Average], watermark_ms: int, now_ms: int) -> None:
        """See the protocol."""
        now = from_ms(now_ms)
        upsert(self._connection, AVERAGES, [average_row(average, watermark_ms, now) for average in averages])

    def finish_windows(self, watermark_ms: int, now_ms: int) -> None:
        """See the protocol."""
        self._connection.exec_driver_sql(
            "UPDATE moving_averages SET is_final = 1, updated_at = %s WHERE is_final = 0 AND window_end <= %s",
            (from_ms(now_ms), from_ms(watermark_ms)),
        )

    def write_entry(self, entry: LedgerEntry, now_ms: int) -> None:
        """See the protocol."""
        ledger.write_entry(self._connection, entry, from_ms(now_ms))

    def beat(self, service: str, now_ms: int, started_ms: int) -> None:
        """See the protocol."""
        beat(self._connection, service, now_ms, started_ms)


def average_row(average: Average, watermark_ms: int, now: str) -> tuple[object, ...]:
    """The values of one row of ``moving_averages``."""
    sums, start, length = average.sums, average.start, average.window_minutes
    end = start + length
    return (
        average.symbol,
        length,
        from_minute(start),
        from_minute(end),
        to_text(average.sma, PRICE_PLACES),
        to_text(average.vwap, PRICE_PLACES),
        sums.trade_count,
        to_text(sums.volume, PRICE_PLACES),
        sums.first_trade_id,
        sums.last_trade_id,
        to_text(sums.last_price, PRICE_PLACES),
        end * MINUTE_MS <= watermark_ms,
        now,
    )


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
