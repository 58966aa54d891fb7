"""What others read from the warehouse: the latest averages, how far each symbol is, how fresh the table is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.ledger import LedgerPosition, read_position
from include.warehouse.moments import from_ms, to_utc

# The newest minute of each symbol comes from the end of the primary key, its windows from the index on their end, so
# this stays quick however long the table grows.
_LATEST = (
    "SELECT a.symbol, a.window_minutes, a.window_start, a.window_end, a.sma, a.vwap, a.trade_count, a.volume,"
    " a.first_trade_id, a.last_trade_id, a.last_price, a.is_final, a.updated_at FROM ("
    " SELECT symbol, MAX(window_start) + INTERVAL 1 MINUTE AS window_end FROM moving_averages"
    " WHERE window_minutes = 1 GROUP BY symbol) AS newest"
    " JOIN moving_averages AS a USING (symbol, window_end) ORDER BY a.symbol, a.window_minutes"
)
_COUNTED = "SELECT symbol, MAX(last_trade_id) FROM trade_coverage GROUP BY symbol"
_BATCH = (
    "SELECT committed_at, newest_event_time, input_rows, late_rows, late_corrections, window_rows FROM batch_ledger"
)


@dataclass(frozen=True)
class AverageRow:
    """One row of ``moving_averages``; moments are aware, in UTC."""

    symbol: str
    window_minutes: int
    window_start: datetime
    window_end: datetime
    sma: Decimal
    vwap: Decimal
    trade_count: int
    volume: Decimal
    first_trade_id: int
    last_trade_id: int
    last_price: Decimal
    is_final: bool
    updated_at: datetime


@dataclass(frozen=True)
class SymbolProgress:
    """How far one symbol is: highest trade id counted, end of the newest 1-minute window, and when it was written."""

    symbol: str
    newest_trade_id: int
    newest_window_end: datetime
    updated_at: datetime


@dataclass(frozen=True)
class CommittedBatch:
    """What the ledger says of one micro-batch; moments are aware, in UTC. ``newest_event_time`` is cumulative,
    ``None`` before the first trade. ``late_rows`` are trades behind the watermark, ``late_corrections`` final windows
    that they changed, ``window_rows`` the averages written.
    """

    committed_at: datetime
    newest_event_time: datetime | None
    input_rows: int
    late_rows: int
    late_corrections: int
    window_rows: int


@dataclass(frozen=True)
class TableCounts:
    """Rows in the tables that grow."""

    moving_averages: int
    trade_minutes: int
    trade_coverage: int
    batch_ledger: int


class WarehouseReader:
    """Reads with a small pool of its own; every method raises :class:`sqlalchemy.exc.DBAPIError` when the database
    does not answer within ``settings.mysql_timeout_seconds``. Close it at the end.
    """

    def __init__(self, settings: Settings) -> None:
        self._engine = create_warehouse_engine(settings)

    def latest_averages(self) -> list[AverageRow]:
        """The windows that end with the newest minute that has a trade: "the last 15 minutes", by symbol and length."""
        return [_average(row) for row in self._rows(_LATEST)]

    def progress(self) -> list[SymbolProgress]:
        """How far each symbol is, by symbol; symbols without rows are left out."""
        counted: dict[str, int] = {row[0]: row[1] for row in self._rows(_COUNTED)}
        return [
            SymbolProgress(row.symbol, counted[row.symbol], row.window_end, row.updated_at)
            for row in self.latest_averages()
            if row.window_minutes == 1
        ]

    def newest_update(self) -> datetime | None:
        """When ``moving_averages`` was last written to; ``None`` when it is empty."""
        return self._moment("SELECT MAX(updated_at) FROM moving_averages")

    def newest_window_end(self) -> datetime | None:
        """End of the newest window of all symbols and lengths; ``None`` when there is none."""
        return self._moment("SELECT MAX(window_end) FROM moving_averages")

    def heartbeat(self, service: str) -> datetime | None:
        """When ``service`` last said that it can write here; ``None`` if never."""
        return self._moment("SELECT beat_at FROM heartbeats WHERE service = %s", service)

    def position(self) -> LedgerPosition | None:
        """How far every partition is in the sums; ``None`` before the first batch."""
        with self._engine.connect() as connection:
            return read_position(connection)

    def batches(self, since: datetime, until: datetime, limit: int = 100_000) -> list[CommittedBatch]:
        """The batches committed after ``since`` and by ``until`` (aware), and the last one before them; oldest first,
        at most ``limit``.
        """
        start, end = (from_ms(round(moment.timestamp() * 1000)) for moment in (since, until))
        before = self._rows(f"{_BATCH} WHERE committed_at <= %s ORDER BY committed_at DESC LIMIT 1", start)
        within = f"{_BATCH} WHERE committed_at > %s AND committed_at <= %s ORDER BY committed_at LIMIT %s"
        return [_batch(row) for row in (*before, *self._rows(within, start, end, limit))]

    def counts(self) -> TableCounts:
        """Rows in each table (a scan each: for tests and people, not for sensors)."""
        tables = ("moving_averages", "trade_minutes", "trade_coverage", "batch_ledger")
        return TableCounts(*(self._rows(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables))  # noqa: S608

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _rows(self, statement: str, *arguments: object) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.exec_driver_sql(statement, arguments or None))

    def _moment(self, statement: str, *arguments: object) -> datetime | None:
        rows = self._rows(statement, *arguments)
        return to_utc(rows[0][0]) if rows and rows[0][0] is not None else None


def _batch(row: Any) -> CommittedBatch:
    committed_at, newest, *numbers = row
    return CommittedBatch(to_utc(committed_at), None if newest is None else to_utc(newest), *map(int, numbers))


def _average(row: Any) -> AverageRow:
    fields = dict(zip(AverageRow.__dataclass_fields__, row, strict=True))
    moments = {name: to_utc(fields[name]) for name in ("window_start", "window_end", "updated_at")}
    return AverageRow(**{**fields, **moments, "is_final": bool(fields["is_final"])})
