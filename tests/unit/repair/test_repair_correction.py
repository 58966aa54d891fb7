"""Whatever was done to the tables by hand, a correction makes them right; and the stream goes on exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from include.repair.correction import Corrected, correct
from include.repair.recount import Reading, Recount
from include.runtime.clock import ManualClock
from include.warehouse.admission import TradeGroup
from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey
from include.warehouse.sink import BatchSink
from tests.support.averages import memory_averages
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.repairing import MemoryCorrectionStore
from tests.support.trade_groups import START_MS, Feeder, grouped, trade

SYMBOL, WINDOWS = "BTCUSDT", (1, 5)
MINUTE = START_MS // 60_000
MINUTES, REACH = range(MINUTE + 5, MINUTE + 12), range(MINUTE + 1, MINUTE + 16)


def market() -> list[ReferenceTrade]:
    """Six trades a minute, for twenty minutes, but for one that nobody traded in."""
    made = [trade(100 + i, i / 6, price=str(100 + i % 7), qty=f"0.{1 + i % 9}") for i in range(120)]
    quiet = [t for t in made if not 8 * 60_000 <= t.time_ms - START_MS < 9 * 60_000]
    return [replace(t, id=100 + i) for i, t in enumerate(quiet)]


TRADES = market()


class Tables:
    """Tables that have counted ``counted``, beside the stream that did it."""

    def __init__(self, counted: list[ReferenceTrade]) -> None:
        self.store = MemoryCorrectionStore()
        self.stream = Feeder(BatchSink(WINDOWS, 0, "test", ManualClock()), lambda work: work(self.store))
        self.stream.feed(counted)

    def correct(self, trades: list[ReferenceTrade]) -> Corrected:
        """With the trades that there are, of the reach."""
        recount = Recount()
        recount.add(g for g in grouped(trades) if g.key.minute in REACH)
        return self.correct_with(recount)

    def correct_with(self, recount: Recount) -> Corrected:
        own = [t.id for t in TRADES if t.time_ms // 60_000 in REACH]
        return correct(
            self.store,
            recount,
            minutes=MINUTES,
            reach=REACH,
            bounds={SYMBOL: (min(own), max(own))},
            lengths=WINDOWS,
            watermark_ms=0,
            now_ms=0,
        )

    def assert_is(self, trades: list[ReferenceTrade]) -> None:
        """Every window is the reference's."""
        assert memory_averages(self.store) == reference_averages(trades, WINDOWS)


def test_right_tables_are_left_alone() -> None:
    tables = Tables(TRADES)
    assert tables.correct(TRADES) == Corrected(0, 0, 0, 0)
    tables.assert_is(TRADES)


def test_trades_that_the_stream_has_not_counted_are_counted_and_then_known_to_it() -> None:
    tables = Tables(TRADES[:40] + TRADES[60:])
    done = tables.correct(TRADES)
    assert (done.ids, done.minutes, done.deleted, done.kept) == (20, 4, 0, ())
    tables.assert_is(TRADES)
    tables.stream.feed(TRADES)
    tables.assert_is(TRADES)


@pytest.mark.parametrize("seed", range(30))
def test_any_damage_by_hand_is_made_right(seed: int) -> None:
    dice, tables = random.Random(seed), Tables(TRADES)
    store = tables.store
    minutes = [key for key in store.sums if key.minute in REACH]
    windows = [key for key in store.averages if key[2] in MINUTES and key[2] + key[1] <= MINUTES.stop]
    for key in dice.sample(minutes, 3):
        store.sums[key] = replace(store.sums[key], volume=store.sums[key].volume + dice.randrange(1, 10**9))
    for key in dice.sample(minutes, 2):
        del store.sums[key]
    for window in dice.sample(windows, 4):
        sums = store.averages[window].sums
        store.averages[window] = replace(store.averages[window], sums=replace(sums, last_price=sums.last_price + 1))
    for window in dice.sample(windows, 3):
        del store.averages[window]
    counted = sorted(t.id for t in TRADES if t.time_ms // 60_000 in REACH)
    low, high = sorted(dice.sample(counted, 2))
    store.counted[SYMBOL] = IdRanges([(TRADES[0].id, low), (high, TRADES[-1].id)])
    invented = MinuteKey(SYMBOL, MINUTE + 8)  # in the quiet minute
    store.sums[invented] = next(iter(store.sums.values()))
    store.averages[SYMBOL, 1, MINUTE + 8] = replace(next(iter(store.averages.values())), start=MINUTE + 8)

    done = tables.correct(TRADES)
    assert done.kept == ()
    assert invented not in store.sums
    tables.assert_is(TRADES)
    assert store.counted[SYMBOL] == IdRanges([(TRADES[0].id, TRADES[-1].id)])
    late = [trade(TRADES[-1].id + 1, 10.5)]
    tables.stream.feed(TRADES + late)
    tables.assert_is(TRADES + late)


def test_a_minute_with_counted_trades_that_are_nowhere_any_more_is_kept() -> None:
    tables = Tables(TRADES)
    gone = {t.id for t in TRADES[40:43]}  # the end of minute 6 and the beginning of minute 7
    store, damaged = tables.store, MinuteKey(SYMBOL, MINUTE + 10)
    store.sums[damaged] = replace(store.sums[damaged], volume=1)
    del store.averages[SYMBOL, 1, MINUTE + 7]
    done = tables.correct([t for t in TRADES if t.id not in gone])
    assert done.kept == (MinuteKey(SYMBOL, MINUTE + 6), MinuteKey(SYMBOL, MINUTE + 7))
    tables.assert_is(TRADES)


def test_a_minute_that_only_the_tables_know_is_not_removed() -> None:
    tables = Tables(TRADES)
    tables.correct([t for t in TRADES if not 6 <= (t.time_ms - START_MS) / 60_000 < 10])  # lost, four minutes of them
    tables.assert_is(TRADES)


def test_trades_that_were_never_counted_and_are_lost_lower_nothing() -> None:
    there = TRADES[:40] + TRADES[43:]
    tables = Tables(there)
    tables.store.sums[MinuteKey(SYMBOL, MINUTE + 6)] = next(iter(tables.store.sums.values()))
    assert tables.correct(there).kept == ()
    tables.assert_is(there)


def test_what_the_stream_has_counted_since_the_topic_was_read_is_read_as_well() -> None:
    topic = [t for t in TRADES if t.time_ms // 60_000 in REACH]

    def read(starts: dict[int, int], ends: dict[int, int], known: Mapping[str, IdRanges]) -> list[TradeGroup]:
        found = topic[starts[1] : ends[1]] if 1 in ends else []
        own = known.get(SYMBOL) or IdRanges()
        return grouped(t for t in found if not own.overlap(t.id, t.id))

    reading = Reading({1: 50, 2: 7})
    reading.read({1: 0, 2: 0}, read)
    reading.recount.add(grouped(topic[50:52]))  # the exchange had two more
    tables = Tables(TRADES)
    running = MinuteKey(SYMBOL, topic[51].time_ms // 60_000)  # the stream goes on with this minute
    tables.store.sums[running] = replace(tables.store.sums[running], price_sum=7)
    assert running in tables.correct_with(reading.recount).kept, "its newest trades are not known yet"

    reading.catch_up({1: len(topic), 2: 7}, read)
    assert (reading.ends, reading.from_kafka) == ({1: len(topic), 2: 7}, len(topic) - 2)
    assert tables.correct_with(reading.recount).kept == ()
    tables.assert_is(TRADES)
    reading.catch_up({1: 10, 5: 3}, read)  # a ledger that stands further back brings nothing
    assert reading.from_kafka == len(topic) - 2
