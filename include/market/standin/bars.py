"""Open, high, low, close and volumes over any span of time, summed exactly from the ledger.

Whole minutes are kept once they have been summed, so that a day costs 1,440 additions, not millions.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from operator import mul

from include.market.standin.ledger import Ledger
from include.market.standin.trades import UNITS, TradeColumns

MINUTE_US = 60_000_000
_KEPT_MINUTES = 3 * 1440  # of each symbol
_CHUNK = 100_000  # trades summed at a time


@dataclass(frozen=True, slots=True)
class Bar:
    """Sums over a span; prices and base volumes in units of 10⁻⁸, quote volumes in units of 10⁻¹⁶."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote_volume: int
    taker_volume: int  # of trades in which the buyer was the taker
    taker_quote_volume: int
    first_id: int
    last_id: int

    @property
    def count(self) -> int:
        """Number of trades."""
        return self.last_id - self.first_id + 1

    @property
    def quote_units(self) -> int:
        """Quote volume in units of 10⁻⁸."""
        return self.quote_volume // UNITS

    @property
    def average(self) -> int:
        """Volume-weighted price in units of 10⁻⁸."""
        return self.quote_volume // self.volume

    def join(self, later: Bar) -> Bar:
        """This span and the one right after it."""
        return Bar(
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.volume + later.volume,
            self.quote_volume + later.quote_volume,
            self.taker_volume + later.taker_volume,
            self.taker_quote_volume + later.taker_quote_volume,
            self.first_id,
            later.last_id,
        )


class Bars:
    """Bars of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._minutes: dict[str, OrderedDict[int, Bar | None]] = {s: OrderedDict() for s in ledger.symbols}
        self._open_minutes: dict[str, tuple[int, Bar | None]] = {}  # symbol → (minute, bar so far)

    def over(self, symbol: str, start_us: int, stop_us: int) -> Bar | None:
        """The trades with ``start_us`` ≤ time < ``stop_us``; ``None`` when there are none."""
        start_us, stop_us = self._within_ledger(symbol, start_us, stop_us)
        first_minute, last_minute = -(-start_us // MINUTE_US), stop_us // MINUTE_US
        if first_minute > last_minute:
            return self._sum(symbol, start_us, stop_us)
        parts = [self._sum(symbol, start_us, first_minute * MINUTE_US)]
        parts += [self._minute(symbol, minute) for minute in range(first_minute, last_minute)]
        parts.append(self._tail(symbol, last_minute, stop_us))
        return _join(parts)

    def _within_ledger(self, symbol: str, start_us: int, stop_us: int) -> tuple[int, int]:
        """The span without what lies before the first trade or after the newest."""
        first, stop = self._ledger.first_id(symbol), self._ledger.next_id(symbol)
        if first == stop:
            return start_us, start_us
        oldest = int(self._ledger.columns(symbol, first, first + 1).time_us[0])
        newest = int(self._ledger.columns(symbol, stop - 1, stop).time_us[0])
        start_us = max(start_us, oldest)
        return start_us, max(start_us, min(stop_us, newest + 1))

    def _minute(self, symbol: str, minute: int) -> Bar | None:
        """A minute that has ended: a later one has a trade."""
        kept = self._minutes[symbol]
        if minute not in kept:
            kept[minute] = self._tail(symbol, minute, (minute + 1) * MINUTE_US)
            if len(kept) > _KEPT_MINUTES:
                kept.popitem(last=False)
        return kept[minute]

    def _tail(self, symbol: str, minute: int, stop_us: int) -> Bar | None:
        """A minute from its start up to ``stop_us``, going on from what was summed of it before."""
        known_minute, known = self._open_minutes.get(symbol, (-1, None))
        start = self._ledger.id_at(symbol, minute * MINUTE_US)
        stop = self._ledger.id_at(symbol, stop_us)
        if known_minute == minute and known is not None and known.last_id < stop:
            bar = _join([known, self._sum_ids(symbol, known.last_id + 1, stop)])
        else:
            bar = self._sum_ids(symbol, start, stop)
        self._open_minutes[symbol] = (minute, bar)
        return bar

    def _sum(self, symbol: str, start_us: int, stop_us: int) -> Bar | None:
        return self._sum_ids(symbol, self._ledger.id_at(symbol, start_us), self._ledger.id_at(symbol, stop_us))

    def _sum_ids(self, symbol: str, first: int, stop: int) -> Bar | None:
        chunks = (range(first, stop)[i : i + _CHUNK] for i in range(0, max(0, stop - first), _CHUNK))
        return _join([bar_of(self._ledger.columns(symbol, chunk.start, chunk.stop)) for chunk in chunks])


def bar_of(trades: TradeColumns) -> Bar | None:
    """The bar of some trades; ``None`` for none."""
    if not len(trades):
        return None
    quotes = list(map(mul, trades.price.tolist(), trades.qty.tolist()))  # exact: beyond 64 bits
    takers = (~trades.buyer_maker).tolist()
    return Bar(
        int(trades.price[0]),
        int(trades.price.max()),
        int(trades.price.min()),
        int(trades.price[-1]),
        int(trades.qty.sum()),
        sum(quotes),
        int(trades.qty[~trades.buyer_maker].sum()),
        sum(quote for quote, taker in zip(quotes, takers, strict=True) if taker),
        trades.first_id,
        trades.stop_id - 1,
    )


def _join(parts: list[Bar | None]) -> Bar | None:
    joined: Bar | None = None
    for part in parts:
        if part is not None:
            joined = part if joined is None else joined.join(part)
    return joined
