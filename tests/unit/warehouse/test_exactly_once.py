"""Any interleaving, duplication and batching of trades gives the averages of the trades, each counted once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.runtime.clock import ManualClock
from include.warehouse.errors import RecountError
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import BatchIdentity
from include.warehouse.memory_store import MemoryStore
from include.warehouse.sink import Batch, BatchSink, Outcome
from tests.support.averages import memory_averages
from tests.support.reference import ReferenceAverage, ReferenceTrade, reference_averages
from tests.support.trade_groups import START_MS, Feeder, grouped, trade

WINDOWS = (1, 5)


class Stream(Feeder):
    """A sink in memory, and what it holds."""

    def __init__(self, delay_ms: int = 10_000) -> None:
        self.store, self.sink = MemoryStore(), BatchSink(WINDOWS, delay_ms, "test", ManualClock())
        super().__init__(self.sink, lambda work: work(self.store))

    def averages(self) -> dict[tuple[str, int, int], ReferenceAverage]:
        return memory_averages(self.store)


UNITS = st.integers(1, 10**13).map(lambda units: Decimal(units).scaleb(-8))


@st.composite
def ledgers(draw: st.DrawFn) -> list[ReferenceTrade]:
    """Trades of two symbols with consecutive ids, roughly in time."""
    trades = []
    for symbol in ("BTCUSDT", "ETHUSDT")[: draw(st.integers(1, 2))]:
        first = draw(st.integers(0, 10**10))
        for i in range(draw(st.integers(1, 15))):
            time = START_MS + i * draw(st.integers(0, 90_000))
            trades.append(ReferenceTrade(symbol, first + i, draw(UNITS), draw(UNITS), time))
    return trades


@settings(max_examples=150, deadline=None)
@given(ledgers(), st.data())
def test_any_delivery_gives_the_reference(ledger: list[ReferenceTrade], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(ledger), max_size=20))
    delivery = data.draw(st.permutations(ledger + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(delivery)), max_size=6)))
    stream = Stream()
    duplicates = 0
    for start, stop in zip([0, *cuts], [*cuts, len(delivery)], strict=True):
        duplicates += stream.feed(delivery[start:stop]).duplicate_rows

    assert stream.averages() == reference_averages(ledger, WINDOWS)
    assert duplicates == len(again)
    ids = {
        symbol: IdRanges((t.id, t.id) for t in ledger if t.symbol == symbol) for symbol in {t.symbol for t in ledger}
    }
    assert stream.store.counted == ids


@settings(max_examples=50, deadline=None)
@given(ledgers())
def test_replaying_everything_changes_nothing_and_needs_no_recount(ledger: list[ReferenceTrade]) -> None:
    stream = Stream()
    stream.feed(ledger)
    before = stream.averages()
    receipt = stream.feed(ledger)
    assert (stream.averages(), receipt.duplicate_rows, receipt.window_rows) == (before, len(ledger), 0)
    assert stream.recounts == 0


def test_a_batch_whose_success_did_not_get_through_is_recognised() -> None:
    stream = Stream()
    stream.feed([trade(1)], batch_id=7)
    assert stream.feed([trade(1)], batch_id=7).outcome is Outcome.ALREADY_COMMITTED
    assert len(stream.store.entries) == 1


@pytest.mark.parametrize(
    ("batch", "recounts", "counted"),
    [
        ([trade(3), trade(4)], 0, 4),  # new
        ([trade(1), trade(2)], 0, 2),  # counted
        ([trade(2), trade(3)], 1, 3),  # overlaps what is counted
        ([trade(3), trade(3)], 1, 3),  # twice within the batch
        ([trade(3), trade(3, minute=1)], 1, 3),  # the same id in two minutes
        ([trade(5)], 0, 3),  # a hole stays open
        ([trade(1, symbol="ETHUSDT")], 0, 3),  # each symbol has ids of its own
    ],
)
def test_only_what_sums_cannot_decide_is_recounted(batch: list[ReferenceTrade], recounts: int, counted: int) -> None:
    stream = Stream()
    stream.feed([trade(1), trade(2)])
    stream.feed(batch)
    total = sum(last - first + 1 for ids in stream.store.counted.values() for first, last in ids)
    assert (stream.recounts, total) == (recounts, counted)


def test_a_recount_that_counts_twice_is_refused() -> None:
    stream = Stream()
    stream.feed([trade(1)])
    group = grouped([trade(1), trade(2)])
    batch = Batch(BatchIdentity("query", 99, "topic", "life-1"), {}, {}, group, 2, 0, START_MS)
    with pytest.raises(RecountError, match="BTCUSDT"):
        stream.sink.apply(stream.store, batch, lambda coverage: group)


def test_windows_become_final_behind_the_watermark_and_late_trades_still_count() -> None:
    stream = Stream(delay_ms=10_000)
    stream.feed([trade(1, minute=0)])
    stream.feed([trade(3, minute=1.1)])  # watermark at 56 s: nothing has ended before it
    assert not stream.store.final
    stream.feed([trade(4, minute=1.2)])  # watermark at 62 s
    final = {key for key in stream.store.final if key[1] == 1}
    assert final == {("BTCUSDT", 1, START_MS // 60_000)}

    receipt = stream.feed([trade(2, minute=0.5, price="300")])
    assert receipt.late_rows == 1
    assert receipt.late_corrections == len(stream.store.final)
    assert stream.averages() == reference_averages(
        [trade(1), trade(2, 0.5, "300"), trade(3, 1.1), trade(4, 1.2)], WINDOWS
    )
    assert final <= stream.store.final


def test_positions_are_kept_for_partitions_not_in_the_batch_and_go_back_where_one_is_read_again() -> None:
    stream = Stream()
    for life, ends in (("life-1", {0: 5}), ("life-1", {1: 3}), ("life-1", {0: 2})):
        batch = Batch(BatchIdentity("q", len(stream.store.entries), "topic", life), {}, ends, [], 1, 1, None)
        stream.sink.apply(stream.store, batch, lambda coverage: [])
    position = stream.store.position()
    assert position is not None
    assert position.offsets == {0: 2, 1: 3}
    renewed = Batch(BatchIdentity("q", 9, "topic", "life-2"), {}, {0: 1}, [], 1, 1, None)
    assert stream.sink.apply(stream.store, renewed, lambda coverage: []).end_offsets == {0: 1}
