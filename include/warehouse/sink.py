"""One micro-batch into the warehouse, within one transaction: sums, coverage, averages, ledger, heartbeat.

Nothing is kept between batches: what a batch depends on is read, and locked, in its own transaction. So a rolled back,
repeated or concurrent transaction cannot leave us with a wrong idea of what the tables hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from include.runtime.clock import Clock, SystemClock
from include.warehouse.admission import Admission, Coverage, TradeGroup, admit
from include.warehouse.errors import RecountError
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import BatchIdentity, LedgerEntry, LedgerPosition, Offsets
from include.warehouse.minutes import Minutes
from include.warehouse.moments import MINUTE_MS
from include.warehouse.store import WarehouseStore
from include.warehouse.windows import Average, averages_touched, neighbourhood

Recount = Callable[[Coverage], list[TradeGroup]]

_NO_POSITION = LedgerPosition("", {}, None)
_BEFORE_EVERYTHING = -(2**62)


@dataclass(frozen=True)
class Batch:
    """What a micro-batch brings. ``start_offsets``, ``end_offsets``: first and next offset of partitions in it."""

    identity: BatchIdentity
    start_offsets: Offsets
    end_offsets: Offsets
    groups: list[TradeGroup]
    input_rows: int
    invalid_rows: int
    newest_event_time_ms: int | None


class Outcome(StrEnum):
    """What became of a batch."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already_committed"  # by an earlier try whose success did not get through


@dataclass(frozen=True)
class Receipt:
    """What a batch did. ``end_offsets`` is cumulative; ``newest_ids`` are the highest trade ids added, by symbol."""

    outcome: Outcome
    end_offsets: Offsets = field(default_factory=dict)
    duplicate_rows: int = 0
    late_rows: int = 0
    late_corrections: int = 0
    window_rows: int = 0
    recounted: frozenset[str] = frozenset()
    newest_ids: dict[str, int] = field(default_factory=dict)
    newest_window_ends: dict[str, int] = field(default_factory=dict)  # minutes since the epoch
    watermark_ms: int | None = None


class BatchSink:
    """Applies batches. ``lengths``: window lengths in minutes; ``delay_ms``: watermark behind the newest event time."""

    def __init__(self, lengths: Iterable[int], delay_ms: int, service: str, clock: Clock | None = None) -> None:
        self._lengths, self._delay_ms, self._service = tuple(lengths), delay_ms, service
        self._clock = clock or SystemClock()
        self._started_ms = self._clock.time_ms()

    def apply(self, store: WarehouseStore, batch: Batch, recount: Recount) -> Receipt:
        """Do everything in the transaction of ``store``; repeating it changes nothing.

        ``recount`` is called with the counted ids of the symbols that cannot be decided on sums, and returns groups of
        the trades of these symbols that are new, each once. Raises :class:`RecountError` when it does not, and
        :class:`sqlalchemy.exc.DBAPIError`.
        """
        position = store.position() or _NO_POSITION  # first: it waits for a commit of ours that is still under way
        if store.is_committed(batch.identity.query_id, batch.identity.batch_id):
            return Receipt(Outcome.ALREADY_COMMITTED, batch.end_offsets)
        coverage = store.coverage(bounds_of(batch.groups))
        admission = _admit(batch.groups, coverage, recount)
        now_ms = self._clock.time_ms()
        changed = _changed_minutes(admission)
        spans = neighbourhood(changed, max(self._lengths))
        minutes = store.minutes(spans)
        for key, sums in changed.items():
            minutes[key] = changed[key] = minutes[key] + sums if key in minutes else sums
        before, watermark, newest = self._watermarks(position, batch)
        averages = list(averages_touched(changed, minutes, self._lengths))
        store.write_minutes(changed, now_ms)
        _write_coverage(store, coverage, admission)
        if newest is not None and watermark // MINUTE_MS > before // MINUTE_MS:  # windows end on whole minutes
            store.finish_windows(watermark, now_ms)
        store.write_averages(averages, watermark, now_ms)
        receipt = Receipt(
            Outcome.COMMITTED,
            end_offsets=_advance(position, batch),
            duplicate_rows=admission.duplicates,
            late_rows=sum(g.sums.trade_count for g in admission.added if (g.key.minute + 1) * MINUTE_MS <= before),
            late_corrections=sum(average.end_ms <= before for average in averages),
            window_rows=len(averages),
            recounted=frozenset(admission.mixed),
            newest_ids={symbol: max(last for _, last in ids) for symbol, ids in admission.ids.items()},
            newest_window_ends=_newest_ends((a.symbol, a.end) for a in averages if a.window_minutes == 1),
            watermark_ms=None if newest is None else watermark,
        )
        store.write_entry(_entry(batch, receipt, newest, averages), now_ms)
        store.beat(self._service, now_ms, self._started_ms)
        return receipt

    def _watermarks(self, position: LedgerPosition, batch: Batch) -> tuple[int, int, int | None]:
        """Watermark before and after this batch, and the newest event time after it."""
        old, new = position.newest_event_time_ms, batch.newest_event_time_ms
        newest = max((time for time in (old, new) if time is not None), default=None)
        before = _BEFORE_EVERYTHING if old is None else old - self._delay_ms
        return before, _BEFORE_EVERYTHING if newest is None else newest - self._delay_ms, newest


