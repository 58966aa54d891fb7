"""Trades summed anew, each once: what was read from the topic so far, and what the stream has counted since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from include.warehouse.admission import TradeGroup
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import Offsets
from include.warehouse.minutes import MinuteKey, Minutes

ReadTopic = Callable[[Offsets, Offsets, Mapping[str, IdRanges]], Iterable[TradeGroup]]


@dataclass
class Recount:
    """All trades of some minutes that there are, summed anew, each once."""

    minutes: Minutes = field(default_factory=dict)
    ids: dict[str, IdRanges] = field(default_factory=dict)
    ids_of: dict[MinuteKey, IdRanges] = field(default_factory=dict)

    def add(self, groups: Iterable[TradeGroup]) -> int:
        """Add groups of trades that are not in it yet; returns how many trades."""
        trades = 0
        for group in groups:
            trades += group.sums.trade_count
            known = self.minutes.get(group.key)
            self.minutes[group.key] = group.sums if known is None else known + group.sums
            for first, last in group.ids:
                self.ids.setdefault(group.key.symbol, IdRanges()).add(first, last)
                self.ids_of.setdefault(group.key, IdRanges()).add(first, last)
        return trades


@dataclass
class Reading:
    """``recount``: of the topic up to ``ends`` (next offset by partition), and of what the exchange gave besides."""

    ends: Offsets
    recount: Recount = field(default_factory=Recount)
    from_kafka: int = 0
    from_exchange: int = 0

    def read(self, starts: Offsets, read: ReadTopic) -> None:
        """Read the topic from ``starts`` to ``ends``; ``read`` gives groups of trades that are not known yet."""
        self.from_kafka += self.recount.add(read(starts, self.ends, self.recount.ids))

    def catch_up(self, counted: Offsets, read: ReadTopic) -> None:
        """Read what lies before the offsets ``counted`` and was not read yet.

        To be done while the stream is locked out: then ``recount`` has all that it has counted.
        """
        starts = {partition: end for partition, end in self.ends.items() if counted.get(partition, end) > end}
        if starts:
            self.from_kafka += self.recount.add(read(starts, {p: counted[p] for p in starts}, self.recount.ids))
            self.ends = {**self.ends, **{p: counted[p] for p in starts}}
