"""What every publisher promises; the fake and the real one pass the same suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.producer.errors import LastError
from include.producer.kafka_publisher import KafkaPublisher, KafkaTarget
from include.producer.publisher import Origin, Publisher, PublisherState, Sent
from include.runtime.clock import SystemClock
from tests.support.fake_publisher import FakePublisher
from tests.support.producing import read_topic
from tests.support.servers import KafkaServer

LIMIT = 100
LETTER = DeadLetter(b"{half", DeadLetterReason.MALFORMED_JSON, "cut short", "btc_producer", "btcusdt@trade", 1)


class Bench:
    """A publisher, what can be done to its broker, and what its topics hold."""

    publisher: Publisher

    def away(self) -> None:
        raise NotImplementedError

    def back(self) -> None:
        raise NotImplementedError

    def stored(self) -> list[tuple[str, bytes, Origin]]:
        raise NotImplementedError

    def dead_letters(self) -> list[DeadLetter]:
        raise NotImplementedError


class FakeBench(Bench):
    def __init__(self) -> None:
        self.publisher = self.fake = FakePublisher(LIMIT)

    def away(self) -> None:
        self.fake.away = True

    def back(self) -> None:
        self.fake.away = False

    def stored(self) -> list[tuple[str, bytes, Origin]]:
        return [(symbol, value, origin) for symbol, _, value, origin in self.fake.topic]

    def dead_letters(self) -> list[DeadLetter]:
        return self.fake.dead_letters


class KafkaBench(Bench):
    def __init__(self, kafka: KafkaServer, topic: str, dead_letter_topic: str) -> None:
        self._kafka, self._topic, self._dead_letter_topic = kafka, topic, dead_letter_topic
        target = KafkaTarget(kafka.bootstrap, topic, dead_letter_topic, LIMIT)
        self.publisher = KafkaPublisher(target, SystemClock(), LastError())

    def away(self) -> None:
        self._kafka.suspend()

    def back(self) -> None:
        self._kafka.resume()

    def stored(self) -> list[tuple[str, bytes, Origin]]:
        return [
            ((r.key or b"").decode(), r.value, Origin.REST if r.headers.get("source") == b"rest" else Origin.STREAM)
            for r in read_topic(self._kafka.bootstrap, self._topic)
        ]

    def dead_letters(self) -> list[DeadLetter]:
        records = read_topic(self._kafka.bootstrap, self._dead_letter_topic)
        return [DeadLetter.from_record(r.value, list(r.headers.items())) for r in records]


@pytest.fixture(params=["fake", pytest.param("kafka", marks=pytest.mark.integration)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    fresh: Callable[..., str] = request.getfixturevalue("fresh_topic")
    kafka = KafkaBench(request.getfixturevalue("kafka"), fresh(), fresh(1))
    yield kafka
    kafka.back()
    kafka.publisher.abandon()


def poll_until(bench: Bench, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, bench.publisher.position()
        bench.publisher.poll()
        time.sleep(0.01)


def test_trades_are_stored_in_order_and_acknowledged(bench: Bench) -> None:
    btc, eth = bench.publisher.channel("BTCUSDT"), bench.publisher.channel("ETHUSDT")
    assert bench.publisher.channel("BTCUSDT") is btc
    assert btc.acknowledged is None
    for number in range(10, 20):
        assert btc.send(number, b"b%d" % number, Origin.STREAM) is Sent.TAKEN
        assert eth.send(number * 7, b"e%d" % number, Origin.REST) is Sent.TAKEN
    assert bench.publisher.position().buffered == 20
    assert bench.publisher.flush(15) == 0
    assert (btc.acknowledged, eth.acknowledged) == (19, 133)
    assert bench.publisher.position().buffered == 0
    stored = bench.stored()
    assert [value for symbol, value, _ in stored if symbol == "BTCUSDT"] == [b"b%d" % n for n in range(10, 20)]
    assert {origin for symbol, _, origin in stored if symbol == "ETHUSDT"} == {Origin.REST}
    assert {origin for symbol, _, origin in stored if symbol == "BTCUSDT"} == {Origin.STREAM}


def test_the_bound_pauses_and_half_of_it_opens_again(bench: Bench) -> None:
    channel = bench.publisher.channel("BTCUSDT")
    assert channel.send(0, b"0", Origin.STREAM) is Sent.TAKEN
    assert bench.publisher.flush(15) == 0
    bench.away()
    for number in range(1, LIMIT + 1):
        assert channel.send(number, b"%d" % number, Origin.STREAM) is Sent.TAKEN
    bench.publisher.poll()
    assert channel.send(LIMIT + 1, b"", Origin.STREAM) is Sent.FULL
    assert bench.publisher.state is PublisherState.PAUSED
    assert bench.publisher.position().buffered == LIMIT
    time.sleep(0.2)
    bench.publisher.poll()
    assert bench.publisher.position().oldest_unacknowledged_seconds >= 0.15
    assert channel.acknowledged == 0
    bench.back()
    poll_until(bench, lambda: bench.publisher.state is PublisherState.OPEN)
    assert bench.publisher.flush(15) == 0
    assert channel.send(LIMIT + 1, b"%d" % (LIMIT + 1), Origin.STREAM) is Sent.TAKEN
    assert bench.publisher.flush(15) == 0
    assert [int(value) for _, value, _ in bench.stored()] == list(range(LIMIT + 2))
    assert bench.publisher.position().oldest_unacknowledged_seconds == 0


def test_dead_letters_keep_the_raw_bytes_and_the_facts(bench: Bench) -> None:
    assert bench.publisher.send_dead_letter(LETTER) is Sent.TAKEN
    assert bench.publisher.flush(15) == 0
    assert bench.dead_letters() == [LETTER]
    assert bench.publisher.dead_letters_lost == 0


def test_an_abandoned_publisher_takes_nothing_and_forgets_what_it_held(bench: Bench) -> None:
    channel = bench.publisher.channel("BTCUSDT")
    channel.send(1, b"1", Origin.STREAM)
    assert bench.publisher.flush(15) == 0
    bench.away()
    channel.send(2, b"2", Origin.STREAM)
    bench.publisher.abandon()
    assert bench.publisher.state is PublisherState.BROKEN
    assert channel.send(3, b"3", Origin.STREAM) is Sent.BROKEN
    assert bench.publisher.send_dead_letter(LETTER) is Sent.BROKEN
    assert channel.acknowledged == 1
    bench.back()
