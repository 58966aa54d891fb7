"""The exchange's market data as types (``web-socket-streams.md`` and ``rest-api.md`` of its API documentation).

Prices and quantities stay strings: they are exact decimals and must never pass through a float. Fields that are not
named here are accepted and ignored, as the exchange adds some from time to time.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class CombinedFrame(msgspec.Struct, gc=False):
    """A frame of a combined stream, ``{"stream": name, "data": event}``; ``data`` is left undecoded."""

    data: msgspec.Raw


class TradeEvent(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={
        "event": "e",
        "event_time_ms": "E",
        "symbol": "s",
        "trade_id": "t",
        "price": "p",
        "quantity": "q",
        "trade_time_ms": "T",
        "buyer_is_maker": "m",
        "ignored": "M",
    },
):
    """The payload of ``<symbol>@trade``. Times are milliseconds since the epoch; ids are consecutive per symbol."""

    event: Literal["trade"]
    event_time_ms: int
    symbol: str
    trade_id: int
    price: str
    quantity: str
    trade_time_ms: int
    buyer_is_maker: bool
    ignored: bool = True


class EventHeader(msgspec.Struct, gc=False, rename={"event": "e"}):
    """The little that any frame may say about itself: the kind of its event, or the event that it wraps."""

    event: str | None = None
    data: msgspec.Raw = msgspec.Raw()  # empty when the frame is no wrapper


def event_kind(frame: bytes) -> str | None:
    """The ``e`` of an event in the raw or the combined shape; None when it has none that is a string.

    Raises ``msgspec.DecodeError`` (or ``UnicodeDecodeError``) when the frame is not JSON.
    """
    try:
        header = msgspec.json.decode(frame, type=EventHeader)
        return msgspec.json.decode(header.data, type=EventHeader).event if bytes(header.data) else header.event
    except msgspec.ValidationError:
        return None


class RestTrade(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={
        "trade_id": "id",
        "quantity": "qty",
        "trade_time_ms": "time",
        "buyer_is_maker": "isBuyerMaker",
        "best_match": "isBestMatch",
    },
):
    """A row of ``GET /api/v3/trades`` and ``/api/v3/historicalTrades``."""

    trade_id: int
    price: str
    quantity: str
    trade_time_ms: int
    buyer_is_maker: bool
    best_match: bool = True

    def as_event(self, symbol: str) -> TradeEvent:
        """The same trade in the shape of the stream; the event time is the trade time, as REST gives no other."""
        return TradeEvent(
            event="trade",
            event_time_ms=self.trade_time_ms,
            symbol=symbol,
            trade_id=self.trade_id,
            price=self.price,
            quantity=self.quantity,
            trade_time_ms=self.trade_time_ms,
            buyer_is_maker=self.buyer_is_maker,
            ignored=self.best_match,
        )


class AggregateTrade(
    msgspec.Struct, frozen=True, gc=False, rename={"aggregate_id": "a", "first_trade_id": "f", "last_trade_id": "l"}
):
    """A row of ``GET /api/v3/aggTrades``, as far as it is used: the range of trade ids it stands for."""

    aggregate_id: int
    first_trade_id: int
    last_trade_id: int


class RateLimit(
    msgspec.Struct,
    frozen=True,
    rename={"kind": "rateLimitType", "interval": "interval", "interval_count": "intervalNum"},
):
    """One entry of ``exchangeInfo.rateLimits``."""

    kind: str
    interval: str
    interval_count: int
    limit: int


class SymbolInfo(msgspec.Struct, frozen=True):
    """One entry of ``exchangeInfo.symbols``; ``status`` is TRADING, HALT, BREAK, …"""

    symbol: str
    status: str


class ExchangeInfo(msgspec.Struct, frozen=True, rename={"rate_limits": "rateLimits"}):
    """``GET /api/v3/exchangeInfo``, as far as it is used."""

    rate_limits: list[RateLimit] = []
    symbols: list[SymbolInfo] = []

    def weight_per_minute(self) -> int | None:
        """The limit of REQUEST_WEIGHT per minute and IP; None when it is not stated."""
        for entry in self.rate_limits:
            if entry.kind == "REQUEST_WEIGHT" and entry.interval == "MINUTE" and entry.interval_count == 1:
                return entry.limit
        return None


class ApiErrorBody(msgspec.Struct, frozen=True, rename={"message": "msg"}):
    """The body of a refused REST call, ``{"code": -1121, "msg": "Invalid symbol."}``."""

    code: int = 0
    message: str = ""
