"""Moving averages from minutes: which windows a changed minute touches, and what is in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from include.warehouse.fixed_point import divide_half_up
from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey, Minutes, TradeSums
from include.warehouse.moments import MINUTE_MS


@dataclass(frozen=True, slots=True)
class Average:
    """One row of ``moving_averages``: the window of ``window_minutes`` from ``start`` (minutes since the epoch)."""

    symbol: str
    window_minutes: int
    start: int
    sums: TradeSums

    @property
    def end(self) -> int:
        """First minute behind the window, since the epoch."""
        return self.start + self.window_minutes

    @property
    def end_ms(self) -> int:
        """The same moment in milliseconds."""
        return self.end * MINUTE_MS

    @property
    def sma(self) -> int:
        """Mean trade price, in units of 10⁻⁸, rounded half up."""
        return divide_half_up(self.sums.price_sum, self.sums.trade_count)

    @property
    def vwap(self) -> int:
        """Volume-weighted mean price, in units of 10⁻⁸, rounded half up."""
        return divide_half_up(self.sums.quote_sum, self.sums.volume)


def neighbourhood(changed: Iterable[MinuteKey], longest: int) -> dict[str, IdRanges]:
    """Per symbol the minutes that share a window of up to ``longest`` minutes with a changed one."""
    spans: dict[str, IdRanges] = defaultdict(IdRanges)
    for symbol, minute in changed:
        spans[symbol].add(minute - longest + 1, minute + longest - 1)
    return dict(spans)


def averages_touched(changed: Iterable[MinuteKey], minutes: Minutes, lengths: Iterable[int]) -> Iterator[Average]:
    """Every window of every length that holds a changed minute, from ``minutes``.

    ``minutes`` must hold the whole :func:`neighbourhood` of the changed ones, as far as there were trades.
    """
    by_symbol: dict[str, IdRanges] = defaultdict(IdRanges)
    for symbol, minute in changed:
        by_symbol[symbol].add(minute, minute)
    lengths = tuple(lengths)
    for symbol, spans in by_symbol.items():
        own = {key.minute: sums for key, sums in minutes.items() if key.symbol == symbol}
        for length in lengths:
            for first, last in _starts(spans, length):
                yield from _slide(symbol, length, first, last, own)


def _starts(changed: IdRanges, length: int) -> IdRanges:
    """Starts of the windows that hold a changed minute."""
    return IdRanges((first - length + 1, last) for first, last in changed)


def _slide(symbol: str, length: int, first: int, last: int, minutes: Mapping[int, TradeSums]) -> Iterator[Average]:
    """The windows that start from ``first`` to ``last`` and are not empty.

    Each window is the tail of one block of ``length`` minutes and the head of the next (van Herk's sliding
    aggregate): two additions a minute whatever the length, and nothing is ever subtracted.
    """
    line = [minutes.get(minute) for minute in range(first, last + length)]
    heads, tails = line.copy(), line.copy()
    for i in range(1, len(line)):
        if i % length:
            heads[i] = _sum(heads[i - 1], heads[i])
    for i in range(len(line) - 2, -1, -1):
        if (i + 1) % length:
            tails[i] = _sum(tails[i], tails[i + 1])
    for i in range(last - first + 1):
        sums = _sum(tails[i], heads[i + length - 1]) if i % length else tails[i]
        if sums is not None:
            yield Average(symbol, length, first + i, sums)


def _sum(one: TradeSums | None, other: TradeSums | None) -> TradeSums | None:
    if one is None or other is None:
        return one or other
    return one + other
