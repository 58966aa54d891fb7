"""The batch recomputation of a time: recount its trades, then correct the tables beside the running stream."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pyspark.sql import SparkSession
from sqlalchemy import Connection, Engine

from include.repair.correction import Corrected, correct
from include.repair.exchange import Exchange
from include.repair.gaps import complement
from include.repair.model import Span
from include.repair.mysql_correction import MySQLCorrectionStore
from include.repair.recount import Reading
from include.repair.span import minute_text, minutes_of, reach_of
from include.repair.tables import read_tables
from include.runtime.clock import Clock
from include.settings import Settings
from include.warehouse.id_ranges import IdRanges
from include.warehouse.moments import MINUTE_MS
from include.warehouse.transaction import TransactionRunner
from spark_jobs.lib.topic_facts import read_topic_facts
from spark_jobs.lib.trade_ranges import TradeRanges, offsets_at

_NO_END = 2**62
_BEFORE_EVERYTHING = -(2**62)
_encode = msgspec.json.Encoder().encode


class WindowRepair:
    """One run. ``span``: its windows are made right; the trades are those of all minutes that such a window holds."""

    def __init__(
        self, spark: SparkSession, settings: Settings, span: Span, *, engine: Engine, exchange: Exchange, clock: Clock
    ) -> None:
        self._settings, self._engine, self._exchange, self._clock = settings, engine, exchange, clock
        self._span, self._minutes = span, minutes_of(span)
        self._reach = reach_of(span, settings.windows)
        self._ranges = TradeRanges(spark, settings, span.symbols, self._reach)

    def run(self) -> dict[str, Any]:
        """Do it; the figures for the report.

        Raises :class:`~include.repair.errors.RepairError`, :class:`confluent_kafka.KafkaException`,
        :class:`sqlalchemy.exc.SQLAlchemyError`, :class:`~include.warehouse.errors.WarehouseError` and Spark's errors.
        """
        started = time.monotonic()
        facts = read_topic_facts(self._settings.bootstrap_servers, self._settings.trades_topic)
        starts = offsets_at(self._settings, facts.log_range, self._reach)
        found = Reading({partition: high for partition, (_, high) in facts.log_range.items()})
        found.read(starts, self._ranges.in_kafka)
        bounds = self._complete(found)
        runner = TransactionRunner(self._engine, self._settings.mysql_retry_seconds, clock=self._clock)
        corrected = runner.run(lambda connection: self._correct(connection, found, facts.topic_id, bounds))
        return {
            "windows": corrected.windows,
            "minutes": corrected.minutes,
            "deleted": corrected.deleted,
            "ids": corrected.ids,
            "kept_minutes": [f"{symbol} {minute_text(minute)}" for symbol, minute in corrected.kept[:20]],
            "from_kafka": found.from_kafka,
            "from_exchange": found.from_exchange,
            "seconds": round(time.monotonic() - started, 2),
        }

    def _complete(self, found: Reading) -> dict[str, tuple[int, int]]:
        """Fetch from the exchange what the topic no longer holds; first and last id of the reach, by symbol."""
        ids = dict.fromkeys(self._span.symbols, _NO_END)
        tables = read_tables(self._engine, self._span, self._settings.windows, ids)
        bounds: dict[str, tuple[int, int]] = {}
        with tempfile.TemporaryDirectory(prefix="repair-") as folder:
            path = Path(folder) / "trades.json"
            with path.open("wb") as file:
                for symbol in self._span.symbols:
                    own = found.recount.ids.get(symbol) or IdRanges()
                    first = self._first_id(symbol, own, tables.before.get(symbol))
                    if first is None:
                        continue
                    behind = self._exchange.first_id_at(symbol, self._reach.stop * MINUTE_MS)
                    last = _NO_END if behind is None else behind - 1
                    bounds[symbol] = (first, last)
                    newest = max([end for _, end in own] + [tables.newest.get(symbol, first - 1)])
                    for low, high in complement(first, min(last, newest), own):
                        for page in self._exchange.pages(symbol, low, high):
                            file.writelines(_encode(row.as_event(symbol)) + b"\n" for row in page.rows)
                fetched = file.tell()
            if fetched:
                found.from_exchange = found.recount.add(self._ranges.in_file(path, found.recount.ids))
        return bounds

    def _first_id(self, symbol: str, own: IdRanges, before: int | None) -> int | None:
        """The first id of the reach, whoever knows of it; ``None`` when nobody does."""
        at_exchange = self._exchange.first_id_at(symbol, self._reach.start * MINUTE_MS)
        known = [first for first, _ in own][:1] + ([] if at_exchange is None else [at_exchange])
        if not known:
            return None
        first = min(known)
        if before is not None and before + 1 < first:
            found = self._exchange.first_from(symbol, before + 1)
            if found is None or found > before + 1:  # lost at the exchange, maybe counted here
                return before + 1
        return first

    def _correct(
        self, connection: Connection, found: Reading, topic_id: str, bounds: Mapping[str, tuple[int, int]]
    ) -> Corrected:
        """One transaction; it may be done again as a whole."""
        store = MySQLCorrectionStore(connection)
        store.lock()
        position = store.position()
        if position is not None and position.topic_id == topic_id:
            found.catch_up(position.offsets, self._ranges.in_kafka)
        newest = None if position is None else position.newest_event_time_ms
        delay_ms = round(self._settings.watermark_seconds * 1000)
        return correct(
            store,
            found.recount,
            minutes=self._minutes,
            reach=self._reach,
            bounds=bounds,
            lengths=self._settings.windows,
            watermark_ms=_BEFORE_EVERYTHING if newest is None else newest - delay_ms,
            now_ms=self._clock.time_ms(),
        )
