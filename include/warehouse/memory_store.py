"""The store in memory, for tests and simulations. It passes the same suite as the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import LedgerEntry, LedgerPosition
from include.warehouse.minutes import Minutes
from include.warehouse.windows import Average

AverageKey = tuple[str, int, int]  # symbol, window length, start in minutes since the epoch


@dataclass
class MemoryStore:
    """See :class:`~include.warehouse.store.WarehouseStore`. There is no transaction: what is written is written."""

    averages: dict[AverageKey, Average] = field(default_factory=dict)
    final: set[AverageKey] = field(default_factory=set)
    sums: Minutes = field(default_factory=dict)
    counted: dict[str, IdRanges] = field(default_factory=dict)
    entries: list[LedgerEntry] = field(default_factory=list)
    beats: dict[str, int] = field(default_factory=dict)

    def is_committed(self, query_id: str, batch_id: int) -> bool:
        """See the protocol."""
        return any((e.identity.query_id, e.identity.batch_id) == (query_id, batch_id) for e in self.entries)

    def position(self) -> LedgerPosition | None:
        """See the protocol."""
        if not self.entries:
            return None
        newest = self.entries[-1]
        return LedgerPosition(newest.identity.topic_id, newest.end_offsets, newest.newest_event_time_ms)

    def coverage(self, bounds: Mapping[str, tuple[int, int]]) -> dict[str, IdRanges]:
        """See the protocol."""
        return {
            symbol: IdRanges(
                (first, last)
                for first, last in self.counted.get(symbol, IdRanges())
                if last >= low - 1 and first <= high + 1
            )
            for symbol, (low, high) in bounds.items()
        }

    def write_coverage(self, symbol: str, before: IdRanges, after: IdRanges) -> None:
        """See the protocol."""
        kept = [each for each in self.counted.get(symbol, IdRanges()) if each not in set(before)]
        self.counted[symbol] = IdRanges([*kept, *after])

    def minutes(self, spans: Mapping[str, IdRanges]) -> Minutes:
        """See the protocol."""
        return {
            key: sums
            for key, sums in self.sums.items()
            if key.symbol in spans and spans[key.symbol].overlap(key.minute, key.minute)
        }

    def write_minutes(self, minutes: Minutes, now_ms: int) -> None:
        """See the protocol."""
        self.sums.update(minutes)

    def write_averages(self, averages: Sequence[Average], watermark_ms: int, now_ms: int) -> None:
        """See the protocol."""
        for average in averages:
            key = (average.symbol, average.window_minutes, average.start)
            self.averages[key] = average
            if average.end_ms <= watermark_ms:
                self.final.add(key)

    def finish_windows(self, watermark_ms: int, now_ms: int) -> None:
        """See the protocol."""
        self.final |= {key for key, average in self.averages.items() if average.end_ms <= watermark_ms}

    def write_entry(self, entry: LedgerEntry, now_ms: int) -> None:
        """See the protocol."""
        self.entries.append(entry)

    def beat(self, service: str, now_ms: int, started_ms: int) -> None:
        """See the protocol."""
        self.beats[service] = now_ms
