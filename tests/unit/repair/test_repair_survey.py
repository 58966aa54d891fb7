"""Stories: the exchange's trades, what of them the tables count, and what a look makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.market.messages import RestTrade
from include.repair import survey as survey_module
from include.repair.errors import RepairError
from include.repair.exchange import Exchange
from include.repair.model import IdGap, Span
from include.repair.span import reach_of
from include.repair.survey import Findings, Survey
from include.repair.tables import Tables
from include.runtime.clock import ManualClock
from include.warehouse.id_ranges import IdRanges
from include.warehouse.minutes import MinuteKey
from include.warehouse.sink import BatchSink
from tests.support.reference import ReferenceTrade
from tests.support.repairing import MemoryCorrectionStore, MemoryExchange
from tests.support.trade_groups import START_MS, Feeder, trade

SYMBOL, WINDOWS = "BTCUSDT", (1, 5)
START = datetime.fromtimestamp(START_MS / 1000, UTC)
MINUTE = START_MS // 60_000


def market(minutes: int = 20, first: int = 100) -> list[ReferenceTrade]:
    """Six trades a minute."""
    return [trade(first + i, i / 6, price=str(100 + i % 7), qty=f"0.{1 + i % 9}") for i in range(minutes * 6)]


class Story:
    """``now``: minutes after the start. ``end``: of the span, in minutes."""

    def __init__(self, trades: list[ReferenceTrade], now: float = 60, start: float = 5, end: float = 12) -> None:
        self.store = MemoryCorrectionStore()
        self.feeder = Feeder(BatchSink(WINDOWS, 0, "test", ManualClock()), lambda work: work(self.store))
        self.exchange = MemoryExchange(trades)
        self.clock = ManualClock(START_MS + round(now * 60_000))
        self.offsets, self.ends = {0: 0}, {0: 0}
        self.handed: list[int] = []
        self.span = Span(START + timedelta(minutes=start), START + timedelta(minutes=end), (SYMBOL,))
        self.survey = Survey(
            self.span,
            WINDOWS,
            tables=self._tables,
            exchange=Exchange(self.exchange, lambda text: None, self.exchange.wait),
            ends=lambda: self.ends,
            clock=self.clock,
            progress=lambda text: None,
        )

    def _tables(self, firsts: Mapping[str, int]) -> Tables:
        tables = self.store.tables(reach_of(self.span, WINDOWS), self.offsets)
        first, last = MINUTE + (self.span.start - START).seconds // 60, MINUTE + (self.span.end - START).seconds // 60
        rows = {k: v for k, v in tables.rows.items() if k[1] == 0 or first - k[1] + 1 <= k[2] < last}
        return replace(tables, rows=rows)

    def look(self) -> Findings:
        def take(symbol: str, rows: list[RestTrade]) -> None:
            self.handed += [row.trade_id for row in rows]

        return self.survey.look(take)


def without(trades: list[ReferenceTrade], first: int, last: int) -> list[ReferenceTrade]:
    return [t for t in trades if not first <= t.id <= last]


def test_all_is_well() -> None:
    story = Story(market())
    story.feeder.feed(market())
    found = story.look()
    assert (found.gaps, found.lost, found.unproved, story.handed) == ((), (), 0, [])
    assert found.comparison.equal
    assert not found.differs
    assert found.comparison.windows == 7 + 11 + (7 + 4 + 4), "windows of 1 and 5 minutes, and the sums of their minutes"


def test_a_hole_is_found_handed_out_and_gone_when_it_is_counted() -> None:
    story, trades = Story(market()), market()
    story.feeder.feed(without(trades, 140, 157))
    found = story.look()
    assert found.gaps == (IdGap(SYMBOL, 140, 157),)
    assert story.handed == list(range(140, 158))
    assert found.differs
    assert (found.comparison.missing, found.comparison.extra) == (4, 0)  # two minutes with their windows of 1 minute
    asked = len(story.exchange.asked)
    story.feeder.feed(trades)
    assert story.look().comparison.equal
    assert len(story.exchange.asked) == asked, "what was read once is not read again"


def test_a_hole_outside_the_span_is_found_when_a_window_reaches_it() -> None:
    story = Story(market())
    story.feeder.feed(without(market(), 100 + 6 * 14, 100 + 6 * 14))  # minute 14; the span ends before minute 12
    assert story.look().gaps == (IdGap(SYMBOL, 184, 184),)
    story = Story(market())
    story.feeder.feed(without(market(), 100 + 6 * 16, 100 + 6 * 16))
    assert story.look().gaps == ()


@pytest.mark.parametrize(
    ("counted", "unread", "gaps", "equal"),
    [
        (60, False, [], True),  # the tables are at the head
        (59, False, [], True),  # younger than ten seconds: on its way
        (57, False, [(157, 158)], False),  # everything is read and it is not there
        (57, True, [], False),  # it may be in Kafka; the tables do lack it
    ],
)
def test_trades_that_have_just_happened(counted: int, unread: bool, gaps: list[tuple[int, int]], equal: bool) -> None:
    trades = market(minutes=10)
    story = Story(trades, now=10 - 0.01, end=12)  # the newest trades are of 10, 20 and 30 seconds ago
    story.feeder.feed(trades[:counted])
    story.ends = {0: 5 if unread else 0}
    found = story.look()
    assert found.gaps == tuple(IdGap(SYMBOL, *ids) for ids in gaps)
    assert found.comparison.equal == equal


def test_trades_that_the_exchange_has_no_more() -> None:
    story = Story(without(market(), 140, 157))
    story.feeder.feed(without(market(), 150, 160))
    found = story.look()
    assert found.gaps == (IdGap(SYMBOL, 150, 160),)
    assert found.lost == (IdGap(SYMBOL, 150, 157),)
    assert story.handed == [158, 159, 160]
    assert found.still_missing == 3
    assert found.unproved > 0
    assert found.comparison.wrong == 0 or found.comparison.missing == 0


def test_an_exchange_that_begins_in_the_middle_of_the_span() -> None:
    story = Story(without(market(), 0, 150))
    story.feeder.feed(without(market(), 130, 160))
    found = story.look()
    assert found.gaps == (IdGap(SYMBOL, 130, 160),)
    assert found.lost == (IdGap(SYMBOL, 130, 150),)
    assert found.comparison.extra == 0, "what the exchange cannot tell is not called too many"


def test_an_exchange_whose_rest_side_is_behind_its_stream() -> None:
    trades = market(minutes=10)
    story = Story(trades[:-2], now=10 - 0.01, end=12)
    story.feeder.feed(trades)
    found = story.look()
    assert (found.gaps, found.lost) == ((), ())
    assert found.comparison.equal, "of the newest minute it cannot be said yet"
    assert found.unproved > 0


def test_minutes_that_are_right_are_not_counted_anew() -> None:
    story = Story(market())
    story.feeder.feed(market())
    story.store.counted[SYMBOL] = IdRanges([(100, 141), (148, 219)])  # minute 7 is 142 … 147
    found = story.look()
    assert found.gaps == (IdGap(SYMBOL, 142, 147),)
    assert story.handed == [], "their sums are right: only the note that they are counted was lost"
    assert found.comparison.equal
    assert found.differs


def test_rows_changed_by_hand_are_seen() -> None:
    story = Story(market())
    story.feeder.feed(market())
    store = story.store
    store.sums[MinuteKey(SYMBOL, MINUTE + 6)] = store.sums[MinuteKey(SYMBOL, MINUTE + 8)]
    del store.averages[SYMBOL, 1, MINUTE + 7]
    store.averages[SYMBOL, 5, MINUTE + 9] = replace(store.averages[SYMBOL, 5, MINUTE + 8], start=MINUTE + 9)
    found = story.look().comparison
    assert (found.missing, found.wrong, found.extra) == (1, 2, 0)


def test_a_quiet_market_has_nothing_to_compare() -> None:
    found = Story([]).look()
    assert (found.gaps, found.comparison.windows, found.differs) == ((), 0, False)


def test_too_long_a_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_module, "MOST_TRADES", 50)
    story = Story(market())
    with pytest.raises(RepairError, match=r"90 trades; at most 50 .* in 2 parts"):
        story.look()
    assert story.exchange.asked == []
