"""Repairing by id, step by step, against an exchange that the test writes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from include.market.errors import NoEndpointError, RateLimitedError
from include.market.messages import RestTrade
from include.market.weight import Priority, WeightBudget
from include.producer.errors import LastError
from include.producer.flood import FloodDetector
from include.producer.frame_path import FramePath
from include.producer.repair import Repairer
from include.producer.repair_policy import Step, grace_seconds, poll_interval, wait_after
from include.producer.sequencer import IdRange, Sequencer
from include.producer.tracks import Track, Tracks
from include.producer.validation import TradeCheck
from include.runtime.clock import ManualClock
from tests.support.fake_publisher import FakePublisher


class Exchange:
    """Answers like the REST client; ``ids`` are the trades that exist."""

    def __init__(self, clock: ManualClock, ids: set[int]) -> None:
        self.ids, self.clock = ids, clock
        self.budget = WeightBudget(clock)
        self.error: Exception | None = None
        self.data_only = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.prices: dict[int, str] = {}
        self.calls: list[tuple[str, int, int]] = []

    def trades_from(self, symbol: str, trade_id: int, limit: int = 1000) -> list[RestTrade]:
        self.calls.append(("from", trade_id, limit))
        self.budget.admit(25, Priority.REPAIR)
        self.meanwhile()
        if self.data_only:
            raise NoEndpointError("historicalTrades", {})
        return self._rows([i for i in sorted(self.ids) if i >= trade_id][:limit])

    def recent_trades(self, symbol: str, limit: int = 1000) -> list[RestTrade]:
        return self._rows(sorted(self.ids)[-limit:])

    def newest_trade_id(self, symbol: str) -> int | None:
        self.calls.append(("newest", 0, 0))
        return max(self.ids, default=None)

    def _rows(self, ids: list[int]) -> list[RestTrade]:
        if self.error is not None:
            raise self.error
        return [RestTrade(i, self.prices.get(i, "1"), "1", self.clock.time_ms(), True) for i in ids]


class Bench:
    """A symbol that starts at id 0."""

    def __init__(self, ids: set[int], backfill_limit: int = 1_000_000, room: int = 100_000) -> None:
        self.clock = ManualClock()
        self.exchange = Exchange(self.clock, ids)
        self.publisher = FakePublisher(room, self.clock)
        channel = self.publisher.channel("BTCUSDT")
        self.track = Track("BTCUSDT", Sequencer(channel.send, 5000, 0), channel)
        tracks = Tracks([self.track])
        check, self.flood = TradeCheck(tracks.symbols, self.clock), FloodDetector(self.clock, 1)
        path = FramePath(tracks, self.publisher, check, self.flood, self.clock)
        self.errors = LastError()
        self.repairer = Repairer(
            tracks,
            path,
            self.exchange,  # type: ignore[arg-type]
            clock=self.clock,
            backfill_limit=backfill_limit,
            last_error=self.errors,
        )

    def stream(self, *ids: int) -> None:
        for trade_id in ids:
            self.track.sequencer.offer(trade_id, b"{}")

    async def steps(self, count: int) -> list[Step]:
        return [await self.repairer.step(self.track) for _ in range(count)]

    def published(self) -> list[int]:
        self.publisher.poll()
        return self.publisher.ids("BTCUSDT")


async def test_a_gap_is_filled_page_by_page() -> None:
    bench = Bench(set(range(3000)))
    bench.stream(2500)
    assert await bench.steps(3) == [Step.PROGRESS] * 3
    assert bench.published() == list(range(2501))
    assert bench.track.sequencer.gap() is None
    assert [call[1] for call in bench.exchange.calls] == [0, 1000, 2000]


async def test_a_feed_that_keeps_dropping_does_not_spend_the_budget_at_once() -> None:
    """One trade in ten is missing, all through a minute."""
    bench = Bench(set(range(6000)))
    bench.exchange.budget.set_limit(3000)
    for tick in range(600):  # 0.1 s each
        bench.stream(*(i for i in range(10 * tick, 10 * tick + 10) if i % 10))
        bench.repairer.start_due()
        while bench.repairer.busy:
            await asyncio.sleep(0)
        bench.clock.advance(0.1)
        assert bench.exchange.budget.used < 0.8 * 3000
    assert len(bench.exchange.calls) > 100
    assert len(bench.published()) > 5700


async def test_a_gap_that_opens_during_a_call_waits_for_its_turn() -> None:
    bench = Bench(set(range(100)))
    bench.exchange.meanwhile = lambda: bench.stream(bench.track.sequencer.newest_seen + 2)
    bench.stream(1)
    bench.repairer.start_due()
    bench.clock.advance(0.1)
    bench.repairer.start_due()
    while bench.repairer.busy:
        await asyncio.sleep(0)
    assert len(bench.exchange.calls) == 1
    assert bench.track.sequencer.gap() is not None


async def test_scattered_gaps_are_closed_by_one_page() -> None:
    bench = Bench(set(range(100)))
    bench.stream(*(i for i in range(100) if i % 3))
    assert await bench.steps(1) == [Step.PROGRESS]
    assert bench.published() == list(range(99))


async def test_an_id_that_the_exchange_does_not_have_is_confirmed_once_and_passed_over() -> None:
    bench = Bench({0, 1, 5, 6})
    bench.stream(0, 6)
    assert await bench.steps(3) == [Step.PROGRESS, Step.HOLE_SUSPECTED, Step.HOLE]
    assert bench.published() == [0, 1, 5, 6]
    assert bench.track.exchange_holes == [IdRange(2, 4)]
    assert bench.track.ids_without_trade == 3
    assert bench.track.sequencer.gap() is None


async def test_a_trade_that_appears_at_the_second_look_is_no_hole() -> None:
    bench = Bench({0, 3})
    bench.stream(0, 3)
    assert await bench.steps(1) == [Step.HOLE_SUSPECTED]
    bench.exchange.ids |= {1, 2}
    assert await bench.steps(1) == [Step.PROGRESS]
    assert bench.published() == [0, 1, 2, 3]
    assert bench.track.exchange_holes == []


async def test_an_answer_to_an_old_question_proves_no_hole() -> None:
    bench = Bench({0, 1, 2, 5, 6})
    bench.stream(0, 6)
    bench.exchange.ids -= {1, 2}
    bench.exchange.meanwhile = lambda: bench.stream(1, 2)  # late on the stream, not known to REST yet
    assert await bench.steps(1) == [Step.NOTHING_YET]
    bench.exchange.meanwhile = lambda: None
    assert await bench.steps(2) == [Step.HOLE_SUSPECTED, Step.HOLE]
    assert bench.track.exchange_holes == [IdRange(3, 4)]


async def test_rest_may_lag_behind_the_stream() -> None:
    bench = Bench({0})
    bench.stream(0, 2)
    assert await bench.steps(3) == [Step.NOTHING_YET] * 3
    bench.exchange.ids |= {1, 2}
    assert await bench.steps(1) == [Step.PROGRESS]
    assert bench.published() == [0, 1, 2]


async def test_ids_that_only_the_stream_speaks_of_are_forgotten_after_asking() -> None:
    bench = Bench({0})
    bench.stream(0, 10**12)
    assert await bench.steps(5) == [Step.NOTHING_YET] * 4 + [Step.DISTRUSTED]
    assert bench.track.sequencer.gap() is None
    bench.stream(1)
    assert bench.published() == [0, 1]


async def test_a_data_only_endpoint_cannot_prove_a_hole() -> None:
    bench = Bench(set(range(5000)))
    bench.exchange.data_only = True
    bench.stream(4500)
    assert await bench.steps(8) == [Step.NOTHING_YET] * 8
    assert bench.track.exchange_holes == []
    bench.track.sequencer.anchor(4200)  # within the newest thousand, which it does give
    assert bench.published() == list(range(4200, 5000))


@pytest.mark.parametrize(
    ("ids", "unusable", "steps", "published", "holes"),
    [
        ({0, 1, 2, 3}, {1}, [Step.PROGRESS], [0, 2, 3], []),
        ({0}, {0}, [Step.PROGRESS], [], []),  # the newest that is known
        ({0, 3, 4}, {3}, [Step.PROGRESS, Step.HOLE_SUSPECTED, Step.HOLE, Step.PROGRESS], [0, 4], [IdRange(1, 2)]),
        (set(range(1000)), set(range(1000)), [Step.PROGRESS], [], []),
    ],
)
async def test_an_unusable_row_exists_and_is_passed_over_once(
    ids: set[int], unusable: set[int], steps: list[Step], published: list[int], holes: list[IdRange]
) -> None:
    bench = Bench(ids)
    bench.exchange.prices = dict.fromkeys(unusable, "0")
    bench.track.sequencer.notice(max(ids))
    assert await bench.steps(len(steps)) == steps
    assert bench.track.sequencer.gap() is None
    assert bench.published() == published
    assert bench.track.exchange_holes == holes
    assert bench.track.ids_unusable == bench.flood.invalid_total == len(unusable)
    assert bench.track.describe()["unusable"] == sorted(unusable)[-20:]
    origins = [letter.origin for letter in bench.publisher.dead_letters]
    assert origins[0] == f"rest:BTCUSDT:{min(unusable)}"
    assert len(origins) == len(set(origins)) == min(len(unusable), 119)  # 19 until it is a flood, then the first 100


async def test_an_id_that_cannot_be_one_proves_nothing() -> None:
    bench = Bench({2**63})
    bench.track.sequencer.notice(0)
    assert await bench.steps(2) == [Step.NOTHING_YET] * 2
    assert bench.track.sequencer.next_id == 0


async def test_an_unexpected_error_is_reported_and_tried_again_at_leisure() -> None:
    bench = Bench({0})
    bench.exchange.error = ValueError("never seen before")
    bench.track.sequencer.notice(0)
    for _ in range(100):  # 4 s
        bench.repairer.start_due()
        while bench.repairer.busy:
            await asyncio.sleep(0.001)
        bench.clock.advance(0.04)
    assert len(bench.exchange.calls) == 1
    assert "never seen before" in (bench.errors.text or "")
    bench.exchange.error = None
    bench.clock.advance(5)
    bench.repairer.start_due()
    while bench.repairer.busy:
        await asyncio.sleep(0.001)
    assert bench.published() == [0]


async def test_more_than_the_backfill_limit_is_skipped_and_reported() -> None:
    bench = Bench(set(range(5000)), backfill_limit=1000)
    bench.track.sequencer.notice(4999)
    assert await bench.steps(1) == [Step.SKIPPED]
    assert bench.track.skipped == [IdRange(0, 3999)]
    assert bench.track.ids_skipped == 4000
    assert await bench.steps(1) == [Step.PROGRESS]
    assert bench.published() == list(range(4000, 5000))
    assert bench.track.describe()["skipped"] == [[0, 3999]]


async def test_a_wild_id_does_not_make_the_limit_skip_real_trades() -> None:
    bench = Bench(set(range(10)), backfill_limit=1000)
    bench.stream(10**12)
    assert (await bench.steps(1)) == [Step.PROGRESS]
    assert bench.published() == list(range(10))
    assert bench.track.skipped == []


async def test_while_kafka_is_away_it_stops_and_later_goes_on_from_the_same_id() -> None:
    bench = Bench(set(range(3000)), room=500)
    bench.publisher.away = True
    bench.track.sequencer.notice(2999)
    assert await bench.steps(2) == [Step.PROGRESS, Step.NO_ROOM]
    assert bench.track.sequencer.next_id == 500
    bench.publisher.away = False
    for _ in range(10):
        bench.publisher.poll()
        await bench.repairer.step(bench.track)
    assert bench.published() == list(range(3000))


@pytest.mark.parametrize(
    ("error", "step", "limited"),
    [
        (RateLimitedError("HTTP 429", 7, 429), Step.RATE_LIMITED, True),
        (NoEndpointError("trades", {"http://a": "refused"}), Step.FAILED, False),
    ],
)
async def test_errors_are_waited_out(error: Exception, step: Step, limited: bool) -> None:
    bench = Bench(set(range(10)))
    bench.exchange.error = error
    bench.track.sequencer.notice(9)
    assert await bench.steps(1) == [step]
    assert bench.repairer.rate_limited() is limited
    assert (bench.errors.text is None) is limited
    asked = len(bench.exchange.calls)
    bench.repairer.start_due()
    assert len(bench.exchange.calls) == asked  # not due yet
    bench.clock.advance(7)
    assert bench.repairer.rate_limited() is False
    bench.exchange.error = None
    assert await bench.steps(1) == [Step.PROGRESS]


async def test_polling_takes_whatever_comes_next() -> None:
    bench = Bench(set(range(2500)))
    bench.repairer.polling = True
    assert not bench.repairer.polls_answered()
    assert await bench.steps(3) == [Step.POLLED] * 3
    assert bench.published() == list(range(2500))
    assert bench.track.polled == 2499
    assert bench.repairer.polls_answered()
    bench.clock.advance(60)
    assert not bench.repairer.polls_answered()


@pytest.mark.parametrize(("trades", "calls"), [(1000, 2), (999, 1)])
async def test_a_full_page_is_followed_by_the_next_at_once(trades: int, calls: int) -> None:
    bench = Bench(set(range(trades)))
    bench.repairer.polling = True
    for _ in range(3):
        bench.repairer.start_due()
        while bench.repairer.busy:
            await asyncio.sleep(0.001)
    assert len(bench.exchange.calls) == calls


@pytest.mark.parametrize(
    ("used", "missing", "seconds"),
    [
        (0, 1, 0.1),
        (2300, 1, 0.1),
        (2400, 1, 60 / (2400 / 25 / 2)),  # half of what repairs may use is spent: 48 calls a symbol are left
        (4700, 1, 30.0),
        (4800, 1, 60.0),
        (4700, 999, 30.0),
        (4700, 1000, 0.0),  # a full page is worth its weight at once
    ],
)
def test_small_gaps_wait_for_each_other_as_the_budget_is_spent(used: int, missing: int, seconds: float) -> None:
    budget = WeightBudget(ManualClock(now_ms=60_000 * 1000), 6000)
    budget.observe(used)
    assert grace_seconds(budget, 2, missing) == pytest.approx(seconds)


def test_waits() -> None:
    assert [wait_after(n) for n in (0, 1, 2, 3, 4, 5, 6, 99)] == [0.2, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    budget = WeightBudget(ManualClock(), 6000)
    assert [poll_interval(budget, n) for n in (1, 2, 100)] == [1.0, 1.0, 50.0]
