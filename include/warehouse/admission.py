"""Exactly once by trade id: which of a batch's trades may be added to the sums.

A batch arrives as groups of trades, each with its sums and the exact set of its ids. A group whose ids are new is added
as it is; one whose ids are all counted is dropped; anything in between cannot be decided on sums alone, and its symbol
is recounted trade by trade.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey, TradeSums

Coverage = Mapping[str, IdRanges]


@dataclass(frozen=True, slots=True)
class TradeGroup:
    """Some trades of one symbol and minute: their sums, and their distinct ids as disjoint ascending ranges."""

    key: MinuteKey
    sums: TradeSums
    ids: tuple[tuple[int, int], ...]

    @property
    def distinct(self) -> int:
        """How many different ids there are; fewer than ``sums.trade_count`` when some arrived twice."""
        return sum(last - first + 1 for first, last in self.ids)


class Verdict(StrEnum):
    """What is to be done with a group."""

    NEW = "new"  # every trade is new and there once: add the sums
    COUNTED = "counted"  # every trade is counted already: drop them
    MIXED = "mixed"  # some of both, or one trade twice: only a recount can tell


@dataclass
class Admission:
    """The decision about one batch.

    ``added``: groups whose sums are to be added. ``ids``: the ids in them, by symbol. ``duplicates``: trades dropped.
    ``mixed``: symbols that must be recounted first; none of their groups is in ``added``.
    """

    added: list[TradeGroup] = field(default_factory=list)
    ids: dict[str, IdRanges] = field(default_factory=dict)
    duplicates: int = 0
    mixed: set[str] = field(default_factory=set)


def judge(group: TradeGroup, counted: IdRanges) -> Verdict:
    """Compare a group with the ids counted so far (those of earlier groups of its batch included)."""
    known = sum(counted.overlap(first, last) for first, last in group.ids)
    distinct = group.distinct
    if known == distinct:
        return Verdict.COUNTED
    return Verdict.NEW if known == 0 and distinct == group.sums.trade_count else Verdict.MIXED


def admit(groups: Iterable[TradeGroup], coverage: Coverage) -> Admission:
    """Decide about every group of a batch. ``coverage``: ids counted before, by symbol (missing = none)."""
    by_symbol: dict[str, list[TradeGroup]] = defaultdict(list)
    for group in groups:
        by_symbol[group.key.symbol].append(group)
    admission = Admission()
    for symbol, own in by_symbol.items():
        _admit_symbol(admission, symbol, own, coverage.get(symbol) or IdRanges())
    return admission


def _admit_symbol(admission: Admission, symbol: str, groups: list[TradeGroup], counted: IdRanges) -> None:
    seen, fresh, added, duplicates = counted.copy(), IdRanges(), [], 0
    for group in groups:
        verdict = judge(group, counted)
        if verdict is Verdict.COUNTED:
            duplicates += group.sums.trade_count
        elif verdict is Verdict.NEW and judge(group, seen) is Verdict.NEW:  # not in an earlier group either
            added.append(group)
            for first, last in group.ids:
                seen.add(first, last)
                fresh.add(first, last)
        else:
            admission.mixed.add(symbol)
            return
    admission.added += added
    admission.duplicates += duplicates
    if added:
        admission.ids[symbol] = fresh
