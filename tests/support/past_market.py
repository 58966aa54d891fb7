"""A stand-in exchange with a past: minutes of trades that have happened already, served from a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from include.market.standin import StandInConfig, StandInExchange
from include.market.standin.config import Limits
from include.market.standin.faults import SymbolStatus
from include.market.standin.trades import Trade
from include.runtime.clock import ManualClock

T = TypeVar("T")


class PastMarket:
    """``minutes`` of trades before now; only the symbols in ``live`` go on trading, at the pace of real time."""

    def __init__(self, symbols: tuple[str, ...], minutes: float, rate: float, live: tuple[str, ...] = ()) -> None:
        self._symbols, self._seconds, self._live = symbols, minutes * 60, live
        self._clock = ManualClock(time.time_ns() // 1_000_000 - round(self._seconds * 1000))
        limits = Limits(request_weight_per_minute=1_000_000)
        self._config = StandInConfig(symbols=symbols, rate=rate, limits=limits)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ticking: Future[Any] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        self._ticking = asyncio.run_coroutine_threadsafe(self._tick(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        self._do(self.exchange.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def trades(self, symbol: str, first: int = 0) -> list[Trade]:
        """Those of a symbol so far, from the id ``first`` on."""
        ledger = self.exchange.ledger
        return self._call(lambda: list(ledger.columns(symbol, first, ledger.next_id(symbol)).records(symbol)))

    def faults(self, **faults: Any) -> None:
        """Switch faults on or off."""
        self._call(lambda: self.exchange.faults.set(**faults))

    @property
    def port(self) -> int:
        """Of the public endpoint."""
        return int(self.exchange.rest_url.rsplit(":", 1)[1])

    async def _open(self) -> None:
        self.exchange = StandInExchange(self._config, self._clock)
        await self.exchange.start()
        await self.exchange.advance(self._seconds)
        halted = {symbol: SymbolStatus.HALT for symbol in self._symbols if symbol not in self._live}
        self.exchange.faults.set(symbol_status=halted)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            behind = time.time_ns() // 1_000_000 - self._clock.time_ms()
            await self.exchange.advance(max(0.0, behind / 1000))

    def _call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return self._do(run())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
