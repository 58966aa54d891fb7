"""REST answers about the market as a whole: candlesticks, tickers, average price, depth."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from include.market.standin.context import Context
from include.market.standin.faults import SymbolStatus
from include.market.standin.intervals import INTERVALS
from include.market.standin.klines import Klines
from include.market.standin.parameters import ApiError, Parameters
from include.market.standin.payloads import TimeUnit
from include.market.standin.tickers import Tickers

_TIME_ZONE = re.compile(r"([+-]?)(\d{1,2})(?::(\d{2}))?\Z")
_MOST_LEVELS = 5000


class MarketAnswers:
    """Candlesticks and tickers, from the same ledger as the trades."""

    def __init__(self, context: Context, klines: Klines, tickers: Tickers) -> None:
        self._symbols, self._faults = context.ledger.symbols, context.faults
        self._klines, self._tickers = klines, tickers

    def candlesticks(self, parameters: Parameters, unit: TimeUnit) -> list[list[Any]]:
        """``/api/v3/klines`` and ``/api/v3/uiKlines``."""
        symbol, limit = parameters.symbol(), parameters.limit()
        if (interval := parameters.text("interval")) is None:
            raise ApiError(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
        start, end = parameters.number("startTime"), parameters.number("endTime")
        offset = _offset_ms(parameters.text("timeZone"))
        parameters.check_all_read()
        if interval not in INTERVALS:
            raise ApiError(-1120, "Invalid interval.")
        found = self._klines.between(symbol, interval, start_ms=start, end_ms=end, limit=limit, offset_ms=offset)
        return [kline.row(unit) for kline in found]

    def price(self, parameters: Parameters, unit: TimeUnit) -> Any:
        """``/api/v3/ticker/price``."""
        return self._each(parameters, self._tickers.price)

    def book_ticker(self, parameters: Parameters, unit: TimeUnit) -> Any:
        """``/api/v3/ticker/bookTicker``."""
        return self._each(parameters, self._tickers.book_ticker)

    def day(self, parameters: Parameters, unit: TimeUnit) -> Any:
        """``/api/v3/ticker/24hr``."""
        kind = parameters.text("type") or "FULL"
        if kind not in ("FULL", "MINI"):
            raise ApiError(-1139, "Invalid ticker type.")
        return self._each(parameters, lambda symbol: self._tickers.day_ticker(symbol, unit, mini=kind == "MINI"))

    def average(self, parameters: Parameters, unit: TimeUnit) -> dict[str, Any]:
        """``/api/v3/avgPrice``."""
        symbol = parameters.symbol()
        parameters.check_all_read()
        return self._tickers.average(symbol, unit)

    def depth(self, parameters: Parameters, unit: TimeUnit) -> dict[str, Any]:
        """``/api/v3/depth``."""
        symbol, limit = parameters.symbol(), parameters.limit(100, _MOST_LEVELS)
        parameters.check_all_read()
        update, bids, asks = self._tickers.book(symbol, limit)
        return {"lastUpdateId": update, "bids": [q.pair() for q in bids], "asks": [q.pair() for q in asks]}

    def _each(self, parameters: Parameters, answer: Callable[[str], dict[str, Any]]) -> Any:
        """One object for ``symbol``; a list for ``symbols`` or for all. ``symbolStatus`` filters or has to match."""
        names, status = parameters.symbols(), parameters.text("symbolStatus")
        single = parameters.text("symbol") is not None
        parameters.check_all_read()
        if status is not None and status not in list(SymbolStatus):
            raise ApiError(-1122, "Invalid symbolStatus.")
        matching = [s for s in names or self._symbols if status in (None, self._faults.current.status_of(s))]
        if names is not None and len(matching) < len(names):
            raise ApiError(-1220, "The symbol's status does not match the requested symbolStatus.")
        return answer(matching[0]) if single else [answer(symbol) for symbol in matching]


def _offset_ms(zone: str | None) -> int:
    """``timeZone`` (hours and minutes like ``-1:00`` or ``5``, −12:00 to +14:00) in milliseconds."""
    match = _TIME_ZONE.match(zone or "0")
    if match is None:
        raise ApiError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    sign, hours, minutes = match.groups()
    offset = (int(hours) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    if not -12 * 60 <= offset <= 14 * 60:
        raise ApiError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    return offset * 60_000
