"""An exchange and tables in memory, for stories about repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from include.market.messages import RestTrade
from include.market.weight import WeightBudget
from include.repair.correction import WindowKey
from include.repair.tables import SUMS, Tables
from include.repair.totals import Values
from include.runtime.clock import ManualClock
from include.warehouse.fixed_point import to_decimal
from include.warehouse.id_ranges import IdRanges
from include.warehouse.memory_store import MemoryStore
from include.warehouse.minutes import MinuteKey
from include.warehouse.windows import Average
from tests.support.reference import ReferenceTrade


def rest(trade: ReferenceTrade) -> RestTrade:
    """As REST gives it."""
    return RestTrade(trade.id, f"{trade.price:.8f}", f"{trade.qty:.8f}", trade.time_ms, True)


@dataclass
class MemoryExchange:
    """Knows ``trades``. ``refusals`` are raised, one a call, before anything is answered."""

    trades: list[ReferenceTrade]
    clock: ManualClock = field(default_factory=ManualClock)
    refusals: list[Exception] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)  # first id and limit of each page
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = WeightBudget(self.clock)

    def wait(self, seconds: float) -> None:
        """In place of sleeping."""
        self.waits.append(seconds)
        self.clock.advance(seconds)

    def newest_trade_id(self, symbol: str) -> int | None:
        """See ``TradeClient``."""
        return max((t.id for t in self._of(symbol)), default=None)

    def first_trade_id_at(self, symbol: str, time_ms: int) -> int | None:
        """See ``TradeClient``."""
        return min((t.id for t in self._of(symbol) if t.time_ms >= time_ms), default=None)

    def trades_from(self, symbol: str, trade_id: int, limit: int) -> list[RestTrade]:
        """See ``TradeClient``."""
        if self.refusals:
            raise self.refusals.pop(0)
        self.asked.append((symbol, trade_id))
        return [rest(t) for t in sorted(self._of(symbol), key=lambda t: t.id) if t.id >= trade_id][:limit]

    def _of(self, symbol: str) -> list[ReferenceTrade]:
        return [t for t in self.trades if t.symbol == symbol]


class MemoryCorrectionStore(MemoryStore):
    """See :class:`include.repair.correction.CorrectionStore`."""

    def lock(self) -> None:
        """Nobody else writes here."""

    def differing(
        self, averages: Iterable[Average], spans: Mapping[str, range]
    ) -> tuple[list[Average], set[WindowKey]]:
        """See the protocol."""
        wanted = {(a.symbol, a.window_minutes, a.start): a for a in averages}
        inside = {
            key
            for key in self.averages
            if key[0] in spans and spans[key[0]].start - key[1] + 1 <= key[2] < spans[key[0]].stop
        }
        return [a for key, a in wanted.items() if self.averages.get(key) != a], inside - wanted.keys()

    def delete(self, minutes: Iterable[MinuteKey], windows: Iterable[WindowKey]) -> None:
        """See the protocol."""
        for minute in minutes:
            del self.sums[minute]
        for window in windows:
            del self.averages[window]

    def tables(self, reach: range, offsets: dict[int, int] | None = None) -> Tables:
        """As a survey reads them."""
        rows = {(a.symbol, a.window_minutes, a.start): _window(a) for a in self.averages.values()}
        for (symbol, minute), sums in self.sums.items():
            if minute in reach:
                figures = (to_decimal(sums.price_sum, 8), to_decimal(sums.quote_sum, 16), sums.trade_count)
                rows[symbol, SUMS, minute] = Values(*figures, *_ends(sums))
        before = {key.symbol: s.last_trade_id for key, s in sorted(self.sums.items()) if key.minute < reach.start}
        counted = {symbol: ids.copy() for symbol, ids in self.counted.items()}
        newest = {symbol: max(last for _, last in ids) for symbol, ids in counted.items() if len(ids)}
        return Tables(rows, {s: IdRanges() for s in ("BTCUSDT", "ETHUSDT")} | counted, newest, before, offsets)


def _window(average: Average) -> Values:
    sma, vwap = to_decimal(average.sma, 8), to_decimal(average.vwap, 8)
    return Values(sma, vwap, average.sums.trade_count, *_ends(average.sums))


def _ends(sums: object) -> tuple[Decimal, int, int, Decimal]:
    volume, last_price = (to_decimal(getattr(sums, name), 8) for name in ("volume", "last_price"))
    return volume, getattr(sums, "first_trade_id"), getattr(sums, "last_trade_id"), last_price  # noqa: B009
