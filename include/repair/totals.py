"""The exchange's trades summed per minute, and windows of them: exact decimals, nothing of the stream's own code.

A window of ``n`` minutes starts on a minute and exists when it has a trade. Mean price, and Σ(price × quantity) /
Σ quantity, are rounded half up at the 8th decimal; the last price is the one of the highest trade id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from typing import NamedTuple

from include.market.messages import RestTrade

_EXACT = Context(prec=120, traps=[Inexact])  # sums and products of trades fit by far; anything else must not pass
_SCALE = 10**8


class Values(NamedTuple):
    """What a row must say. Of a minute's sums, ``one`` is Σ price and ``two`` Σ(price × quantity); of a window, mean
    price and volume-weighted mean price.
    """

    one: Decimal
    two: Decimal
    trades: int
    volume: Decimal
    first_id: int
    last_id: int
    last_price: Decimal


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over at least one trade."""

    prices: Decimal
    turnover: Decimal
    volume: Decimal
    trades: int
    first_id: int
    last_id: int
    last_price: Decimal

    def plus(self, other: Total) -> Total:
        """The sums over the trades of both."""
        newer = self if self.last_id > other.last_id else other
        return Total(
            _EXACT.add(self.prices, other.prices),
            _EXACT.add(self.turnover, other.turnover),
            _EXACT.add(self.volume, other.volume),
            self.trades + other.trades,
            min(self.first_id, other.first_id),
            newer.last_id,
            newer.last_price,
        )

    def as_minute(self) -> Values:
        """The row of ``trade_minutes``."""
        return Values(
            self.prices, self.turnover, self.trades, self.volume, self.first_id, self.last_id, self.last_price
        )

    def as_window(self) -> Values:
        """The row of ``moving_averages``."""
        mean, weighted = _quotient(self.prices, Decimal(self.trades)), _quotient(self.turnover, self.volume)
        return Values(mean, weighted, self.trades, self.volume, self.first_id, self.last_id, self.last_price)


def total_of(row: RestTrade) -> Total:
    """One trade."""
    price, quantity = Decimal(row.price), Decimal(row.quantity)
    return Total(price, _EXACT.multiply(price, quantity), quantity, 1, row.trade_id, row.trade_id, price)


def add_all(totals: dict[int, Total], rows: Iterable[RestTrade]) -> None:
    """Add trades, each given once, to the totals of their minutes."""
    for row in rows:
        minute, own = row.trade_time_ms // 60_000, total_of(row)
        known = totals.get(minute)
        totals[minute] = own if known is None else known.plus(own)


def windows(totals: Mapping[int, Total], length: int, starts: range) -> Iterator[tuple[int, Total]]:
    """The windows of ``length`` minutes that start in ``starts`` and have a trade."""
    for start in starts:
        members = [totals[minute] for minute in range(start, start + length) if minute in totals]
        if members:
            whole = members[0]
            for member in members[1:]:
                whole = whole.plus(member)
            yield start, whole


def _quotient(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Rounded once, half up, at the 8th decimal."""
    (top, under), (bottom, over) = numerator.as_integer_ratio(), denominator.as_integer_ratio()
    scaled, divisor = top * over * _SCALE, under * bottom
    return Decimal((2 * scaled + divisor) // (2 * divisor)).scaleb(-8, _EXACT)
