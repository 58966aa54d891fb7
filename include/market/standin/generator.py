"""Trades as a pure function of (seed, symbol, id): any block of the ledger can be made again at any time.

A taker order fills one to five trades at one price and time (an *aggregate trade*). Sixteen consecutive trades
always are ten orders, so trade id and aggregate id can be computed from each other without a list.

Prices are value noise over five lengths (a bounded random walk with random access), quantities have a heavy tail. Only
operations that IEEE 754 rounds exactly are used: a seed gives the same market on every machine.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from include.market.standin.trades import Bools, Int64s

UInt64s = NDArray[np.uint64]
Floats = NDArray[np.float64]

GROUP_TRADES = 16
GROUP_ORDERS = 10
_PATTERNS = np.array(
    [
        [1, 1, 2, 1, 1, 4, 1, 2, 1, 2],
        [1, 3, 1, 1, 2, 1, 1, 1, 4, 1],
        [2, 1, 1, 1, 1, 5, 1, 1, 2, 1],
        [1, 1, 1, 2, 1, 1, 3, 1, 2, 3],
    ],
    np.int64,
)
_ORDER_FIRST = np.cumsum(_PATTERNS, axis=1) - _PATTERNS  # [pattern, order] → its first trade within the group
_ORDER_OF_TRADE = np.array([np.repeat(np.arange(GROUP_ORDERS), sizes) for sizes in _PATTERNS], np.int64)

_BLOCK = 256 * GROUP_TRADES
_CACHED_BLOCKS = 64  # some 9 MB

_PRICE_TICK = 10**6  # 0.01 in units of 10⁻⁸
_QTY_TICK = 10**3  # 0.00001
_BASE_PRICES = {"BTCUSDT": 4_300_000, "ETHUSDT": 250_000, "BNBUSDT": 60_000, "SOLUSDT": 15_000}  # in ticks
_OCTAVES = ((4, 0.00002), (64, 0.0003), (1_024, 0.001), (16_384, 0.004), (262_144, 0.02))  # (orders, share)


def key_of(*parts: object) -> int:
    """A 64-bit key for a use of the seed."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big")


def scramble(key: int, values: UInt64s) -> UInt64s:
    """Evenly distributed 64-bit values, one for each (key, value): the finaliser of SplitMix64."""
    z = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(key: int, values: UInt64s) -> Floats:
    """Evenly distributed numbers in [0, 1)."""
    return (scramble(key, values) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Block:
    """Trades from ``first_id`` without their times.

    ``order_first`` is the first trade id of the trade's order, ``order_stop`` one past its last. ``lag`` is how far
    into its order's share of time the order is filled, counted in trades: an order's trades happen
    ``order_first + lag`` trade intervals from id 0.
    """

    first_id: int
    price: Int64s
    qty: Int64s
    buyer_maker: Bools
    aggregate: Int64s
    order_first: Int64s
    order_stop: Int64s
    lag: Floats


class TradeGenerator:
    """The trades of one symbol. ``origin`` is the first id of its ledger, a multiple of the group size."""

    def __init__(self, seed: int, symbol: str) -> None:
        self._keys = {use: key_of(seed, symbol, use) for use in ("group", "side", "qty", "lag", "price", "origin")}
        self._octave_keys = [key_of(self._keys["price"], period) for period, _ in _OCTAVES]
        self._base = _BASE_PRICES.get(symbol) or 1_000 + self._keys["price"] % 100_000
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self.origin = (100_000_000 + self._keys["origin"] % 3_900_000_000) // GROUP_TRADES * GROUP_TRADES

    def block_of(self, trade_id: int) -> Block:
        """The block that holds a trade (from the cache, if it was made lately)."""
        number = trade_id // _BLOCK
        if (block := self._blocks.get(number)) is None:
            block = self._blocks[number] = self._make(number * _BLOCK)
            if len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(number)
        return block

    def first_of_aggregate(self, aggregate_id: int) -> int:
        """Id of the first trade of an aggregate."""
        group, order = divmod(aggregate_id, GROUP_ORDERS)
        pattern = int(self._patterns(np.array([group], np.uint64))[0])
        return group * GROUP_TRADES + int(_ORDER_FIRST[pattern, order])

    def _patterns(self, groups: UInt64s) -> UInt64s:
        return scramble(self._keys["group"], groups) & np.uint64(3)

    def _make(self, first_id: int) -> Block:
        ids = np.arange(first_id, first_id + _BLOCK, dtype=np.int64)
        group, within = ids // GROUP_TRADES, ids % GROUP_TRADES
        pattern = self._patterns(group.astype(np.uint64))
        order = _ORDER_OF_TRADE[pattern, within]
        aggregate = group * GROUP_ORDERS + order
        orders = aggregate.astype(np.uint64)
        maker = (scramble(self._keys["side"], orders) & np.uint64(1)).astype(np.bool_)
        share = uniform(self._keys["qty"], ids.astype(np.uint64))
        qty = 1 + np.floor(40.0 * share + 60.0 * share / (1.001 - share)).astype(np.int64)
        order_first, size = group * GROUP_TRADES + _ORDER_FIRST[pattern, order], _PATTERNS[pattern, order]
        return Block(
            first_id,
            (self._mid(orders) + np.where(maker, 0, 1)) * _PRICE_TICK,
            qty * _QTY_TICK,
            maker,
            aggregate,
            order_first,
            order_first + size,
            uniform(self._keys["lag"], orders) * size,
        )

    def _mid(self, orders: UInt64s) -> Int64s:
        """Best bid in ticks at each order."""
        drift = np.zeros(len(orders))
        for (period, share), key in zip(_OCTAVES, self._octave_keys, strict=True):
            lattice = orders // np.uint64(period)
            x = (orders % np.uint64(period)).astype(np.float64) / period
            left, right = uniform(key, lattice), uniform(key, lattice + np.uint64(1))
            drift += share * (2.0 * (left + (right - left) * (x * x * (3.0 - 2.0 * x))) - 1.0)
        return np.maximum(1, np.floor(self._base * (1.0 + drift)).astype(np.int64))
