"""An independent reference for the moving averages: plain Python and Decimal, nothing of the product.

A window of ``n`` minutes starts on a minute, covers event times ``start`` ≤ T < ``start`` + n minutes, and exists when
it has a trade. SMA is the mean trade price, VWAP is Σ(price × quantity) / Σ quantity, both rounded half up at the 8th
decimal. The last price is the one of the highest trade id.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Protocol

MINUTE_MS = 60_000
_EXACT = Context(prec=200)  # wide enough that no sum or product of trades is ever rounded

WindowKey = tuple[str, int, int]  # symbol, minutes, start in milliseconds since the epoch


class TradeLike(Protocol):
    """What the reference needs to know of a trade."""

    @property
    def symbol(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def qty(self) -> Decimal: ...
    @property
    def time_ms(self) -> int: ...


@dataclass(frozen=True)
class ReferenceTrade:
    """A trade."""

    symbol: str
    id: int
    price: Decimal
    qty: Decimal
    time_ms: int


@dataclass(frozen=True)
class ReferenceAverage:
    """What the table must hold for one window."""

    sma: Decimal
    vwap: Decimal
    trade_count: int
    volume: Decimal
    first_trade_id: int
    last_trade_id: int
    last_price: Decimal


def reference_averages(trades: Iterable[TradeLike], windows: Iterable[int]) -> dict[WindowKey, ReferenceAverage]:
    """The averages of every window that has a trade. A trade that is given twice counts once."""
    unique = {(trade.symbol, trade.id): trade for trade in trades}
    members: defaultdict[WindowKey, list[TradeLike]] = defaultdict(list)
    for minutes in windows:
        for trade in unique.values():
            newest_start = trade.time_ms // MINUTE_MS * MINUTE_MS
            for earlier in range(minutes):
                members[trade.symbol, minutes, newest_start - earlier * MINUTE_MS].append(trade)
    return {key: _average(group) for key, group in members.items()}


def _average(trades: list[TradeLike]) -> ReferenceAverage:
    prices = volume = turnover = Decimal(0)
    for trade in trades:
        prices = _EXACT.add(prices, trade.price)
        volume = _EXACT.add(volume, trade.qty)
        turnover = _EXACT.add(turnover, _EXACT.multiply(trade.price, trade.qty))
    last = max(trades, key=lambda trade: trade.id)
    return ReferenceAverage(
        sma=_rounded_quotient(prices, Decimal(len(trades))),
        vwap=_rounded_quotient(turnover, volume),
        trade_count=len(trades),
        volume=volume,
        first_trade_id=min(trade.id for trade in trades),
        last_trade_id=last.id,
        last_price=last.price,
    )


def _rounded_quotient(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Numerator / denominator, rounded half up once at the 8th decimal: with integers, so never twice."""
    top, bottom = numerator.as_integer_ratio(), denominator.as_integer_ratio()
    scaled, divisor = top[0] * bottom[1] * 10**8, top[1] * bottom[0]
    units = (2 * scaled + divisor) // (2 * divisor)
    return Decimal(units).scaleb(-8, _EXACT)


def load_archive_trades(path: Path, symbol: str) -> list[ReferenceTrade]:
    """Trades of a CSV in the layout of the exchange's public archive, with or without its header line."""
    trades = []
    with path.open(newline="") as file:
        for row in csv.reader(file):
            if row[0] == "id":
                continue
            time = int(row[4])
            time_ms = time // 1000 if len(row[4]) > 14 else time  # newer archives are in microseconds
            trades.append(ReferenceTrade(symbol, int(row[0]), Decimal(row[1]), Decimal(row[2]), time_ms))
    return trades


def trade_of_message(value: bytes | str | Mapping[str, Any]) -> ReferenceTrade:
    """The trade in a raw ``@trade`` message, as in the topic."""
    message = value if isinstance(value, Mapping) else json.loads(value)
    return ReferenceTrade(message["s"], message["t"], Decimal(message["p"]), Decimal(message["q"]), message["T"])
