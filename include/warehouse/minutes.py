"""The sums of one symbol's trades in one minute of event time, and what longer windows are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class MinuteKey(NamedTuple):
    """Whose minute: ``minute`` counts whole minutes since the epoch."""

    symbol: str
    minute: int


@dataclass(frozen=True, slots=True)
class TradeSums:
    """Exact sums over at least one trade; two of them over different trades add up.

    ``price_sum``, ``volume`` and ``last_price`` (price of the highest trade id) in units of 10⁻⁸, ``quote_sum``
    (Σ price × quantity) in units of 10⁻¹⁶.
    """

    price_sum: int
    quote_sum: int
    volume: int
    trade_count: int
    first_trade_id: int
    last_trade_id: int
    last_price: int

    def __add__(self, other: TradeSums) -> TradeSums:
        newer = other if other.last_trade_id > self.last_trade_id else self
        return TradeSums(
            self.price_sum + other.price_sum,
            self.quote_sum + other.quote_sum,
            self.volume + other.volume,
            self.trade_count + other.trade_count,
            min(self.first_trade_id, other.first_trade_id),
            newer.last_trade_id,
            newer.last_price,
        )


Minutes = dict[MinuteKey, TradeSums]
