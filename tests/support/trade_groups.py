"""What the stream's aggregation makes of trades, in plain Python: groups by symbol and minute, fed to a sink."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from include.warehouse.admission import Coverage, TradeGroup
from include.warehouse.fixed_point import to_units
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import BatchIdentity
from include.warehouse.minutes import MinuteKey, TradeSums
from include.warehouse.sink import Batch, BatchSink, Receipt
from include.warehouse.store import WarehouseStore
from tests.support.reference import ReferenceTrade

START_MS = 1_610_064_000_000


def trade(id_: int, minute: float = 0, price: str = "100", qty: str = "1", symbol: str = "BTCUSDT") -> ReferenceTrade:
    """A trade, ``minute`` minutes after :data:`START_MS`."""
    return ReferenceTrade(symbol, id_, Decimal(price), Decimal(qty), START_MS + round(minute * 60_000))


def grouped(trades: Iterable[ReferenceTrade]) -> list[TradeGroup]:
    """By symbol and minute, with sums and the exact set of ids."""
    groups: dict[MinuteKey, tuple[TradeSums, IdRanges]] = {}
    for each in trades:
        key = MinuteKey(each.symbol, each.time_ms // 60_000)
        if key in groups:
            groups[key] = (groups[key][0] + _sums(each), groups[key][1])
        else:
            groups[key] = (_sums(each), IdRanges())
        groups[key][1].add(each.id, each.id)
    return [TradeGroup(key, total, tuple(ids)) for key, (total, ids) in groups.items()]


def _sums(each: ReferenceTrade) -> TradeSums:
    price, qty = to_units(each.price, 8), to_units(each.qty, 8)
    return TradeSums(price, price * qty, qty, 1, each.id, each.id, price)


class Feeder:
    """Feeds batches of trades to a sink, as the stream processor does."""

    def __init__(self, sink: BatchSink, transact: Callable[[Callable[[WarehouseStore], Receipt]], Receipt]) -> None:
        self._sink, self._transact = sink, transact
        self.recounts = self._batches = 0

    def feed(self, trades: list[ReferenceTrade], batch_id: int | None = None) -> Receipt:
        """One batch, in one transaction."""
        self._batches += 1
        number = self._batches if batch_id is None else batch_id
        newest = max((each.time_ms for each in trades), default=None)
        batch = Batch(
            BatchIdentity("query", number, "topic", "life-1"),
            {0: 0},
            {0: self._batches},
            grouped(trades),
            len(trades),
            0,
            newest,
        )

        def recount(coverage: Coverage) -> list[TradeGroup]:
            self.recounts += 1
            first: dict[tuple[str, int], ReferenceTrade] = {}
            for each in trades:
                if each.symbol in coverage and not coverage[each.symbol].overlap(each.id, each.id):
                    first.setdefault((each.symbol, each.id), each)
            return grouped(first.values())

        return self._transact(lambda store: self._sink.apply(store, batch, recount))
