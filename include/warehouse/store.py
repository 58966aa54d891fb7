"""What the sink needs of a place that keeps sums and averages, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import LedgerEntry, LedgerPosition
from include.warehouse.minutes import Minutes
from include.warehouse.windows import Average


class WarehouseStore(Protocol):
    """Moments are milliseconds since the epoch."""

    def is_committed(self, query_id: str, batch_id: int) -> bool:
        """Whether this very batch is in the ledger."""
        ...

    def position(self) -> LedgerPosition | None:
        """The newest row of the ledger, if there is one."""
        ...

    def coverage(self, bounds: Mapping[str, tuple[int, int]]) -> dict[str, IdRanges]:
        """Counted ids, by symbol: the ranges that touch or abut the ids from first to last of ``bounds``."""
        ...

    def write_coverage(self, symbol: str, before: IdRanges, after: IdRanges) -> None:
        """Replace the ranges ``before``, as :meth:`coverage` gave them, by ``after``."""
        ...

    def minutes(self, spans: Mapping[str, IdRanges]) -> Minutes:
        """The sums of the minutes in ``spans`` (minutes since the epoch, by symbol) that have trades."""
        ...

    def write_minutes(self, minutes: Minutes, now_ms: int) -> None:
        """Write sums as absolute values."""
        ...

    def write_averages(self, averages: Sequence[Average], watermark_ms: int, now_ms: int) -> None:
        """Write averages as absolute values; final when they end by the watermark, or were final before."""
        ...

    def finish_windows(self, watermark_ms: int, now_ms: int) -> None:
        """Mark all windows final that end by the watermark."""
        ...

    def write_entry(self, entry: LedgerEntry, now_ms: int) -> None:
        """Add the row of a batch to the ledger."""
        ...

    def beat(self, service: str, now_ms: int, started_ms: int) -> None:
        """Leave a sign of life of this process."""
        ...
