"""Events of one tick: frames, and a catch-up after a pause that is spread over several ticks."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from include.market.standin.broadcast import TradeBroadcast
from include.market.standin.faults import Faults
from include.market.standin.generated_ledger import GeneratedLedger
from include.market.standin.payloads import TimeUnit, frame, text_frame

START_US = 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_has_the_header_of_rfc_6455_for_its_size(size: int, header: bytes):
    assert text_frame(b"x" * size) == header + b"x" * size


def test_the_opcode_is_the_frames_own():
    assert frame(0x9, b"1700000020000") == b"\x89\x0d1700000020000"


def test_a_long_catch_up_is_spread_over_ticks_without_cutting_an_order_in_two():
    ledger = GeneratedLedger(("BTCUSDT",), 1, 10_000.0, START_US)
    broadcast = TradeBroadcast(ledger, "BTCUSDT", 1)
    ledger.advance(START_US + 5_000_000)
    trades: list[int] = []
    aggregates: list[tuple[int, int]] = []
    sizes = []
    while not broadcast.caught_up:
        one, other = broadcast.batches(lambda stream: True, Faults())
        events = [json.loads(payload) for payload in one.payloads(TimeUnit.MILLISECOND)]
        sizes.append(len(events))
        trades += [event["t"] for event in events]
        aggregates += [(e["f"], e["l"]) for e in map(json.loads, other.payloads(TimeUnit.MILLISECOND))]
        assert aggregates[-1][1] == trades[-1]
    assert len(sizes) == 3
    assert max(sizes) <= 20_000
    assert trades == list(range(ledger.first_id("BTCUSDT"), ledger.next_id("BTCUSDT")))
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(aggregates))
