"""The ledger of generated trades: nothing is stored but the segments of constant rate (see :mod:`.journal`)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from math import floor

import numpy as np

from include.market.standin.generator import Block, TradeGenerator
from include.market.standin.journal import MemoryJournal, Segment
from include.market.standin.ledger import Pace
from include.market.standin.trades import TradeColumns

SECOND_US = 1_000_000
_LEASE_US = SECOND_US  # how far ahead of visible trades the journal is written


@dataclass
class _Timeline:
    """The segments of one symbol (parallel lists) and the id of the next trade."""

    generator: TradeGenerator
    first_ids: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    next_id: int = 0

    def add(self, segment: Segment, symbol: str) -> None:
        first_id = segment.first_ids.get(symbol, self.next_id or self.generator.origin)
        self.next_id = first_id
        self.first_ids.append(first_id)
        self.starts.append(segment.start_us)
        self.rates.append(segment.rates.get(symbol, 0.0))

    def order_time(self, number: int, trade_id: int) -> tuple[int, int, int]:
        """The order that a trade belongs to if segment ``number`` makes it: time (µs), first id, one past the last."""
        block = self.generator.block_of(trade_id)
        index = trade_id - block.first_id
        first, stop, lag = int(block.order_first[index]), int(block.order_stop[index]), float(block.lag[index])
        time_us = self.starts[number] + floor((first - self.first_ids[number] + lag) * SECOND_US / self.rates[number])
        return time_us, first, stop

    def count_until(self, number: int, time_us: int) -> int:
        """Id after the last trade that segment ``number`` makes at or before ``time_us`` if it is not ended before."""
        first_id, rate = self.first_ids[number], self.rates[number]
        if rate == 0 or time_us < self.starts[number]:
            return first_id
        candidate = first_id + floor((time_us - self.starts[number]) * rate / SECOND_US)
        time_of_order, first, stop = self.order_time(number, candidate)
        while time_of_order <= time_us:  # the estimate is at most an order off
            time_of_order, first, stop = self.order_time(number, stop)
        while first > first_id and (before := self.order_time(number, first - 1))[0] > time_us:
            first = before[1]
        return first

    def times(self, block: Block, first: int, stop: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """Times of the trades ``first`` ≤ id < ``stop`` of one block, a piece for each segment."""
        pieces = []
        while first < stop:
            number = bisect_right(self.first_ids, first) - 1
            following = self.first_ids[number + 1] if number + 1 < len(self.first_ids) else stop
            end = min(stop, following)
            cut = slice(first - block.first_id, end - block.first_id)
            passed = (block.order_first[cut] - self.first_ids[number] + block.lag[cut]) * SECOND_US / self.rates[number]
            pieces.append(self.starts[number] + np.floor(passed).astype(np.int64))
            first = end
        return pieces


class GeneratedLedger:
    """See :class:`include.market.standin.ledger.Ledger`.

    ``rate`` is trades a second over all symbols, shared evenly. An opened journal is continued: trades up to its
    recorded end stay what they were, and while the exchange was down nothing was traded.
    """

    def __init__(
        self, symbols: tuple[str, ...], seed: int, rate: float, now_us: int, journal: MemoryJournal | None = None
    ) -> None:
        self._symbols, self._rate = symbols, rate
        self._journal = MemoryJournal() if journal is None else journal
        self._timelines = {symbol: _Timeline(TradeGenerator(seed, symbol)) for symbol in symbols}
        self._resumed = bool(self._journal.segments)
        for segment in self._journal.segments:
            self._adopt(segment)
        self._now_us = now_us
        if self._resumed:
            end_us = max(self._journal.until_us, self._journal.segments[-1].start_us)
            self._count_until(end_us)
            self._now_us = max(now_us, end_us)
        self.set_pace(Pace())

    @property
    def symbols(self) -> tuple[str, ...]:
        """See :class:`Ledger`."""
        return self._symbols

    @property
    def now_us(self) -> int:
        """See :class:`Ledger`."""
        return self._now_us

    @property
    def resumed(self) -> bool:
        """See :class:`Ledger`."""
        return self._resumed

    def advance(self, now_us: int) -> None:
        """See :class:`Ledger`."""
        if now_us <= self._now_us:
            return
        if now_us > self._journal.until_us:
            self._journal.extend(now_us + _LEASE_US)
        self._now_us = now_us
        self._count_until(now_us)

    def set_pace(self, pace: Pace) -> None:
        """See :class:`Ledger`."""
        total = (self._rate if pace.rate is None else pace.rate) * pace.factor
        segment = Segment(
            self._now_us,
            {symbol: line.next_id or line.generator.origin for symbol, line in self._timelines.items()},
            {symbol: 0.0 if symbol in pace.stopped else total / len(self._symbols) for symbol in self._symbols},
        )
        self._journal.append(segment)
        self._adopt(segment)

    def first_id(self, symbol: str) -> int:
        """See :class:`Ledger`."""
        return self._timelines[symbol].first_ids[0]

    def next_id(self, symbol: str) -> int:
        """See :class:`Ledger`."""
        return self._timelines[symbol].next_id

    def columns(self, symbol: str, first: int, stop: int) -> TradeColumns:
        """See :class:`Ledger`."""
        line = self._timelines[symbol]
        first, stop = max(first, line.first_ids[0]), min(stop, line.next_id)
        parts, position = [], first
        while position < stop:
            block = line.generator.block_of(position)
            end = min(stop, block.first_id + len(block.price))
            cut = slice(position - block.first_id, end - block.first_id)
            times = line.times(block, position, end)
            parts.append(
                TradeColumns(
                    position,
                    block.price[cut],
                    block.qty[cut],
                    times[0] if len(times) == 1 else np.concatenate(times),
                    block.buyer_maker[cut],
                    np.ones(end - position, np.bool_),
                    block.aggregate[cut],
                )
            )
            position = end
        return TradeColumns.concatenate(parts, first)

    def id_at(self, symbol: str, time_us: int) -> int:
        """See :class:`Ledger`."""
        line = self._timelines[symbol]
        number = bisect_right(line.starts, time_us) - 1
        if number < 0:
            return line.first_ids[0]
        end = line.first_ids[number + 1] if number + 1 < len(line.first_ids) else line.next_id
        return min(line.count_until(number, time_us - 1), end)

    def first_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        """See :class:`Ledger`."""
        line = self._timelines[symbol]
        if aggregate_id < 0:
            return line.first_ids[0]
        return min(max(line.generator.first_of_aggregate(aggregate_id), line.first_ids[0]), line.next_id)

    def close(self) -> None:
        """See :class:`Ledger`."""
        self._journal.extend(self._now_us)

    def _adopt(self, segment: Segment) -> None:
        for symbol, line in self._timelines.items():
            line.add(segment, symbol)

    def _count_until(self, time_us: int) -> None:
        for line in self._timelines.values():
            line.next_id = max(line.next_id, line.count_until(len(line.first_ids) - 1, time_us))
