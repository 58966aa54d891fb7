"""The exchange's ledger of one symbol and time, summed per minute while it is read; what was read once is kept."""

from __future__ import annotations

from collections.abc import Iterator

from include.repair.exchange import Exchange, Page
from include.repair.totals import Total, add_all
from include.warehouse.id_ranges import IdRanges


class SymbolLedger:
    """``first``: id of the first trade of ``reach`` (minutes) at the exchange; ``last``: of the last one read.

    ``lost``: ids that the exchange has no more; with some of them it may begin before ``first``, at ``begin``.
    """

    def __init__(self, symbol: str, first: int, reach: range) -> None:
        self.symbol, self.begin, self.first, self.last = symbol, first, first, first - 1
        self.totals: dict[int, Total] = {}
        self.lost, self._beside_lost = IdRanges(), set[int]()
        self._reach, self._minute, self._broken = reach, reach.start, False

    @property
    def unproved(self) -> set[int]:
        """Minutes that may have had trades which are lost."""
        return self._beside_lost | (set(range(self._minute, self._reach.stop)) if self._broken else set())

    def begins_behind(self, first: int) -> None:
        """The exchange has lost the ids from ``first`` to before the first one that it gives."""
        self.begin = first
        self.lost.add(first, self.first - 1)
        self._broken = True

    def read(self, exchange: Exchange, last: int) -> Iterator[Page]:
        """Read on to the id ``last``. Each page is in the totals when it is given out."""
        for page in exchange.pages(self.symbol, self.last + 1, last):
            self._take(page)
            yield page

    def _take(self, page: Page) -> None:
        expected = page.first
        for row in page.rows:
            minute = row.trade_time_ms // 60_000
            if row.trade_id > expected or self._broken:
                self._beside_lost |= set(range(min(self._minute, minute), minute + 1))
            self._minute, self._broken, expected = minute, False, row.trade_id + 1
        for low, high in page.lost:
            self.lost.add(low, high)
        self._broken = self._broken or expected <= page.last  # up to which minute, the next row will tell
        add_all(self.totals, (row for row in page.rows if row.trade_time_ms // 60_000 in self._reach))
        self.last = page.last
