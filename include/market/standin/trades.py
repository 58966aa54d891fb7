"""Trades as the ledger hands them out: columns for the machine, one record for people and tests.

Prices and quantities are integers in units of 10⁻⁸, the exchange's own resolution, so that no sum is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

UNITS = 10**8  # units of a price or quantity of 1

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]


def text(units: int) -> str:
    """A price or quantity as the exchange writes it: a string with 8 decimals."""
    return f"{units // UNITS}.{units % UNITS:08d}"


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. ``time_ms`` is the event time ``T`` in milliseconds since the epoch."""

    symbol: str
    id: int
    price: Decimal
    qty: Decimal
    time_ms: int
    buyer_maker: bool
    aggregate_id: int


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades with consecutive ids from ``first_id``; all arrays have one entry a trade.

    ``aggregate`` is the id of the aggregate trade (one taker order) that the trade belongs to; the trades of one
    aggregate share price, time and side.
    """

    first_id: int
    price: Int64s
    qty: Int64s
    time_us: Int64s
    buyer_maker: Bools
    best_match: Bools
    aggregate: Int64s

    def __len__(self) -> int:
        return len(self.price)

    @property
    def stop_id(self) -> int:
        """One past the last id."""
        return self.first_id + len(self)

    def slice(self, first: int, stop: int) -> TradeColumns:
        """The trades with ``first`` ≤ id < ``stop``."""
        cut = slice(first - self.first_id, stop - self.first_id)
        return TradeColumns(
            first,
            self.price[cut],
            self.qty[cut],
            self.time_us[cut],
            self.buyer_maker[cut],
            self.best_match[cut],
            self.aggregate[cut],
        )

    def rows(self, microseconds: int) -> Iterator[tuple[int, int, int, int, bool, bool]]:
        """A tuple a trade: id, price, quantity, time (in so many ``microseconds``), buyer is maker, best match."""
        return zip(
            range(self.first_id, self.stop_id),
            self.price.tolist(),
            self.qty.tolist(),
            (self.time_us // microseconds).tolist(),
            self.buyer_maker.tolist(),
            self.best_match.tolist(),
            strict=True,
        )

    @staticmethod
    def concatenate(parts: list[TradeColumns], first_id: int) -> TradeColumns:
        """Join parts with consecutive ids; no part gives no trades."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            none = np.empty(0, np.int64)
            return TradeColumns(first_id, none, none, none, none.astype(np.bool_), none.astype(np.bool_), none)
        names = ("price", "qty", "time_us", "buyer_maker", "best_match", "aggregate")
        return TradeColumns(first_id, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def records(self, symbol: str) -> Iterator[Trade]:
        """The trades one by one, prices and quantities as exact decimals."""
        rows = zip(
            self.price.tolist(),
            self.qty.tolist(),
            self.time_us.tolist(),
            self.buyer_maker.tolist(),
            self.aggregate.tolist(),
            strict=True,
        )
        for trade_id, (price, qty, time_us, maker, aggregate) in enumerate(rows, self.first_id):
            yield Trade(
                symbol,
                trade_id,
                Decimal(price).scaleb(-8),
                Decimal(qty).scaleb(-8),
                time_us // 1000,
                maker,
                aggregate,
            )
