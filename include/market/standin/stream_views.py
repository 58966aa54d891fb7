"""Streams that are made of the trades: ``@kline_<interval>``, ``@miniTicker`` and ``@bookTicker``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from include.market.standin.broadcast import Batch
from include.market.standin.faults import Faults
from include.market.standin.intervals import INTERVALS, span_of
from include.market.standin.klines import Kline, Klines
from include.market.standin.ledger import Ledger
from include.market.standin.payloads import TimeUnit
from include.market.standin.tickers import Tickers
from include.market.standin.trades import text

Event = Callable[[TimeUnit], dict[str, Any]]
_SECOND_US = 1_000_000


class ViewBroadcast:
    """Events of the derived streams of all symbols."""

    def __init__(self, ledger: Ledger, klines: Klines, tickers: Tickers) -> None:
        self._ledger, self._klines, self._tickers = ledger, klines, tickers
        self._due: dict[str, int] = {}  # stream → market time (µs) of its next event
        self._open_spans: dict[str, int] = {}  # kline stream → start (ms) of the candlestick sent last
        self._book_updates: dict[str, int] = {}  # book stream → update id sent last
        self._sources = {
            f"{symbol.lower()}@{kind}": (symbol, kind)
            for symbol in ledger.symbols
            for kind in ("bookTicker", "miniTicker", *(f"kline_{interval}" for interval in INTERVALS))
        }

    def batches(self, wanted: set[str], faults: Faults) -> list[Batch]:
        """Events that are due, for the streams that are ``wanted``."""
        for state in (self._due, self._open_spans, self._book_updates):
            for stream in state.keys() - wanted:
                del state[stream]
        event_us = self._ledger.now_us + faults.clock_skew_ms * 1000
        batches = []
        for stream in sorted(wanted & self._sources.keys()):
            if events := self._events(stream, event_us):
                batches.append(Batch(stream, _encoder(events)))
        return batches

    def _events(self, stream: str, event_us: int) -> list[Event]:
        symbol, kind = self._sources[stream]
        if kind == "bookTicker":
            return self._book(stream, symbol)
        period = _SECOND_US if kind in ("miniTicker", "kline_1s") else 2 * _SECOND_US
        if self._ledger.now_us < self._due.get(stream, 0):
            return []
        self._due[stream] = self._ledger.now_us // period * period + period
        if kind == "miniTicker":
            return [lambda unit: self._mini_ticker(symbol, event_us // unit)]
        return self._candlesticks(stream, symbol, kind.removeprefix("kline_"), event_us)

    def _candlesticks(self, stream: str, symbol: str, interval: str, event_us: int) -> list[Event]:
        """The current candlestick, after the closed one when a new one has begun."""
        now_ms = self._ledger.now_us // 1000
        start = span_of(interval, now_ms)[0]
        before = self._open_spans.get(stream, start)
        self._open_spans[stream] = start
        moments = [(now_ms, False)] if before == start else [(before, True), (now_ms, False)]
        found = [(self._klines.at(symbol, interval, moment), closed) for moment, closed in moments]
        return [_candlestick(kline, closed, event_us) for kline, closed in found if kline is not None]

    def _book(self, stream: str, symbol: str) -> list[Event]:
        update, bid, ask = self._tickers.best(symbol)
        if not update or self._book_updates.get(stream) == update:
            return []
        self._book_updates[stream] = update
        return [
            lambda unit: {
                "u": update,
                "s": symbol,
                "b": text(bid.price),
                "B": text(bid.qty),
                "a": text(ask.price),
                "A": text(ask.qty),
            }
        ]

    def _mini_ticker(self, symbol: str, event_time: int) -> dict[str, Any]:
        day = self._tickers.day_ticker(symbol, TimeUnit.MILLISECOND, mini=True)
        return {
            "e": "24hrMiniTicker",
            "E": event_time,
            "s": symbol,
            "c": day["lastPrice"],
            "o": day["openPrice"],
            "h": day["highPrice"],
            "l": day["lowPrice"],
            "v": day["volume"],
            "q": day["quoteVolume"],
        }


def _candlestick(kline: Kline, closed: bool, event_us: int) -> Event:
    return lambda unit: kline.event(unit, closed, event_us)


def _encoder(events: list[Event]) -> Callable[[TimeUnit], list[bytes]]:
    return lambda unit: [msgspec.json.encode(event(unit)) for event in events]
