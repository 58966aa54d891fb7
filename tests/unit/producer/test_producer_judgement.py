"""Judgements: silence, overlap of two connections, one word of status."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from include.market.errors import NoEndpointError, RateLimitedError
from include.producer.feed import Overlap, overlap_state
from include.producer.flood import FloodState
from include.producer.publisher import PublisherState
from include.producer.sequencer import Sequencer
from include.producer.silence import SilenceTimer, SilenceWatch, Verdict
from include.producer.status import Facts, Status, status
from include.producer.tracks import Track, Tracks
from include.runtime.clock import ManualClock
from tests.support.fake_publisher import FakePublisher


class Bench:
    """Two symbols, each with trades up to id 9; ``newest`` is what the exchange answers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        publisher = FakePublisher()
        names = ("BTCUSDT", "ETHUSDT")
        self.tracks = Tracks(
            [Track(n, Sequencer(publisher.channel(n).send, 10, 10), publisher.channel(n)) for n in names]
        )
        self.newest: int | Exception | None = 9
        self.arrives_meanwhile = False
        self.watch = SilenceWatch(self.tracks, self._ask, 5.0, self.clock)

    async def _ask(self, symbol: str) -> int | None:
        if self.arrives_meanwhile:
            self.tracks[symbol].received += 1
        if isinstance(self.newest, Exception):
            raise self.newest
        return self.newest

    def data(self, *symbols: str) -> None:
        for symbol in symbols:
            self.tracks[symbol].received += 1
        self.watch.look()


@pytest.mark.parametrize(
    ("newest", "arrives", "verdict"),
    [
        (9, False, Verdict.QUIET),
        (None, False, Verdict.QUIET),  # never traded
        (12, False, Verdict.FEED_AT_FAULT),
        (12, True, Verdict.WOKE_UP),
        (NoEndpointError("aggTrades", {}), False, Verdict.EXCHANGE_UNREACHABLE),
        (RateLimitedError("HTTP 429", 5, 429), False, Verdict.RATE_LIMITED),
    ],
)
async def test_the_exchange_says_what_a_silence_is(
    newest: int | Exception | None, arrives: bool, verdict: Verdict
) -> None:
    bench = Bench()
    bench.newest, bench.arrives_meanwhile = newest, arrives
    assert await bench.watch.judge("BTCUSDT") is verdict
    missing = bench.tracks["BTCUSDT"].sequencer.gap()
    assert (missing is not None) is (verdict is Verdict.FEED_AT_FAULT)


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        (("connected", "polled"), Verdict.FEED_AT_FAULT),  # the stream should have brought it
        (("polled", "connected"), Verdict.QUIET),
        (("polled", "data"), Verdict.QUIET),
    ],
)
async def test_what_polling_brings_meanwhile_is_no_quiet_market(story: tuple[str, ...], verdict: Verdict) -> None:
    bench = Bench()
    track = bench.tracks["BTCUSDT"]
    for step in story:
        if step == "polled":
            bench.newest = track.polled = 12
            track.sequencer.anchor(13)
        elif step == "connected":
            bench.watch.start_over()
        else:
            bench.data("BTCUSDT")
    assert await bench.watch.judge("BTCUSDT") is verdict
    assert track.sequencer.gap() is None


async def test_a_quiet_symbol_is_asked_about_less_and_less_often() -> None:
    bench = Bench()
    asked = []
    for second in range(1, 1300):
        bench.clock.advance(1)
        bench.data("ETHUSDT")
        if bench.watch.look() is not None:
            asked.append(second)
            await bench.watch.judge("BTCUSDT")
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert asked[0] == 5
    assert asked[1:6] == [10, 20, 40, 80, 160]
    assert asked[6] == 300
    assert all(gap <= 300 for gap in gaps)


async def test_the_feed_as_a_whole_has_less_patience() -> None:
    bench = Bench()
    asked = []
    for second in range(1, 200):
        bench.clock.advance(1)
        if (symbol := bench.watch.look()) is not None:
            asked.append(second)
            await bench.watch.judge(symbol)
    assert max(b - a for a, b in itertools.pairwise(asked)) <= 30


