"""Frames in, trades and dead letters out; a flood of invalid frames is a state of its own."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from include.broker.dead_letters import DeadLetterReason
from include.market.messages import RestTrade
from include.producer.flood import FloodDetector, FloodState, Storing
from include.producer.frame_path import FrameKind, FramePath
from include.producer.publisher import Origin
from include.producer.sequencer import Offered, Sequencer
from include.producer.tracks import SymbolState, Track, Tracks
from include.producer.validation import TradeCheck
from include.runtime.clock import ManualClock
from tests.support.fake_publisher import FakePublisher

TRADE: dict[str, Any] = {
    "e": "trade",
    "E": 1_700_000_000_123,
    "s": "BTCUSDT",
    "t": 100,
    "p": "43210.12000000",
    "q": "0.00120000",
    "T": 1_700_000_000_122,
    "m": True,
    "M": True,
}
AHEAD = 600_000  # the most that a trade's time may be ahead
NOW = 1_700_000_000_000


class Bench:
    def __init__(self, ratio: float = 0.05) -> None:
        self.clock = ManualClock(NOW)
        self.publisher = FakePublisher()
        channel = self.publisher.channel("BTCUSDT")
        self.track = Track("BTCUSDT", Sequencer(channel.send, 100, 100), channel)
        tracks = Tracks([self.track])
        self.flood = FloodDetector(self.clock, ratio)
        check = TradeCheck(tracks.symbols, self.clock)
        self.path = FramePath(tracks, self.publisher, check, self.flood, self.clock)


def frame(**changes: Any) -> bytes:
    data = {name: value for name, value in {**TRADE, **changes}.items() if value is not ...}
    return json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":")).encode()


def value(raw: bytes) -> bytes:
    return raw[raw.index(b'"data":') + 7 : -1]


@pytest.mark.parametrize(
    "good",
    [
        frame(),
        frame(new_field={"of": ["the", "exchange"]}, b=1, a=2),
        frame(M=...),
        frame(p="0.00000001", q="9999999999.99999999"),
        frame(p="1"),
        frame(T=NOW + AHEAD),
        b'{"data": %s ,"stream":"btcusdt@trade"}' % json.dumps(TRADE).encode(),
    ],
)
def test_a_trade_is_passed_on_byte_for_byte(good: bytes) -> None:
    bench = Bench()
    assert bench.path.accept(good) is FrameKind.TRADE
    bench.publisher.poll()
    (stored,) = bench.publisher.topic
    assert stored[:2] == ("BTCUSDT", 100)
    assert stored[2] in good
    assert json.loads(stored[2]) == json.loads(good)["data"]
    assert stored[3] is Origin.STREAM
    assert bench.track.newest_event_time_ms == json.loads(good)["data"]["T"]


R = DeadLetterReason


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (b"", R.MALFORMED_JSON, "truncated"),
        (frame()[:50], R.MALFORMED_JSON, "truncated"),
        (frame() + b"}", R.MALFORMED_JSON, "trailing"),
        (b"\xff\xfe\x00", R.MALFORMED_JSON, ""),
        (frame().replace(b"BTCUSDT", b"BTC\xffUSD"), R.MALFORMED_JSON, ""),
        (b"[" * 100_000, R.MALFORMED_JSON, ""),
        (b"{}", R.SCHEMA_MISMATCH, "data"),
        (b'"text"', R.SCHEMA_MISMATCH, "object"),
        (b'{"result":null,"id":1}', R.SCHEMA_MISMATCH, "data"),
        (b'{"stream":"x","data":null}', R.SCHEMA_MISMATCH, "object"),
        (frame(p=43210.12), R.SCHEMA_MISMATCH, "$.p"),
        (frame(p=None), R.SCHEMA_MISMATCH, "$.p"),
        (frame(q=...), R.SCHEMA_MISMATCH, "`q`"),
        (frame(t="100"), R.SCHEMA_MISMATCH, "$.t"),
        (frame(t=1.5), R.SCHEMA_MISMATCH, "$.t"),
        (frame(m="true"), R.SCHEMA_MISMATCH, "$.m"),
        (frame(e=...), R.SCHEMA_MISMATCH, "`e`"),
        (frame(e="aggTrade"), R.UNEXPECTED_EVENT, "aggTrade"),
        (frame(s="ETHUSDT"), R.UNEXPECTED_SYMBOL, "ETHUSDT"),
        (frame(s="btcusdt"), R.UNEXPECTED_SYMBOL, "btcusdt"),
        (frame(p="0.00000000"), R.VALUE_OUT_OF_RANGE, "p '0.00000000'"),
        (frame(p="-1"), R.VALUE_OUT_OF_RANGE, "p '-1'"),
        (frame(p="1e5"), R.VALUE_OUT_OF_RANGE, "p '1e5'"),
        (frame(p="NaN"), R.VALUE_OUT_OF_RANGE, "p 'NaN'"),
        (frame(p=" 1"), R.VALUE_OUT_OF_RANGE, "p ' 1'"),
        (frame(p="1\n"), R.VALUE_OUT_OF_RANGE, "p "),
        (frame(p="١"), R.VALUE_OUT_OF_RANGE, "p "),
        (frame(p=""), R.VALUE_OUT_OF_RANGE, "p ''"),
        (frame(p="1."), R.VALUE_OUT_OF_RANGE, "p '1.'"),
        (frame(p="12345678901"), R.VALUE_OUT_OF_RANGE, "p "),
        (frame(q="0.123456789"), R.VALUE_OUT_OF_RANGE, "q "),
        (frame(t=-1), R.VALUE_OUT_OF_RANGE, "t -1"),
        (frame(t=2**63), R.VALUE_OUT_OF_RANGE, "t "),
        (frame(T=1_700_000_000), R.VALUE_OUT_OF_RANGE, "T "),  # seconds
        (frame(T=1_700_000_000_122_000), R.VALUE_OUT_OF_RANGE, "T "),  # microseconds
        (frame(T=NOW + AHEAD + 1), R.VALUE_OUT_OF_RANGE, "T "),
        (frame(filler="x" * 5000), R.SCHEMA_MISMATCH, "too long"),
    ],
)
def test_anything_else_becomes_a_dead_letter_with_its_raw_bytes(bad: bytes, reason: R, detail: str) -> None:
    bench = Bench()
    assert bench.path.accept(bad, "ws://exchange") is FrameKind.INVALID
    (letter,) = bench.publisher.dead_letters
    assert (letter.raw, letter.reason, letter.stage, letter.origin) == (bad, reason, "btc_producer", "ws://exchange")
    assert detail in letter.detail
    assert letter.failed_at_ms == NOW
    assert bench.path.reasons == {reason.value: 1}
    assert bench.path.accept(frame()) is FrameKind.TRADE  # the feed goes on


@pytest.mark.parametrize(
    "notice",
    [b'{"e":"serverShutdown","E":1}', b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}'],
)
def test_a_shutdown_notice_is_no_dead_letter(notice: bytes) -> None:
    bench = Bench()
    assert bench.path.accept(notice) is FrameKind.SHUTDOWN_NOTICE
    assert bench.publisher.dead_letters == []
    assert bench.flood.invalid_total == 0


def test_the_latest_acceptable_time_follows_the_clock() -> None:
    clock = ManualClock(NOW)
    check = TradeCheck(frozenset({"BTCUSDT"}), clock)
    trade = RestTrade(1, "1", "1", NOW + AHEAD + 1000, True).as_event("BTCUSDT")
    assert check.problem(trade) is not None
    clock.advance(1)
    check.refresh()
    assert check.problem(trade) is None


def test_rest_rows_take_the_stream_s_shape_and_the_same_checks() -> None:
    bench = Bench()
    good, bad = RestTrade(100, "1.5", "2", NOW, False), RestTrade(101, "0", "2", NOW, False)
    assert bench.path.accept_rest(bench.track, good) is Offered.PUBLISHED
    assert bench.path.accept_rest(bench.track, bad) is None
    bench.publisher.poll()
    ((_, trade_id, stored, origin),) = bench.publisher.topic
    assert (trade_id, origin) == (100, Origin.REST)
    assert json.loads(stored) == {
        "e": "trade", "E": NOW, "s": "BTCUSDT", "t": 100, "p": "1.5", "q": "2", "T": NOW, "m": False, "M": True,
    }  # fmt: skip
    (letter,) = bench.publisher.dead_letters
    assert (letter.reason, letter.origin) == (R.VALUE_OUT_OF_RANGE, "rest:BTCUSDT:101")
    assert bench.track.newest_event_time_ms == NOW
    assert bench.track.state is SymbolState.LIVE


def test_what_the_dead_letter_topic_does_not_take_is_counted() -> None:
    bench = Bench()
    bench.publisher.abandon()
    bench.path.accept(b"{")
    assert bench.path.dead_letters_dropped == 1


def pour(flood: FloodDetector, clock: ManualClock, seconds: int, valid: int, invalid: int) -> list[Storing]:
    """So many valid and invalid frames in each second."""
    answers = []
    for _ in range(seconds):
        flood.valid += valid
        answers += [flood.invalid_frame() for _ in range(invalid)]
        clock.advance(1)
        flood.refresh()
    return answers


@pytest.mark.parametrize(
    ("valid", "invalid", "state"),
    [
        (1000, 10, FloodState.NORMAL),  # one percent
        (95, 5, FloodState.NORMAL),  # exactly the ratio
        (94, 6, FloodState.FLOOD),
        (5, 1, FloodState.NORMAL),  # a sixth, but of 60 frames in 10 s only
        (10, 1, FloodState.FLOOD),  # 110 frames in 10 s
        (0, 1, FloodState.NORMAL),  # all, but of ten frames only
        (0, 2, FloodState.FLOOD),  # all of twenty
    ],
)
def test_when_invalid_frames_are_a_flood(valid: int, invalid: int, state: FloodState) -> None:
    clock = ManualClock()
    flood = FloodDetector(clock, ratio=0.05)
    pour(flood, clock, 9, valid, invalid)
    flood.valid += valid
    for _ in range(invalid):
        flood.invalid_frame()
    assert flood.state is state


class Shared(tuple[float, int, int]):
    """A bucket during whose reading another thread adds one."""

    buckets: deque[Any]

    def __getitem__(self, index: Any) -> Any:
        self.buckets.append((0.0, 0, 0))
        return super().__getitem__(index)


def test_counts_may_be_read_from_another_thread() -> None:
    flood = FloodDetector(ManualClock(), ratio=0.05)
    Shared.buckets = flood._buckets
    flood._buckets.extend(Shared((0.0, 3, 2)) for _ in range(2))
    assert flood.counts() == (6, 4)


def test_a_flood_stores_the_first_then_one_a_second_and_counts_the_rest() -> None:
    clock = ManualClock()
    flood = FloodDetector(clock, ratio=0.05)
    answers = pour(flood, clock, 10, 0, 100)
    assert flood.state is FloodState.FLOOD
    assert answers.count(Storing.STORE) == 19 + 100  # before it was known to be a flood, and its first hundred
    assert answers.count(Storing.SAMPLE) == 8
    assert answers.count(Storing.COUNT_ONLY) == flood.not_stored == 1000 - 127
    assert (flood.invalid_total, flood.floods) == (1000, 1)


@pytest.mark.parametrize(
    ("valid", "invalid", "seconds", "state"),
    [
        (100, 0, 9, FloodState.FLOOD),  # the window still holds some of it
        (100, 0, 11, FloodState.NORMAL),
        (100, 2, 11, FloodState.NORMAL),  # below half of the ratio
        (100, 4, 30, FloodState.FLOOD),  # below the ratio, not below half of it
        (0, 0, 30, FloodState.FLOOD),  # no valid frame proves nothing
    ],
)
def test_a_flood_is_left_by_a_stricter_rule(valid: int, invalid: int, seconds: int, state: FloodState) -> None:
    clock = ManualClock()
    flood = FloodDetector(clock, ratio=0.05)
    pour(flood, clock, 1, 0, 50)
    assert flood.state is FloodState.FLOOD
    pour(flood, clock, seconds, valid, invalid)
    assert flood.state is state
