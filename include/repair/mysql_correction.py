"""What a correction needs of MySQL beyond what the stream's own store offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from include.repair.correction import WindowKey
from include.repair.errors import RepairError
from include.warehouse.fixed_point import PRICE_PLACES, to_units
from include.warehouse.minutes import MinuteKey
from include.warehouse.moments import from_minute, to_minute
from include.warehouse.mysql_store import MySQLStore
from include.warehouse.windows import Average

_LOCKED = "SELECT sequence FROM batch_ledger ORDER BY sequence DESC LIMIT 1 FOR UPDATE"
_NEWEST = "SELECT MAX(sequence) FROM batch_ledger"
_WINDOWS = (
    "SELECT window_minutes, window_start, window_end, sma, vwap, trade_count, volume, first_trade_id, last_trade_id,"
    " last_price FROM moving_averages WHERE symbol = %s AND window_minutes = %s AND window_start BETWEEN %s AND %s"
)


class MySQLCorrectionStore(MySQLStore):
    """See :class:`~include.repair.correction.CorrectionStore`. Every method raises ``DBAPIError`` when MySQL does."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._own = connection

    def lock(self) -> None:
        """See the protocol. The stream begins each transaction with a lock on the newest row of the ledger.

        While we wait for that row a newer one may be committed, which the stream would lock next: ours must be it.
        """
        while (locked := self._own.exec_driver_sql(_LOCKED).scalar()) is not None:
            if locked == self._own.exec_driver_sql(_NEWEST).scalar():
                return
        raise RepairError("The stream processor has not counted anything yet: there is nothing to correct.")

    def differing(
        self, averages: Iterable[Average], spans: Mapping[str, range]
    ) -> tuple[list[Average], set[WindowKey]]:
        """See the protocol."""
        wanted = {(a.symbol, a.window_minutes, a.start): a for a in averages}
        lengths = sorted({length for _, length, _ in wanted})
        present: dict[WindowKey, tuple[int, ...]] = {}
        for symbol, span in spans.items():
            for length in lengths:
                bounds = (from_minute(span.start - length + 1), from_minute(span.stop - 1))
                for row in self._own.exec_driver_sql(_WINDOWS, (symbol, length, *bounds)):
                    present[symbol, length, to_minute(row[1])] = _said(*row[2:])
        differing = [average for key, average in wanted.items() if present.get(key) != _says(average)]
        return differing, present.keys() - wanted.keys()

    def delete(self, minutes: Iterable[MinuteKey], windows: Iterable[WindowKey]) -> None:
        """See the protocol."""
        for symbol, minute in minutes:
            self._own.exec_driver_sql(
                "DELETE FROM trade_minutes WHERE symbol = %s AND minute_start = %s", (symbol, from_minute(minute))
            )
        for symbol, length, start in windows:
            self._own.exec_driver_sql(
                "DELETE FROM moving_averages WHERE symbol = %s AND window_minutes = %s AND window_start = %s",
                (symbol, length, from_minute(start)),
            )


def _says(average: Average) -> tuple[int, ...]:
    sums = average.sums
    counts = (sums.trade_count, sums.volume, sums.first_trade_id, sums.last_trade_id, sums.last_price)
    return (average.end, average.sma, average.vwap, *counts)


def _said(end: Any, sma: Any, vwap: Any, *rest: Any) -> tuple[int, ...]:
    trades, volume, first, last, last_price = rest
    units = [to_units(value, PRICE_PLACES) for value in (sma, vwap, volume, last_price)]
    return (to_minute(end), units[0], units[1], trades, units[2], first, last, units[3])
