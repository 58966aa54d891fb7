"""One look at a time: what the tables hold, what the exchange has, what is missing and what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from include.market.messages import RestTrade
from include.repair.compare import compare, expected_rows, provable
from include.repair.errors import RepairError
from include.repair.exchange import Exchange, Progress
from include.repair.gaps import find_gaps, last_id_due
from include.repair.ledger import SymbolLedger
from include.repair.model import Comparison, IdGap, Span
from include.repair.span import minutes_of, reach_of
from include.repair.tables import SUMS, RowKey, Tables
from include.repair.totals import Values
from include.runtime.clock import Clock
from include.warehouse.id_ranges import IdRanges
from include.warehouse.moments import MINUTE_MS

MOST_TRADES = 2_000_000  # 2,000 calls to the exchange: about a quarter of an hour within its limits
HEAD_SECONDS = 10.0  # younger trades are still on their way to the tables
_NO_ID = 2**63 - 1

Offsets = Mapping[int, int]
OnMissing = Callable[[str, list[RestTrade]], None]


@dataclass(frozen=True)
class Findings:
    """``gaps``: ids that are not counted; ``lost``: those of them that the exchange gives no more. ``comparison``: of
    the rows that the exchange's ledger can prove; ``unproved``: how many it cannot.
    """

    gaps: tuple[IdGap, ...]
    lost: tuple[IdGap, ...]
    comparison: Comparison
    unproved: int

    @property
    def still_missing(self) -> int:
        """How many trades the exchange has and the tables do not count."""
        return sum(gap.trades for gap in self.gaps) - sum(gap.trades for gap in self.lost)

    @property
    def differs(self) -> bool:
        """Whether there is anything that can be made right."""
        comparison = self.comparison
        return bool(comparison.missing or comparison.wrong or comparison.extra or self.still_missing)


class Survey:
    """Looks again as often as wanted; trades that were fetched once are not fetched again.

    ``tables`` reads them, given the first id that matters by symbol; ``ends`` tells the end of each partition of the
    topic.
    """

    def __init__(
        self,
        span: Span,
        lengths: tuple[int, ...],
        *,
        tables: Callable[[Mapping[str, int]], Tables],
        exchange: Exchange,
        ends: Callable[[], Offsets],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._span, self._lengths = span, lengths
        self._tables, self._exchange, self._ends = tables, exchange, ends
        self._clock, self._progress = clock, progress
        self._minutes, self._reach = minutes_of(span), reach_of(span, lengths)
        self._ledgers: dict[str, SymbolLedger] = {}

    def look(self, on_missing: OnMissing | None = None) -> Findings:
        """Compare the tables, as they are now, with the exchange's ledger.

        ``on_missing`` is given the trades that the tables lack, minute by minute, while they are read; not those of
        minutes whose sums are right all the same: counting them anew would spoil these. Raises :class:`RepairError`
        and :class:`sqlalchemy.exc.DBAPIError`.
        """
        settled = {symbol: self._settled(symbol) for symbol in self._span.symbols}
        self._check_length(settled)
        ends = self._ends()  # before the tables are read: what they then lack of it is unread
        firsts = {s: self._ledgers[s].first if s in self._ledgers else _NO_ID for s in self._span.symbols}
        tables = self._tables(firsts)
        unread = any(end > (tables.offsets or {}).get(partition, 0) for partition, end in ends.items())
        gaps: list[IdGap] = []
        lost: list[IdGap] = []
        for symbol, ledger in self._ledgers.items():
            self._probe_beginning(ledger, tables)
            last = max(ledger.last, last_id_due(settled[symbol], self._newest_inside(symbol, tables)))
            ids, newest = (ledger.begin, last), tables.newest.get(symbol)
            own = find_gaps(symbol, ids, tables.counted[symbol], newest, unread=unread)
            self._read(ledger, last, own, tables, on_missing)
            gaps += own
            lost += [part for ids in ledger.lost for gap in own if (part := _common(gap, *ids)) is not None]
        return self._findings(tables, gaps, lost)

    def _settled(self, symbol: str) -> int:
        """The newest id of the time that should be counted by now; also gets to know where the time begins."""
        if symbol not in self._ledgers:
            first = self._exchange.first_id_at(symbol, self._reach.start * MINUTE_MS)
            if first is None:
                return -1
            self._ledgers[symbol] = SymbolLedger(symbol, first, self._reach)
        head = self._clock.time_ms() - round(HEAD_SECONDS * 1000)
        behind = self._exchange.first_id_at(symbol, min(self._reach.stop * MINUTE_MS, head))
        if behind is None:
            newest = self._exchange.newest_id(symbol)
            return -1 if newest is None else newest
        return behind - 1

    def _check_length(self, settled: Mapping[str, int]) -> None:
        trades = sum(max(0, settled[symbol] - ledger.first + 1) for symbol, ledger in self._ledgers.items())
        if trades > MOST_TRADES:
            raise RepairError(
                f"This time has {trades:,} trades; at most {MOST_TRADES:,} can be compared in one go, because the"
                f" exchange limits how much may be asked of it. Repair it in {-(-trades // MOST_TRADES)} parts."
            )

    def _newest_inside(self, symbol: str, tables: Tables) -> int | None:
        """The newest counted id, if the time goes on until now; of a past time the exchange told the last id."""
        past = self._reach.stop * MINUTE_MS <= self._clock.time_ms() - HEAD_SECONDS * 1000
        return None if past else tables.newest.get(symbol)

    def _probe_beginning(self, ledger: SymbolLedger, tables: Tables) -> None:
        """Has the exchange lost trades before the first one that it gives of this time?"""
        before = tables.before.get(ledger.symbol)
        if before is None or before + 1 >= ledger.first or ledger.last >= ledger.first:
            return
        found = self._exchange.first_from(ledger.symbol, before + 1)
        if found is None or found > before + 1:
            ledger.begins_behind(before + 1)

    def _read(
        self,
        ledger: SymbolLedger,
        last: int,
        gaps: tuple[IdGap, ...],
        tables: Tables,
        on_missing: OnMissing | None,
    ) -> None:
        missing = IdRanges((gap.first, gap.last) for gap in gaps)
        held: list[RestTrade] = []  # of the minute that is not read to its end yet
        for page in ledger.read(self._exchange, last):
            if last - ledger.first > 5_000:
                self._progress(f"{ledger.symbol}: read {page.last - ledger.first + 1:,} of {last - ledger.first + 1:,}")
            if on_missing is None:
                continue
            held += [row for row in page.rows if missing.overlap(row.trade_id, row.trade_id)]
            current = page.rows[-1].trade_time_ms // MINUTE_MS if page.rows else -1
            ready = [row for row in held if row.trade_time_ms // MINUTE_MS != current]
            held = [row for row in held if row.trade_time_ms // MINUTE_MS == current]
            self._hand_out(ledger, ready, tables, on_missing)
        if on_missing is not None:
            self._hand_out(ledger, held, tables, on_missing)

    def _hand_out(self, ledger: SymbolLedger, rows: list[RestTrade], tables: Tables, on_missing: OnMissing) -> None:
        wanted = [row for row in rows if not self._is_right(ledger, row.trade_time_ms // MINUTE_MS, tables)]
        if wanted:
            on_missing(ledger.symbol, wanted)

    def _is_right(self, ledger: SymbolLedger, minute: int, tables: Tables) -> bool:
        total, row = ledger.totals.get(minute), tables.rows.get((ledger.symbol, SUMS, minute))
        return total is not None and row == total.as_minute()

    def _findings(self, tables: Tables, gaps: list[IdGap], lost: list[IdGap]) -> Findings:
        expected: dict[RowKey, Values] = {}
        unproved: dict[str, set[int]] = {}
        for symbol, ledger in self._ledgers.items():
            expected |= expected_rows(symbol, ledger.totals, self._minutes, self._reach, self._lengths)
            unproved[symbol] = ledger.unproved
        keys = expected.keys() | tables.rows.keys()
        proved = {key for key in keys if provable(key, unproved.get(key[0], ()))}
        comparison = compare(
            {key: row for key, row in expected.items() if key in proved},
            {key: row for key, row in tables.rows.items() if key in proved},
        )
        return Findings(tuple(gaps), tuple(lost), comparison, len(keys) - len(proved))


def _common(gap: IdGap, first: int, last: int) -> IdGap | None:
    """The ids of a gap that are among those from ``first`` to ``last``."""
    low, high = max(gap.first, first), min(gap.last, last)
    return IdGap(gap.symbol, low, high) if low <= high else None
