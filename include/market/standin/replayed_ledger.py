"""The ledger of a replayed archive: recorded trades happen at their own pace, or faster, and keep their times."""

from __future__ import annotations

import numpy as np

from include.market.standin.errors import StandInError
from include.market.standin.ledger import Pace
from include.market.standin.trades import TradeColumns


class ReplayedLedger:
    """See :class:`include.market.standin.ledger.Ledger`. One symbol has the recorded trades, the others have none.

    The first trade happens at once, each other one ``factor`` times as soon after it as was recorded. A pace that stops
    the symbol, or all, holds the replay; a factor of the pace multiplies the replay's. After the last trade the market
    is quiet, yet market time goes on.
    """

    def __init__(self, symbols: tuple[str, ...], symbol: str, trades: TradeColumns, factor: float, now_us: int) -> None:
        if symbol not in symbols:
            raise StandInError(f"the replayed trades are of {symbol}; the symbols are {', '.join(symbols)}")
        self._symbols, self._symbol, self._trades, self._factor = symbols, symbol, trades, factor
        self._pace = Pace()
        self._clock_us = now_us
        self._position_us = float(trades.time_us[0])
        self._happened = 0
        self._count()

    @property
    def symbols(self) -> tuple[str, ...]:
        """See :class:`Ledger`."""
        return self._symbols

    @property
    def now_us(self) -> int:
        """See :class:`Ledger`."""
        return int(self._position_us)

    @property
    def resumed(self) -> bool:
        """See :class:`Ledger`."""
        return False

    def advance(self, now_us: int) -> None:
        """See :class:`Ledger`."""
        passed, self._clock_us = max(0, now_us - self._clock_us), max(now_us, self._clock_us)
        if self._symbol not in self._pace.stopped:
            self._position_us += passed * self._factor * self._pace.factor
            self._count()

    def set_pace(self, pace: Pace) -> None:
        """See :class:`Ledger`."""
        self._pace = pace

    def first_id(self, symbol: str) -> int:
        """See :class:`Ledger`."""
        return self._of(symbol).first_id

    def next_id(self, symbol: str) -> int:
        """See :class:`Ledger`."""
        return self._of(symbol).stop_id

    def columns(self, symbol: str, first: int, stop: int) -> TradeColumns:
        """See :class:`Ledger`."""
        trades = self._of(symbol)
        first = max(first, trades.first_id)
        return trades.slice(first, max(first, min(stop, trades.stop_id)))

    def id_at(self, symbol: str, time_us: int) -> int:
        """See :class:`Ledger`."""
        trades = self._of(symbol)
        return trades.first_id + int(np.searchsorted(trades.time_us, time_us))

    def first_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """See :class:`Ledger`."""
        trades = self._of(symbol)
        return trades.first_id + int(np.searchsorted(trades.aggregate, aggregate_id))

    def close(self) -> None:
        """See :class:`Ledger`; a replay always starts anew."""

    def _of(self, symbol: str) -> TradeColumns:
        """What has happened of a symbol."""
        if symbol not in self._symbols:
            raise KeyError(symbol)
        if symbol != self._symbol:
            return TradeColumns.concatenate([], 1)
        return self._trades.slice(self._trades.first_id, self._trades.first_id + self._happened)

    def _count(self) -> None:
        self._happened = int(np.searchsorted(self._trades.time_us, int(self._position_us), side="right"))
