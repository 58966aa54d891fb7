"""Offsets without a broker: how long records wait, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo

from include.health.observations import Code, Outcome
from include.health.probes.offsets import KafkaOffsets
from include.health.probes.record_times import RecordTimes
from include.runtime.clock import ManualClock

_NOBODY = "127.0.0.1:1"


class CountedTimes(RecordTimes):
    """Every record was written at 1000 s plus its offset."""

    def __init__(self) -> None:
        super().__init__(_NOBODY, "t")
        self.fetched: list[dict[int, int]] = []
        self.lost: set[int] = set()

    def _fetch(self, offsets: dict[int, int], seconds: float) -> dict[int, int]:
        self.fetched.append(offsets)
        return {p: (1000 + offset) * 1000 for p, offset in offsets.items() if p not in self.lost}


@pytest.fixture
def times() -> Iterator[CountedTimes]:
    with closing(CountedTimes()) as found:
        yield found


@pytest.fixture
def probe(times: CountedTimes) -> KafkaOffsets:
    found = KafkaOffsets(_NOBODY, 60.0, clock=ManualClock(2_000_000))
    found._times.close()
    found._times = times
    return found


def _at(**offsets: int) -> dict[int, ListOffsetsResultInfo]:
    return {int(name[1:]): ListOffsetsResultInfo(offset, -1, 3) for name, offset in offsets.items()}


@pytest.mark.parametrize(
    ("committed", "start", "end", "waiting"),
    [
        (10, 0, 20, 990.0),  # the record at the committed offset, not the newest
        (20, 0, 20, 0.0),  # nothing is unread
        (25, 0, 20, 0.0),  # a topic made anew: reported as it is
        (None, 5, 20, 995.0),  # never committed: everything waits
        (None, 0, 0, 0.0),
        (2, 5, 20, 995.0),  # deleted by retention: the oldest there is
    ],
)
def test_how_long_the_next_record_has_waited(
    probe: KafkaOffsets, committed: int | None, start: int, end: int, waiting: float
) -> None:
    known = {} if committed is None else {0: committed}
    assert probe._waiting(known, _at(p0=end), _at(p0=start)) == {0: waiting}


def test_a_record_that_did_not_come_is_unknown_not_zero(probe: KafkaOffsets, times: CountedTimes) -> None:
    times.lost = {1}
    assert probe._waiting({0: 1, 1: 1}, _at(p0=9, p1=9), _at(p0=0, p1=0)) == {0: 999.0, 1: None}


def test_clocks_that_differ_never_make_a_negative_age(probe: KafkaOffsets) -> None:
    assert probe._waiting({0: 5_000}, _at(p0=9_000), _at(p0=0)) == {0: 0.0}


def test_a_record_is_fetched_once(times: CountedTimes) -> None:
    assert times.at({0: 5, 1: 7}, {0: 1, 1: 1}, 1.0) == {0: 1_005_000, 1: 1_007_000}
    assert times.at({0: 5, 1: 7}, {0: 1, 1: 1}, 1.0) == {0: 1_005_000, 1: 1_007_000}
    times.at({0: 6, 1: 7}, {0: 1, 1: 1}, 1.0)
    assert times.fetched == [{0: 5, 1: 7}, {0: 6}]
    times.at({0: 6}, {0: 2}, 1.0)  # the same offset in another epoch may be another record
    assert times.fetched[2:] == [{0: 6}]
    assert times.at({}, {}, 1.0) == {}


def test_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.health.probes.offsets._LOOK_SECONDS", 0.4)
    with closing(KafkaOffsets(_NOBODY, 60.0)) as probe:
        seen = probe.look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.REFUSED)
