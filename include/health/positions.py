"""Positions at each hop, read from where each hop keeps its own truth (design: position ledger).

Per symbol: newest trade id at the exchange → received by the producer → acknowledged by Kafka → counted in MySQL, and
the newest window. Per partition: log end → finished by the stream processor (committed to ``spark-group``). Every
source is asked with a deadline of its own; one that does not answer leaves its positions empty and its reason in
``problems``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import requests

from include.broker.offsets import OffsetReader, Offsets
from include.market.rest import RestClient
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings
from include.warehouse.reader import SymbolProgress, WarehouseReader

T = TypeVar("T")

_DEADLINE_SECONDS = 2.0


@dataclass(frozen=True)
class SymbolPosition:
    """Newest trade id of one symbol at each hop; ``None`` where it is not known."""

    symbol: str
    exchange: int | None = None
    received: int | None = None
    acknowledged: int | None = None
    counted: int | None = None
    newest_event_time_ms: int | None = None
    newest_window_end: datetime | None = None


@dataclass(frozen=True)
class PartitionPosition:
    """One partition of ``crypto-trades``: next offset to be written, and next one the processor has not finished."""

    partition: int
    end: int
    finished: int | None

    @property
    def lag(self) -> int:
        """Records not finished yet."""
        return self.end - (self.finished or 0)


@dataclass(frozen=True)
class Positions:
    """All hops at about one moment (``taken_at_ms``, wall clock)."""

    taken_at_ms: int
    symbols: tuple[SymbolPosition, ...]
    partitions: tuple[PartitionPosition, ...]
    freshest_row_at: datetime | None = None
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def lag(self) -> int:
        """Records not finished yet, over all partitions."""
        return sum(partition.lag for partition in self.partitions)


class PositionReader:
    """Reads all positions; sources are asked side by side. Close it at the end."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self._rest = RestClient(settings.rest_endpoints, timeouts=(1.0, _DEADLINE_SECONDS))
        self._offsets = OffsetReader(settings.bootstrap_servers, timeout=_DEADLINE_SECONDS)
        self._warehouse = WarehouseReader(settings)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="positions")

    def read(self) -> Positions:
        """One reading; never raises for a source that is away."""
        problems: dict[str, str] = {}
        exchange = self._pool.submit(_guarded, "exchange", self._exchange_ids, problems)
        producer = self._pool.submit(_guarded, "btc_producer", self._producer, problems)
        partitions = self._pool.submit(_guarded, "kafka", self._partitions, problems)
        warehouse = self._pool.submit(_guarded, "mysql", self._warehouse.progress, problems)
        taken_at = self._clock.time_ms()
        rows = warehouse.result() or []
        symbols = (
            _merge(symbol, exchange.result() or {}, producer.result() or {}, {row.symbol: row for row in rows})
            for symbol in self._settings.symbols
        )
        freshest = max((row.updated_at for row in rows), default=None)
        return Positions(taken_at, tuple(symbols), tuple(partitions.result() or ()), freshest, problems)

    def close(self) -> None:
        """Free connections and threads."""
        self._pool.shutdown()
        self._rest.close()
        self._offsets.close()
        self._warehouse.close()

    def _exchange_ids(self) -> dict[str, int | None]:
        return {symbol: self._rest.newest_trade_id(symbol) for symbol in self._settings.symbols}

    def _producer(self) -> dict[str, dict[str, Any]]:
        url = f"http://{self._settings.producer_host}:{self._settings.producer_health_port}/health"
        answer = requests.get(url, timeout=_DEADLINE_SECONDS)
        answer.raise_for_status()
        symbols: dict[str, dict[str, Any]] = answer.json()["symbols"]
        return symbols

    def _partitions(self) -> list[PartitionPosition]:
        ends, finished = self._offsets.end_offsets(), self._offsets.committed_offsets()
        return _partition_positions(ends, finished)


def _partition_positions(ends: Offsets, finished: Offsets) -> list[PartitionPosition]:
    return [PartitionPosition(partition, end, finished.get(partition)) for partition, end in sorted(ends.items())]


def _merge(
    symbol: str,
    exchange: dict[str, int | None],
    producer: dict[str, dict[str, Any]],
    counted: dict[str, SymbolProgress],
) -> SymbolPosition:
    position = SymbolPosition(symbol, exchange=exchange.get(symbol))
    if state := producer.get(symbol):
        position = replace(
            position,
            received=state.get("received"),
            acknowledged=state.get("acknowledged"),
            newest_event_time_ms=state.get("newest_event_time_ms"),
        )
    if row := counted.get(symbol):
        position = replace(position, counted=row.newest_trade_id, newest_window_end=row.newest_window_end)
    return position


def _guarded(name: str, read: Callable[[], T], problems: dict[str, str]) -> T | None:
    try:
        return read()
    except Exception as error:  # a source that is away is a fact to show, not a failure of the view
        problems[name] = f"{type(error).__name__}: {error}"[:160]
        return None
