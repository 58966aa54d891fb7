"""Candlesticks, for REST and for the streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.market.standin.bars import Bar, Bars
from include.market.standin.intervals import span_of
from include.market.standin.ledger import Ledger
from include.market.standin.payloads import TimeUnit
from include.market.standin.trades import UNITS, text

_EMPTY_ID = -1  # first and last trade id of a candlestick without trades


@dataclass(frozen=True, slots=True)
class Kline:
    """A candlestick over ``start_ms`` ≤ time < ``end_ms``. Without trades all prices are the close before it."""

    symbol: str
    interval: str
    start_ms: int
    end_ms: int
    bar: Bar | None
    previous_close: int

    def row(self, unit: TimeUnit) -> list[Any]:
        """The twelve elements of REST."""
        opened, closed = self._times(unit)
        prices, volumes, count = self._prices(), self._volumes(), self.bar.count if self.bar else 0
        return [opened, *prices, volumes[0], closed, volumes[1], count, volumes[2], volumes[3], "0"]

    def event(self, unit: TimeUnit, closed: bool, event_us: int) -> dict[str, Any]:
        """The event of ``<symbol>@kline_<interval>``."""
        start, end = self._times(unit)
        opened, high, low, last = self._prices()
        volume, quote, taker, taker_quote = self._volumes()
        return {
            "e": "kline",
            "E": event_us // unit,
            "s": self.symbol,
            "k": {
                "t": start,
                "T": end,
                "s": self.symbol,
                "i": self.interval,
                "f": self.bar.first_id if self.bar else _EMPTY_ID,
                "L": self.bar.last_id if self.bar else _EMPTY_ID,
                "o": opened,
                "c": last,
                "h": high,
                "l": low,
                "v": volume,
                "n": self.bar.count if self.bar else 0,
                "x": closed,
                "q": quote,
                "V": taker,
                "Q": taker_quote,
                "B": "0",
            },
        }

    def _times(self, unit: TimeUnit) -> tuple[int, int]:
        return self.start_ms * 1000 // unit, self.end_ms * 1000 // unit - 1

    def _prices(self) -> tuple[str, str, str, str]:
        if self.bar is None:
            flat = text(self.previous_close)
            return flat, flat, flat, flat
        return text(self.bar.open), text(self.bar.high), text(self.bar.low), text(self.bar.close)

    def _volumes(self) -> tuple[str, str, str, str]:
        if self.bar is None:
            return text(0), text(0), text(0), text(0)
        bar = self.bar
        return text(bar.volume), text(bar.quote_units), text(bar.taker_volume), text(bar.taker_quote_volume // UNITS)


class Klines:
    """Candlesticks of a ledger, from the interval of its first trade to the interval of now."""

    def __init__(self, ledger: Ledger, bars: Bars) -> None:
        self._ledger, self._bars = ledger, bars

    def at(self, symbol: str, interval: str, moment_ms: int) -> Kline | None:
        """The candlestick around a moment; ``None`` before the first trade."""
        start, end = span_of(interval, moment_ms)
        return next(self._span(symbol, interval, start, end, 0), None)

    def between(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int | None, limit: int, offset_ms: int
    ) -> list[Kline]:
        """Candlesticks that open within the two times (inclusive): the oldest with a start, else the newest."""
        first, stop = self._ledger.first_id(symbol), self._ledger.next_id(symbol)
        if first == stop:
            return []
        now_ms = self._ledger.now_us // 1000
        until = now_ms + 1 if end_ms is None else min(end_ms, now_ms) + 1
        oldest = span_of(interval, int(self._ledger.columns(symbol, first, first + 1).time_us[0]) // 1000, offset_ms)[0]
        if start_ms is not None:
            begin = max(oldest, self._opening(interval, start_ms, offset_ms))
        else:
            begin = self._steps_back(interval, until - 1, limit, oldest, offset_ms)
        found = []
        for kline in self._span(symbol, interval, begin, until, offset_ms):
            found.append(kline)
            if len(found) == limit:
                break
        return found

    def _opening(self, interval: str, moment_ms: int, offset_ms: int) -> int:
        """The first opening at or after a moment."""
        start, end = span_of(interval, moment_ms, offset_ms)
        return start if start == moment_ms else end

    def _steps_back(self, interval: str, moment_ms: int, steps: int, oldest: int, offset_ms: int) -> int:
        start = span_of(interval, moment_ms, offset_ms)[0]
        for _ in range(steps - 1):
            if start <= oldest:
                break
            start = span_of(interval, start - 1, offset_ms)[0]
        return max(start, oldest)

    def _span(self, symbol: str, interval: str, begin_ms: int, until_ms: int, offset_ms: int) -> Iterator[Kline]:
        """Candlesticks that open at ``begin_ms`` ≤ time < ``until_ms``."""
        before = self._ledger.columns(symbol, *self._last_before(symbol, begin_ms))
        close = int(before.price[0]) if len(before) else None
        while begin_ms < until_ms:
            start, end = span_of(interval, begin_ms, offset_ms)
            bar = self._bars.over(symbol, start * 1000, end * 1000)
            if bar is not None or close is not None:
                yield Kline(symbol, interval, start, end, bar, close or 0)
            close = bar.close if bar else close
            begin_ms = end

    def _last_before(self, symbol: str, moment_ms: int) -> tuple[int, int]:
        stop = self._ledger.id_at(symbol, moment_ms * 1000)
        return stop - 1, stop
