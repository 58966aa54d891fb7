"""How long the table is without fresh rows, from the exchange's own book and the table alone."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

import requests
from sqlalchemy.exc import SQLAlchemyError

from include.settings import Settings
from include.warehouse.reader import WarehouseReader

_LOOK_SECONDS = 0.1
_CAUGHT_UP_SECONDS = 3.0  # behind the exchange; a second of it is the micro-batch


class FreshnessMeter:
    """Looks ten times a second, in a thread. Moments are seconds since the epoch."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._symbol = settings, settings.symbols[0]
        self._stop = threading.Event()
        self._at_exchange: deque[tuple[float, int]] = deque(maxlen=20_000)
        self._counted: deque[tuple[float, int]] = deque(maxlen=20_000)
        self._threads = [threading.Thread(target=look, daemon=True) for look in (self._exchange, self._table)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def fresh_at(self, fault: float) -> float | None:
        """When the first trade that happened after the fault was in the table."""
        after = next((newest for at, newest in tuple(self._at_exchange) if at >= fault), None)
        if after is None:
            return None
        return next((at for at, newest in tuple(self._counted) if at >= fault and newest > after), None)

    def caught_up_at(self, fault: float) -> float | None:
        """When the table was, after the fault, no more than some seconds behind the exchange."""
        fresh = self.fresh_at(fault)
        if fresh is None:
            return None
        before = deque(tuple(self._at_exchange))
        newest_then = 0
        for at, counted in tuple(self._counted):
            while before and before[0][0] <= at - _CAUGHT_UP_SECONDS:
                newest_then = before.popleft()[1]
            if at >= fresh and counted >= newest_then:
                return at
        return None

    def _exchange(self) -> None:
        url = f"http://127.0.0.1:{self._settings.exchange_control_port}/control/ledger"
        session = requests.Session()
        while not self._stop.wait(_LOOK_SECONDS):
            answer = session.get(url, params={"symbol": self._symbol, "from": "0", "to": "0"}, timeout=5)
            self._at_exchange.append((time.time(), answer.json()["next_id"] - 1))

    def _table(self) -> None:
        while not self._stop.is_set():
            reader = WarehouseReader(self._settings)
            try:
                while not self._stop.wait(_LOOK_SECONDS):
                    rows = {row.symbol: row.newest_trade_id for row in reader.progress()}
                    self._counted.append((time.time(), rows.get(self._symbol, 0)))
            except SQLAlchemyError:
                self._stop.wait(_LOOK_SECONDS)  # it is away: with another connection, again
            finally:
                reader.close()
