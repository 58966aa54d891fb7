"""Reduced frequency: which trades are published follows from their ids, and nothing of it looks like a loss."""

from __future__ import annotations

import random

import pytest

from include.producer.publisher import Origin, Sent
from include.producer.sampling import EVERYTHING, SampledChannel, Sampling
from include.producer.sequencer import Sequencer
from include.producer.tracks import SymbolState, Track
from tests.support.fake_publisher import FakePublisher


@pytest.mark.parametrize(
    ("one_in", "block", "trade_id", "published", "first_from_here"),
    [
        (1, 200, 123, True, 123),
        (4, 200, 0, True, 0),
        (4, 200, 199, True, 199),
        (4, 200, 200, False, 800),
        (4, 200, 799, False, 800),
        (4, 200, 800, True, 800),
        (4, 200, 3_000_000_399, False, 3_000_000_800),
        (3, 10, 25, False, 30),
        (2, 1, 7, False, 8),
    ],
)
def test_which_trades_are_published(
    one_in: int, block: int, trade_id: int, published: bool, first_from_here: int
) -> None:
    sampling = Sampling(one_in, block)
    assert sampling.publishes(trade_id) is published
    assert sampling.first_published(trade_id) == first_from_here


def test_the_first_published_is_the_first() -> None:
    chance = random.Random(5)
    for _ in range(300):
        sampling, trade_id = Sampling(chance.randint(1, 9), chance.randint(1, 30)), chance.randint(0, 10_000)
        wanted = next(i for i in range(trade_id, trade_id + 1000) if sampling.publishes(i))
        assert sampling.first_published(trade_id) == wanted


@pytest.mark.parametrize(
    ("sampling", "headers"),
    [(EVERYTHING, ()), (Sampling(4), (("sampling", b"1/4"), ("sampling-block", b"200")))],
)
def test_what_a_record_says(sampling: Sampling, headers: tuple[tuple[str, bytes], ...]) -> None:
    assert sampling.headers() == headers


def sampled(sampling: Sampling, first: int) -> tuple[Track, FakePublisher]:
    publisher = FakePublisher(limit=100)
    channel = SampledChannel(publisher.channel("BTCUSDT"), sampling)
    track = Track("BTCUSDT", Sequencer(channel.send, 100), channel, first_id=first, sampling=sampling)
    track.sequencer.anchor(first)
    return track, publisher


def test_the_sequencer_sees_no_gap_and_the_topic_gets_the_blocks() -> None:
    track, publisher = sampled(Sampling(3, 10), 5)
    for trade_id in (5, 7, 6, 6, *range(8, 95)):
        track.sequencer.offer(trade_id, b"")
    publisher.poll()
    assert track.state is SymbolState.LIVE
    assert publisher.ids("BTCUSDT") == [*range(5, 10), *range(30, 40), *range(60, 70), *range(90, 95)]
    assert track.channel.left_out == 60
    assert track.sequencer.duplicates == 1


@pytest.mark.parametrize(
    ("first", "offered", "acknowledged", "settled"),
    [
        (5, 5, None, 4),  # nothing yet
        (12, 25, None, 24),  # begins among those that are left out
        (5, 8, 7, 7),
        (5, 20, 9, 19),  # the block is through, and what follows is left out
        (5, 40, 9, 29),  # what follows has been left out; the next block waits for Kafka
        (5, 40, 35, 35),
        (5, 40, 39, 39),
    ],
)
def test_what_is_settled(first: int, offered: int, acknowledged: int | None, settled: int) -> None:
    """Ids from ``first`` to ``offered - 1`` were offered."""
    track, _ = sampled(Sampling(3, 10), first)
    for trade_id in range(first, offered):
        track.sequencer.offer(trade_id, b"")
    track.channel.acknowledged = acknowledged
    assert track.settled == settled
    assert track.describe()["settled"] == settled


def test_without_sampling_settled_is_acknowledged() -> None:
    publisher = FakePublisher()
    channel = publisher.channel("BTCUSDT")
    track = Track("BTCUSDT", Sequencer(channel.send, 100, 5), channel, first_id=5)
    track.sequencer.offer(5, b"")
    assert track.settled is None
    publisher.poll()
    assert track.settled == 5


def test_a_full_publisher_is_not_hidden() -> None:
    track, publisher = sampled(Sampling(2, 10), 0)
    publisher.limit = 3
    assert [track.channel.send(i, b"", Origin.STREAM) for i in range(5)] == [Sent.TAKEN] * 3 + [Sent.FULL] * 2
    assert track.channel.send(12, b"", Origin.STREAM) is Sent.TAKEN