def test_a_timer_forgets_its_patience_while_data_flows() -> None:
    timer = SilenceTimer(0.0, 5.0, 300.0)
    for _ in range(4):
        timer.asked(10.0, Verdict.QUIET)
    assert timer.patience == 80
    for tick in range(5000):
        timer.data(10.0 + tick / 50)
    assert timer.patience == 5
    assert not timer.due(110 + 4.9)
    assert timer.due(110 + 5.1)


def test_a_verdict_other_than_quiet_asks_again_soon() -> None:
    timer = SilenceTimer(0.0, 5.0, 300.0)
    for now in (5.0, 10.0, 15.0):
        assert timer.due(now)
        timer.asked(now, Verdict.EXCHANGE_UNREACHABLE)
        assert not timer.due(now + 4.9)
    assert timer.patience == 5


@pytest.mark.parametrize(
    ("at_opening", "old_last", "new_first", "age", "state"),
    [
        ({}, {}, {}, 0.0, Overlap.PROVEN),  # nothing to lose
        ({"A": 5}, {"A": 5}, {}, 0.0, Overlap.NOT_YET),
        ({"A": 5}, {"A": 7}, {"A": 8}, 0.1, Overlap.PROVEN),
        ({"A": 5}, {"A": 7}, {"A": 6}, 0.1, Overlap.PROVEN),
        ({"A": 5}, {"A": 7}, {"A": 9}, 0.1, Overlap.NOT_YET),  # 8 may still come on the old one
        ({"A": 5, "B": 1}, {"A": 7, "B": 1}, {"A": 8}, 1.9, Overlap.NOT_YET),
        ({"A": 5, "B": 1}, {"A": 7, "B": 1}, {"A": 8}, 2.0, Overlap.QUIET),  # B did not trade
        ({"A": 5, "B": 1}, {"A": 7, "B": 2}, {"A": 8}, 2.0, Overlap.NOT_YET),  # B did, and the new one is without it
        ({"A": 5, "B": 1}, {"A": 7, "B": 2}, {"A": 8}, 10.0, Overlap.TIMED_OUT),
        ({"A": 7}, {"A": 7}, {"A": 9}, 2.0, Overlap.NOT_YET),  # quiet on the old one only
        ({"A": 5}, {"A": 7}, {"A": 9}, 10.0, Overlap.TIMED_OUT),
    ],
)
def test_when_the_old_connection_may_go(
    at_opening: dict[str, int], old_last: dict[str, int], new_first: dict[str, int], age: float, state: Overlap
) -> None:
    assert overlap_state(at_opening, old_last, new_first, age) is state


FINE = Facts(
    stopping=False,
    anchored=True,
    publisher=PublisherState.OPEN,
    oldest_unacknowledged_seconds=0.1,
    flood=FloodState.NORMAL,
    rate_limited=False,
    polling=False,
    polls_answered=False,
    verdict=None,
    stream_proven=True,
    behind=False,
)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, Status.LIVE),
        ({"behind": True}, Status.CATCHING_UP),
        ({"verdict": Verdict.QUIET, "stream_proven": False}, Status.LIVE),
        ({"verdict": Verdict.FEED_AT_FAULT}, Status.LIVE),  # replaced since
        ({"verdict": Verdict.FEED_AT_FAULT, "stream_proven": False, "behind": True}, Status.SILENT),
        ({"polling": True, "polls_answered": True, "behind": True}, Status.POLLING),
        ({"polling": True}, Status.EXCHANGE_UNREACHABLE),
        ({"polling": True, "rate_limited": True}, Status.RATE_LIMITED),
        ({"flood": FloodState.FLOOD, "rate_limited": True, "polling": True}, Status.INVALID_FLOOD),
        ({"oldest_unacknowledged_seconds": 5.1, "behind": True}, Status.BUFFERING_KAFKA_AWAY),
        ({"anchored": False, "behind": True}, Status.STARTING),
        ({"publisher": PublisherState.PAUSED, "anchored": False}, Status.PAUSED_KAFKA_AWAY),
        ({"publisher": PublisherState.BROKEN}, Status.PAUSED_KAFKA_AWAY),
        ({"stopping": True, "publisher": PublisherState.BROKEN}, Status.STOPPING),
    ],
)
def test_one_word(changes: dict[str, object], word: Status) -> None:
    assert status(replace(FINE, **changes)) is word  # type: ignore[arg-type]
