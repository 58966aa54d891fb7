"""Rows that are right, in place of those that differ: within one transaction, in the order in which the stream locks.

What is written is absolute and follows from a set of trades, each known by its id. A minute is left as it is when the
tables count trades in it that neither Kafka nor the exchange has any more: a recount would lower it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from include.repair.gaps import complement
from include.repair.recount import Recount
from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey, Minutes, TradeSums
from include.warehouse.store import WarehouseStore
from include.warehouse.windows import Average, averages_touched, neighbourhood

WindowKey = tuple[str, int, int]  # symbol, length in minutes, start in minutes since the epoch


class CorrectionStore(WarehouseStore, Protocol):
    """What a correction needs beyond the stream's own store."""

    def lock(self) -> None:
        """Until our commit the stream writes nothing. Raises ``RepairError`` when nothing was ever counted."""
        ...

    def differing(
        self, averages: Iterable[Average], spans: Mapping[str, range]
    ) -> tuple[list[Average], set[WindowKey]]:
        """Of ``averages`` those whose rows are missing or say something else; and the rows of windows within ``spans``
        (minutes, by symbol) that are none of ``averages``.
        """
        ...

    def delete(self, minutes: Iterable[MinuteKey], windows: Iterable[WindowKey]) -> None:
        """Remove rows of sums and of windows."""
        ...


@dataclass(frozen=True)
class Corrected:
    """How many rows were written and removed; ``kept``: minutes that could not be recounted."""

    windows: int
    minutes: int
    deleted: int
    ids: int
    kept: tuple[MinuteKey, ...] = ()


def correct(
    store: CorrectionStore,
    recount: Recount,
    *,
    minutes: range,
    reach: range,
    bounds: Mapping[str, tuple[int, int]],
    lengths: Iterable[int],
    watermark_ms: int,
    now_ms: int,
) -> Corrected:
    """Make the sums of ``reach``, and every window that touches ``minutes``, what ``recount`` says.

    ``bounds``: first and last trade id of the reach, by symbol. The caller holds the store's :meth:`lock`, and
    ``recount`` has every trade that the stream has counted from Kafka so far.
    """
    lengths = tuple(lengths)
    coverage = store.coverage(bounds)
    kept, unsure = _beside_holes(recount, coverage, bounds, reach)
    present = store.minutes({symbol: IdRanges([(reach.start, reach.stop - 1)]) for symbol in bounds})
    right = {key: sums for key, sums in recount.minutes.items() if key not in kept}
    wrong = {key: sums for key, sums in right.items() if present.get(key) != sums}
    settled = _between(recount, unsure)
    extra = [key for key in present if key not in recount.minutes and key in settled]
    spans = {symbol: _span(symbol, minutes, [*wrong, *extra]) for symbol in bounds}
    changed = {MinuteKey(symbol, minute) for symbol, span in spans.items() for minute in span}
    whole = store.minutes(neighbourhood(changed, max(lengths))) | wrong
    for key in extra:
        whole.pop(key, None)
    averages = list(averages_touched(changed, whole, lengths))
    differing, surplus = store.differing(averages, spans)
    gone = {key for key in surplus if all(MinuteKey(key[0], m) in settled for m in range(key[2], key[2] + key[1]))}
    store.write_minutes(wrong, now_ms)
    ids = _write_coverage(store, coverage, recount, right)
    store.delete(extra, gone)
    store.write_averages(differing, watermark_ms, now_ms)
    return Corrected(len(differing), len(wrong), len(extra) + len(gone), ids, tuple(sorted(kept)))


def _beside_holes(
    recount: Recount, coverage: Mapping[str, IdRanges], bounds: Mapping[str, tuple[int, int]], reach: range
) -> tuple[set[MinuteKey], set[MinuteKey]]:
    """Minutes that may have trades which are nowhere any more: those of counted ones, and those of any."""
    kept: set[MinuteKey] = set()
    unsure: set[MinuteKey] = set()
    for symbol, (first, last) in bounds.items():
        counted = coverage[symbol]
        newest = max((end for _, end in recount.ids.get(symbol, ())), default=first - 1)
        known = max((min(end, last) for _, end in counted), default=first - 1)
        places = sorted((s.first_trade_id, s.last_trade_id, k.minute) for k, s in _of(recount.minutes, symbol))
        for low, high in complement(first, min(last, max(newest, known)), recount.ids.get(symbol, ())):
            before = [minute for begin, _, minute in places if begin < low]
            after = [minute for _, end, minute in places if end > high]
            beside = range(before[-1] if before else reach.start, (after[0] if after else reach.stop - 1) + 1)
            keys = {MinuteKey(symbol, minute) for minute in beside}
            unsure |= keys
            if counted.overlap(low, high):
                kept |= keys
    return kept, unsure


def _between(recount: Recount, unsure: set[MinuteKey]) -> set[MinuteKey]:
    """Minutes of which it is certain that all their trades, or that there are none, are known."""
    settled: set[MinuteKey] = set()
    for symbol in recount.ids:
        own = [key.minute for key, _ in _of(recount.minutes, symbol)]
        settled |= {MinuteKey(symbol, minute) for minute in range(min(own), max(own) + 1)}
    return settled - unsure


def _of(minutes: Minutes, symbol: str) -> list[tuple[MinuteKey, TradeSums]]:
    return [(key, sums) for key, sums in minutes.items() if key.symbol == symbol]


def _span(symbol: str, minutes: range, more: Iterable[MinuteKey]) -> range:
    """``minutes``, stretched to hold those of ``more`` that are of this symbol."""
    own = [minutes.start, minutes.stop - 1, *(key.minute for key in more if key.symbol == symbol)]
    return range(min(own), max(own) + 1)


def _write_coverage(
    store: CorrectionStore, coverage: Mapping[str, IdRanges], recount: Recount, right: Mapping[MinuteKey, TradeSums]
) -> int:
    """The ids of the minutes that are now right count as counted."""
    added = 0
    for symbol, before in coverage.items():
        after = before.copy()
        for key, ids in recount.ids_of.items():
            if key.symbol == symbol and key in right:
                for first, last in ids:
                    added += last - first + 1 - after.overlap(first, last)
                    after.add(first, last)
        if after != before:
            store.write_coverage(symbol, before, after)
    return added
