"""What the tables say about a time, read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from include.repair.model import Span
from include.repair.span import minutes_of, reach_of
from include.repair.totals import Values
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import Offsets, read_position
from include.warehouse.moments import from_minute, to_minute

SUMS = 0  # in place of a window length: the sums of the minute itself, from which all windows are made

RowKey = tuple[str, int, int]  # symbol, length in minutes or SUMS, start in minutes since the epoch

_MINUTES = (
    "SELECT minute_start, price_sum, quote_sum, trade_count, volume, first_trade_id, last_trade_id, last_price"
    " FROM trade_minutes WHERE symbol = %s AND minute_start >= %s AND minute_start < %s"
)
_WINDOWS = (
    "SELECT window_start, sma, vwap, trade_count, volume, first_trade_id, last_trade_id, last_price"
    " FROM moving_averages WHERE symbol = %s AND window_minutes = %s AND window_start >= %s AND window_start < %s"
)
_COVERAGE = (
    "SELECT first_trade_id, last_trade_id FROM trade_coverage"
    " WHERE symbol = %s AND last_trade_id >= %s AND first_trade_id <= %s"
)
_NEWEST = "SELECT MAX(last_trade_id) FROM trade_coverage WHERE symbol = %s"
_BEFORE = (
    "SELECT last_trade_id FROM trade_minutes WHERE symbol = %s AND minute_start < %s ORDER BY minute_start DESC LIMIT 1"
)


@dataclass(frozen=True)
class Tables:
    """``rows``: sums and windows. By symbol: ``counted`` ids as far as asked for, the ``newest`` id counted, and the
    last id ``before`` the time. ``offsets``: how far every partition is in the sums, ``None`` before the first batch.
    """

    rows: dict[RowKey, Values] = field(default_factory=dict)
    counted: dict[str, IdRanges] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    offsets: Offsets | None = None


def starts_touching(minutes: range, length: int) -> range:
    """Where windows of ``length`` minutes start that hold one of ``minutes`` (consecutive)."""
    return range(minutes.start - max(length, 1) + 1, minutes.stop)


def read_tables(engine: Engine, span: Span, lengths: tuple[int, ...], ids: Mapping[str, int]) -> Tables:
    """Windows that touch ``span``, the sums of the minutes in them, and the ids counted from ``ids`` (by symbol) on.

    One consistent view, whatever the stream writes meanwhile. Raises :class:`sqlalchemy.exc.DBAPIError`.
    """
    minutes, reach = minutes_of(span), reach_of(span, lengths)
    with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        tables = Tables(offsets=_offsets(connection))
        for symbol, begin in ids.items():
            first = begin
            before = connection.exec_driver_sql(_BEFORE, (symbol, from_minute(reach.start))).scalar()
            if before is not None:
                tables.before[symbol] = before
                first = min(first, before + 1)
            tables.counted[symbol] = read_coverage(connection, symbol, first, 2**63 - 1)
            if (newest := connection.exec_driver_sql(_NEWEST, (symbol,)).scalar()) is not None:
                tables.newest[symbol] = newest
            _read_rows(connection, tables, symbol, SUMS, reach)
            for length in lengths:
                _read_rows(connection, tables, symbol, length, starts_touching(minutes, length))
        return tables


def read_coverage(connection: Connection, symbol: str, first: int, last: int) -> IdRanges:
    """The ranges of counted ids that touch those from ``first`` to ``last``."""
    return IdRanges(tuple(row) for row in connection.exec_driver_sql(_COVERAGE, (symbol, first, last)))


def _offsets(connection: Connection) -> Offsets | None:
    position = read_position(connection)
    return None if position is None else position.offsets


def _read_rows(connection: Connection, tables: Tables, symbol: str, length: int, starts: range) -> None:
    bounds = (from_minute(starts.start), from_minute(starts.stop))
    found = (
        connection.exec_driver_sql(_MINUTES, (symbol, *bounds))
        if length == SUMS
        else connection.exec_driver_sql(_WINDOWS, (symbol, length, *bounds))
    )
    for start, *values in found:
        tables.rows[symbol, length, to_minute(start)] = Values(*values)