def bounds_of(groups: Iterable[TradeGroup]) -> dict[str, tuple[int, int]]:
    """Lowest and highest trade id, by symbol."""
    bounds: dict[str, tuple[int, int]] = {}
    for group in groups:
        first, last = group.sums.first_trade_id, group.sums.last_trade_id
        low, high = bounds.get(group.key.symbol, (first, last))
        bounds[group.key.symbol] = (min(low, first), max(high, last))
    return bounds


def _admit(groups: list[TradeGroup], coverage: Coverage, recount: Recount) -> Admission:
    """:func:`admit`, with the undecidable symbols recounted."""
    admission = admit(groups, coverage)
    if not admission.mixed:
        return admission
    recounted = recount({symbol: coverage[symbol] for symbol in admission.mixed})
    second = admit(recounted, coverage)
    if second.mixed or second.duplicates:
        raise RecountError(f"recounted trades of {sorted(admission.mixed)} overlap what is counted already")
    seen = sum(group.sums.trade_count for group in groups if group.key.symbol in admission.mixed)
    admission.duplicates += seen - sum(group.sums.trade_count for group in recounted)
    admission.added += second.added
    admission.ids |= second.ids
    return admission


def _changed_minutes(admission: Admission) -> Minutes:
    """What is to be added, by minute."""
    changed: Minutes = {}
    for group in admission.added:
        changed[group.key] = changed[group.key] + group.sums if group.key in changed else group.sums
    return changed


def _write_coverage(store: WarehouseStore, coverage: Coverage, admission: Admission) -> None:
    for symbol, ids in admission.ids.items():
        after: IdRanges = coverage[symbol].copy()
        for first, last in ids:
            after.add(first, last)
        store.write_coverage(symbol, coverage[symbol], after)


def _advance(position: LedgerPosition, batch: Batch) -> Offsets:
    """How far every partition is in the sums; another life of the topic starts from nothing.

    It goes back where a partition is read again from further back: too early changes nothing, too late would lose.
    """
    known = position.offsets if position.topic_id == batch.identity.topic_id else {}
    return dict(sorted({**known, **batch.end_offsets}.items()))


def _newest_ends(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for symbol, end in pairs:
        newest[symbol] = max(end, newest.get(symbol, end))
    return newest


def _entry(batch: Batch, receipt: Receipt, newest: int | None, averages: list[Average]) -> LedgerEntry:
    digest = hashlib.blake2b(digest_size=8)
    for average in sorted(averages, key=lambda a: (a.symbol, a.window_minutes, a.start)):
        digest.update(repr(average).encode())
    return LedgerEntry(
        batch.identity,
        batch.start_offsets,
        receipt.end_offsets,
        batch.input_rows,
        batch.invalid_rows,
        receipt.duplicate_rows,
        receipt.late_rows,
        receipt.window_rows,
        receipt.late_corrections,
        newest,
        digest.hexdigest(),
    )
