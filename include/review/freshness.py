"""How late the averages were: from when micro-batches were committed, and how far each had come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.warehouse.reader import CommittedBatch


@dataclass(frozen=True, slots=True)
class Freshness:
    """``breach_seconds``: how long the averages were older than the target; ``longest_seconds``: the greatest age they
    reached. ``by_trades``: counted from the time of the newest trade in them; otherwise from when they were written,
    because the trades' own times lie in the past (a replay) or are not known.

    ``late_rows`` averages and ``late_trades`` trades were written only after the target was missed.
    """

    breach_seconds: float
    longest_seconds: float
    by_trades: bool
    late_rows: int
    late_trades: int


def freshness(batches: Sequence[CommittedBatch], start: datetime, end: datetime, target: timedelta) -> Freshness | None:
    """Between ``start`` and ``end``; ``batches`` as :meth:`include.warehouse.reader.WarehouseReader.batches` gives
    them. ``None``: no batch is known before or within that time, so there is nothing to count from.
    """
    if not batches:
        return None
    by_trades = _tells_time(batches[0], target)
    breach, longest, rows, trades = timedelta(0), timedelta(0), 0, 0
    for batch, following in zip(batches, (*batches[1:], None), strict=True):
        as_of = batch.newest_event_time if by_trades and batch.newest_event_time else batch.committed_at
        until = min(end, following.committed_at) if following else end
        began = max(start, batch.committed_at)
        if until <= began:
            continue
        longest = max(longest, until - as_of)
        breach += max(timedelta(0), until - max(began, as_of + target))
        if following is not None and until - as_of > target:
            rows, trades = rows + following.window_rows, trades + following.input_rows
    return Freshness(breach.total_seconds(), longest.total_seconds(), by_trades, rows, trades)


def _tells_time(first: CommittedBatch, target: timedelta) -> bool:
    """Whether the trades' own times can be compared with the clock: before the trouble they could."""
    newest = first.newest_event_time
    return newest is not None and abs(first.committed_at - newest) <= target
