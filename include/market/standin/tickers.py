"""Prices of the moment: the last 24 hours, the average of five minutes, and a book around the last trade.

The exchange has no orders; its book is made up around the last price, the same for all who ask after the same trade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from include.market.standin.bars import Bar, Bars
from include.market.standin.generator import key_of
from include.market.standin.ledger import Ledger
from include.market.standin.payloads import TimeUnit
from include.market.standin.trades import text

_DAY_US = 86_400_000_000
_AVERAGE_MINUTES = 5
_TICK = 10**6
_LOT = 10**3


@dataclass(frozen=True, slots=True)
class Quote:
    """A level of the book, in units of 10⁻⁸."""

    price: int
    qty: int

    def pair(self) -> list[str]:
        """The level as the exchange writes it."""
        return [text(self.price), text(self.qty)]


@dataclass(frozen=True, slots=True)
class Last:
    """The newest trade of a symbol."""

    id: int
    price: int
    qty: int
    time_us: int
    buyer_maker: bool


class Tickers:
    """Prices of the moment of a ledger. For a symbol without trades all prices are 0."""

    def __init__(self, ledger: Ledger, bars: Bars) -> None:
        self._ledger, self._bars = ledger, bars

    def last(self, symbol: str) -> Last | None:
        """The newest trade."""
        stop = self._ledger.next_id(symbol)
        newest = self._ledger.columns(symbol, stop - 1, stop)
        if not len(newest):
            return None
        return Last(
            stop - 1,
            int(newest.price[0]),
            int(newest.qty[0]),
            int(newest.time_us[0]),
            bool(newest.buyer_maker[0]),
        )

    def book(self, symbol: str, levels: int) -> tuple[int, list[Quote], list[Quote]]:
        """Update id, bids and asks, best first."""
        last = self.last(symbol)
        if last is None:
            return 0, [], []
        bid = last.price if last.buyer_maker else last.price - _TICK
        sides = []
        for side, best, step in (("bid", bid, -_TICK), ("ask", bid + _TICK, _TICK)):
            prices = [best + step * level for level in range(levels) if best + step * level > 0]
            sides.append([Quote(p, (1 + key_of(symbol, side, last.id, p) % 500_000) * _LOT) for p in prices])
        return last.id, sides[0], sides[1]

    def price(self, symbol: str) -> dict[str, Any]:
        """``/api/v3/ticker/price``."""
        last = self.last(symbol)
        return {"symbol": symbol, "price": text(last.price if last else 0)}

    def book_ticker(self, symbol: str) -> dict[str, Any]:
        """``/api/v3/ticker/bookTicker``."""
        bid, ask = self.best(symbol)[1:]
        return {
            "symbol": symbol,
            "bidPrice": text(bid.price),
            "bidQty": text(bid.qty),
            "askPrice": text(ask.price),
            "askQty": text(ask.qty),
        }

    def best(self, symbol: str) -> tuple[int, Quote, Quote]:
        """Update id, best bid and best ask."""
        update, bids, asks = self.book(symbol, 1)
        return update, bids[0] if bids else Quote(0, 0), asks[0] if asks else Quote(0, 0)

    def average(self, symbol: str, unit: TimeUnit) -> dict[str, Any]:
        """``/api/v3/avgPrice``: volume-weighted over five minutes, or the last price when nothing was traded."""
        now, last = self._ledger.now_us, self.last(symbol)
        bar = self._bars.over(symbol, now + 1 - _AVERAGE_MINUTES * 60_000_000, now + 1)
        price = bar.average if bar else last.price if last else 0
        return {"mins": _AVERAGE_MINUTES, "price": text(price), "closeTime": (last.time_us if last else now) // unit}

    def day(self, symbol: str) -> Bar | None:
        """The last 24 hours."""
        return self._bars.over(symbol, self._ledger.now_us + 1 - _DAY_US, self._ledger.now_us + 1)

    def day_ticker(self, symbol: str, unit: TimeUnit, mini: bool) -> dict[str, Any]:
        """``/api/v3/ticker/24hr``."""
        bar, last = self.day(symbol), self.last(symbol)
        close = last.price if last else 0
        opened = bar.open if bar else close
        change = close - opened
        head: dict[str, Any] = {
            "symbol": symbol,
            "priceChange": signed(change),
            "priceChangePercent": f"{change * 100 / opened if opened else 0:.3f}",
            "weightedAvgPrice": text(bar.average if bar else 0),
            "prevClosePrice": text(opened),
            "lastPrice": text(close),
            "lastQty": text(last.qty if last else 0),
        }
        book = {k: v for k, v in self.book_ticker(symbol).items() if k != "symbol"}
        tail = {
            "openPrice": text(opened),
            "highPrice": text(bar.high if bar else close),
            "lowPrice": text(bar.low if bar else close),
            "volume": text(bar.volume if bar else 0),
            "quoteVolume": text(bar.quote_units if bar else 0),
            "openTime": (self._ledger.now_us - _DAY_US) // unit,
            "closeTime": self._ledger.now_us // unit,
            "firstId": bar.first_id if bar else -1,
            "lastId": bar.last_id if bar else -1,
            "count": bar.count if bar else 0,
        }
        return {"symbol": symbol, "lastPrice": text(close)} | tail if mini else head | book | tail


def signed(units: int) -> str:
    """A price difference as the exchange writes it."""
    return f"-{text(-units)}" if units < 0 else text(units)
