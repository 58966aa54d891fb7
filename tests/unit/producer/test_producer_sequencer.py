"""Whatever a feed does, the published ids are consecutive, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.producer.publisher import Origin, Sent
from include.producer.sequencer import UNKNOWN, IdRange, Offered, Sequencer


class Log:
    """Takes trades while ``open``."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.origins: list[Origin] = []
        self.open = True

    def send(self, trade_id: int, value: bytes, origin: Origin) -> Sent:
        if not self.open:
            return Sent.FULL
        assert value == b"%d" % trade_id
        self.ids.append(trade_id)
        self.origins.append(origin)
        return Sent.TAKEN


def offer(sequencer: Sequencer, *ids: int) -> list[Offered]:
    return [sequencer.offer(trade_id, b"%d" % trade_id) for trade_id in ids]


P, D, H, X = Offered.PUBLISHED, Offered.DUPLICATE, Offered.HELD, Offered.DISCARDED


@pytest.mark.parametrize(
    ("story", "offered", "answers", "published", "gap"),
    [
        ("in order", [5, 6, 7], [P, P, P], [5, 6, 7], None),
        ("twice", [5, 5, 6, 5, 6], [P, D, P, D, D], [5, 6], None),
        ("before the start", [3, 4, 5], [D, D, P], [5], None),
        ("swapped", [6, 5, 7], [H, P, P], [5, 6, 7], None),
        ("a hole", [5, 8, 9], [P, H, H], [5], IdRange(6, 7)),
        ("a hole, filled", [5, 8, 9, 6, 7, 10], [P, H, H, P, P, P], [5, 6, 7, 8, 9, 10], None),
        ("held twice", [7, 7], [H, D], [], IdRange(5, 6)),
        ("more than may be held", [7, 8, 9, 10], [H, H, H, X], [], IdRange(5, 6)),
        (
            "what had no room is missing later",
            [7, 8, 9, 10, 5, 6],
            [H, H, H, X, P, P],
            [5, 6, 7, 8, 9],
            IdRange(10, 10),
        ),
    ],
)
def test_stories(
    story: str, offered: list[int], answers: list[Offered], published: list[int], gap: IdRange | None
) -> None:
    log = Log()
    sequencer = Sequencer(log.send, hold_limit=3, next_id=5)
    assert offer(sequencer, *offered) == answers, story
    assert log.ids == published
    assert sequencer.gap() == gap
    assert sequencer.duplicates == answers.count(D)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 5), st.sets(st.integers(0, 200)))
def test_any_feed_with_repair_gives_every_id_once_in_order(offered: list[int], hold: int, full_at: set[int]) -> None:
    log = Log()
    sequencer = Sequencer(log.send, hold_limit=hold, next_id=0)
    for step, trade_id in enumerate(offered):
        log.open = step not in full_at
        offer(sequencer, trade_id)
        assert log.ids == list(range(sequencer.next_id))
        assert sequencer.held <= hold
    log.open = True
    while (gap := sequencer.gap()) is not None:
        offer(sequencer, *range(gap.first, gap.last + 1))
    assert log.ids == list(range(max(offered, default=-1) + 1))


def test_frames_before_the_start_is_known_are_held_and_then_sorted_out() -> None:
    log = Log()
    sequencer = Sequencer(log.send, hold_limit=10)
    assert offer(sequencer, 10, 11, 14) == [H, H, H]
    assert (sequencer.gap(), sequencer.next_id, sequencer.oldest_held) == (None, UNKNOWN, 10)
    sequencer.anchor(11)
    assert log.ids == [11]
    assert sequencer.gap() == IdRange(12, 13)


def test_a_start_before_the_first_frame_is_a_gap() -> None:
    sequencer = Sequencer(Log().send, hold_limit=10)
    offer(sequencer, 10)
    sequencer.anchor(7)
    assert sequencer.gap() == IdRange(7, 9)


def test_while_kafka_is_away_nothing_is_published_and_all_is_asked_for_again() -> None:
    log = Log()
    sequencer = Sequencer(log.send, hold_limit=10, next_id=0)
    offer(sequencer, 0, 1)
    log.open = False
    assert offer(sequencer, 2) == [X]
    assert sequencer.gap() == IdRange(2, 2)
    log.open = True
    assert offer(sequencer, 3, 2) == [H, P]
    assert log.ids == [0, 1, 2, 3]


def test_kafka_going_away_in_the_middle_of_a_release_drops_what_is_held() -> None:
    taken: list[int] = []

    def send(trade_id: int, value: bytes, origin: Origin) -> Sent:
        if len(taken) == 2:
            return Sent.FULL
        taken.append(trade_id)
        return Sent.TAKEN

    sequencer = Sequencer(send, hold_limit=10, next_id=0)
    offer(sequencer, 1, 2, 3, 0)
    assert taken == [0, 1]
    assert sequencer.held == 0
    assert sequencer.gap() == IdRange(2, 3)


def test_ids_that_only_the_stream_knows_can_be_forgotten() -> None:
    sequencer = Sequencer(Log().send, hold_limit=10, next_id=5)
    offer(sequencer, 7, 10**15)
    assert sequencer.distrust_beyond(8) == 1
    assert sequencer.gap() == IdRange(5, 6)
    offer(sequencer, 5, 6)
    assert sequencer.gap() == IdRange(8, 8)
    assert sequencer.distrust_beyond(2) == 0
    assert sequencer.gap() is None
    assert sequencer.newest_seen == 7


def test_the_exchange_can_make_a_gap_known() -> None:
    sequencer = Sequencer(Log().send, hold_limit=10, next_id=5)
    sequencer.notice(8)
    assert sequencer.gap() == IdRange(5, 8)
    sequencer.notice(3)
    assert sequencer.gap() == IdRange(5, 8)
    assert len(IdRange(5, 8)) == 4


def test_origins_travel_with_held_trades() -> None:
    log = Log()
    sequencer = Sequencer(log.send, hold_limit=10, next_id=0)
    sequencer.offer(1, b"1", Origin.REST)
    sequencer.offer(0, b"0")
    assert log.origins == [Origin.STREAM, Origin.REST]
