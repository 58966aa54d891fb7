"""Which trades are sent, and in which order, under each fault of delivery."""

from __future__ import annotations

from itertools import pairwise

import pytest

from include.market.standin import Faults, IdRange
from include.market.standin.distortion import Distortion

NOW_US = 1_700_000_000_000_000


def plan(faults: Faults, ticks: int = 50, per_tick: int = 20, seed: int = 1) -> list[int]:
    distortion = Distortion(seed, "BTCUSDT", "trade")
    sent: list[int] = []
    for tick in range(ticks):
        sent += distortion.plan(tick * per_tick, (tick + 1) * per_tick, faults, NOW_US + tick * 1_000_000)
    return sent


def test_without_faults_every_trade_is_sent_once_in_order():
    assert plan(Faults()) == list(range(1_000))


def test_dropped_trades_are_missing_and_the_rest_stays_in_order():
    sent = plan(Faults(drop_ratio=0.1))
    assert sent == sorted(set(sent))
    assert 860 < len(sent) < 940
    ranges = Faults(drop_ids=(IdRange(symbol="BTCUSDT", first=5, last=7), IdRange(symbol="ETHUSDT", first=20, last=30)))
    assert plan(ranges) == [i for i in range(1_000) if i not in (5, 6, 7)]


def test_duplicates_follow_their_original():
    sent = plan(Faults(duplicate_ratio=0.1))
    assert sorted(set(sent)) == list(range(1_000))
    assert sent == sorted(sent)
    assert 1_060 < len(sent) < 1_140


@pytest.mark.parametrize("per_tick", [1, 20], ids=["one trade a tick", "many"])
def test_reordered_trades_change_places_with_the_next_one(per_tick: int):
    sent = plan(Faults(reorder_ratio=0.2), ticks=1_000 // per_tick, per_tick=per_tick)
    assert sent != sorted(sent)
    assert 150 < sum(a > b for a, b in pairwise(sent)) < 220
    assert all(abs(position - item) <= 1 for position, item in enumerate(sent))


def test_a_trade_that_waits_for_the_next_one_is_not_lost_when_the_fault_ends():
    distortion = Distortion(1, "BTCUSDT", "trade")
    assert list(distortion.plan(0, 1, Faults(reorder_ratio=1), NOW_US)) == []
    assert list(distortion.plan(1, 3, Faults(), NOW_US)) == [1, 0, 2]


def test_late_trades_come_after_their_delay_and_none_is_lost():
    sent = plan(Faults(late_ratio=0.1, late_seconds=3))
    distances = [position - item for position, item in enumerate(sent)]
    assert max(distances) > 40, "three ticks later"
    assert len(sent) == len(set(sent)) > 950
    distortion = Distortion(1, "BTCUSDT", "trade")
    first = list(distortion.plan(0, 100, Faults(late_ratio=1, late_seconds=3), NOW_US))
    assert first == []
    assert list(distortion.plan(100, 100, Faults(), NOW_US + 2_999_999)) == []
    assert list(distortion.plan(100, 101, Faults(), NOW_US + 3_000_000)) == list(range(101)), (
        "also once the fault is off"
    )


def test_a_ratio_hits_the_same_trades_for_the_same_seed_however_the_ticks_fall():
    faults = Faults(drop_ratio=0.1, duplicate_ratio=0.1)
    assert plan(faults) == plan(faults, ticks=10, per_tick=100)
    assert plan(faults) != plan(faults, seed=2)
