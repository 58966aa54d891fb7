"""REST answers that list trades: ``trades``, ``historicalTrades``, ``aggTrades``."""

from __future__ import annotations

from typing import Any

from include.market.standin.ledger import Ledger
from include.market.standin.parameters import ApiError, Parameters
from include.market.standin.payloads import TimeUnit, aggregates
from include.market.standin.trades import UNITS, TradeColumns, text

_ORDER_TRADES = 8  # a first guess of how many trades an aggregate has at most


class TradeAnswers:
    """Lists trades of the ledger; every answer is in chronological order."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def recent(self, parameters: Parameters, unit: TimeUnit) -> list[dict[str, Any]]:
        """``/api/v3/trades``: the newest trades."""
        symbol, limit = parameters.symbol(), parameters.limit()
        parameters.check_all_read()
        stop = self._ledger.next_id(symbol)
        return trade_fields(self._ledger.columns(symbol, stop - limit, stop), unit)

    def historical(self, parameters: Parameters, unit: TimeUnit) -> list[dict[str, Any]]:
        """``/api/v3/historicalTrades``: trades from ``fromId`` on, without it the newest."""
        symbol, limit, from_id = parameters.symbol(), parameters.limit(), parameters.number("fromId")
        parameters.check_all_read()
        stop = self._ledger.next_id(symbol)
        first = stop - limit if from_id is None else max(from_id, self._ledger.first_id(symbol))
        return trade_fields(self._ledger.columns(symbol, first, first + limit), unit)

    def aggregate(self, parameters: Parameters, unit: TimeUnit) -> list[dict[str, Any]]:
        """``/api/v3/aggTrades``: by ``fromId`` (inclusive), or by time (both ends inclusive), else the newest."""
        symbol, limit, from_id = parameters.symbol(), parameters.limit(), parameters.number("fromId")
        start_ms, end_ms = parameters.number("startTime"), parameters.number("endTime")
        parameters.check_all_read()
        if from_id is not None and (start_ms is not None or end_ms is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if start_ms is not None and end_ms is not None and start_ms > end_ms:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        stop = self._ledger.next_id(symbol) if end_ms is None else self._ledger.id_at(symbol, (end_ms + 1) * 1000)
        if from_id is not None:
            first = self._ledger.first_of_aggregate(symbol, from_id)
        elif start_ms is not None:
            first = self._ledger.id_at(symbol, start_ms * 1000)
        else:
            return [item.fields(unit) for item in self._newest(symbol, stop, limit)]
        return [item.fields(unit) for item in self._oldest(symbol, first, stop, limit)]

    def _oldest(self, symbol: str, first: int, stop: int, limit: int) -> list[Any]:
        """At most ``limit`` aggregates from trade ``first`` on; reads further until they are complete."""
        span = limit * _ORDER_TRADES
        while True:
            found = aggregates(self._ledger.columns(symbol, first, min(stop, first + span)))
            if first + span >= stop or len(found) > limit:
                return found[:limit]
            span *= 2

    def _newest(self, symbol: str, stop: int, limit: int) -> list[Any]:
        span, oldest = limit * _ORDER_TRADES, self._ledger.first_id(symbol)
        while True:
            found = aggregates(self._ledger.columns(symbol, max(oldest, stop - span), stop))
            if stop - span <= oldest or len(found) > limit:
                return found[-limit:]
            span *= 2


def trade_fields(trades: TradeColumns, unit: TimeUnit) -> list[dict[str, Any]]:
    """Trades as REST gives them."""
    rows = trades.rows(unit)
    return [
        {
            "id": trade_id,
            "price": text(price),
            "qty": text(qty),
            "quoteQty": text(price * qty // UNITS),
            "time": time,
            "isBuyerMaker": maker,
            "isBestMatch": best,
        }
        for trade_id, price, qty, time, maker, best in rows
    ]
