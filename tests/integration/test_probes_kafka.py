"""The Kafka probes against the real broker: healthy, gone, hung, back, and with topics not as they must be."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from include.broker.topics import TopicSpec, ensure_topics, expected_topics
from include.health.observations import (
    ClusterFacts,
    Code,
    Observation,
    OffsetsFacts,
    Outcome,
    PartitionFacts,
    Probe,
    RoundTripFacts,
)
from include.health.prober import Prober
from include.health.probes.factory import kafka_probes
from include.health.probes.kafka_canary import KafkaCanary
from include.health.probes.kafka_group import KafkaGroup
from include.health.probes.kafka_metadata import KafkaMetadata
from include.health.probes.offsets import KafkaOffsets
from include.settings import Settings
from tests.support.servers import KafkaServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
_NUMBERS = itertools.count(1)


class Watched:
    """What a prober saw, with the time of each observation."""

    def __init__(self) -> None:
        self.found: list[tuple[float, Observation]] = []

    def since(self, moment: float, probe: Probe) -> list[tuple[float, Observation]]:
        return [(at, o) for at, o in self.found if at >= moment and o.probe is probe]

    async def until(
        self, moment: float, probe: Probe, wanted: Callable[[Observation], bool], timeout: float
    ) -> tuple[float, Observation]:
        """The first wanted observation after ``moment``, and how long it took to come."""
        async with asyncio.timeout(timeout):
            while True:
                for at, observation in self.since(moment, probe):
                    if wanted(observation):
                        return at - moment, observation
                await asyncio.sleep(0.02)


@pytest.fixture
def broker(kafka: KafkaServer, stack_settings: Settings) -> Iterator[KafkaServer]:
    ensure_topics(kafka.bootstrap, expected_topics(stack_settings))
    yield kafka
    kafka.ensure_running()


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Watched]:
    """All Kafka probes, healthy at the start."""
    prober, watched = Prober(kafka_probes(settings)), Watched()

    async def follow() -> None:
        async for seen in prober.seen():
            watched.found += [(time.monotonic(), observation) for observation in seen.observations]

    task = asyncio.create_task(follow())
    try:
        for probe in (Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA, Probe.KAFKA_GROUP, Probe.OFFSETS):
            await watched.until(0, probe, _good, 25)
        yield watched
    finally:
        began = time.monotonic()
        await prober.aclose()
        assert time.monotonic() - began < 4
        await task


def _good(observation: Observation) -> bool:
    return observation.outcome is Outcome.OK


def _bad(observation: Observation) -> bool:
    return observation.outcome is Outcome.FAILED


async def test_a_healthy_broker(broker: KafkaServer, stack_settings: Settings) -> None:
    async with watching(stack_settings) as watched:
        for probe in (Probe.KAFKA_CANARY, Probe.KAFKA_GROUP):
            _, seen = await watched.until(0, probe, _good, 15)
            assert isinstance(seen.facts, RoundTripFacts)
            assert 0 < seen.facts.seconds <= seen.took_seconds + 0.001
        _, seen = await watched.until(0, Probe.KAFKA_METADATA, _good, 5)
        assert isinstance(seen.facts, ClusterFacts)
        assert (seen.facts.brokers, seen.facts.controller, seen.facts.topic_problems) == (1, 1, {})
        _, seen = await watched.until(0, Probe.OFFSETS, _good, 5)
        assert isinstance(seen.facts, OffsetsFacts)
        assert sorted(seen.facts.partitions) == [0, 1, 2]
        assert seen.facts.retention_seconds == stack_settings.topic_retention_hours * 3600
        began = time.monotonic()
        await watched.until(began + 3, Probe.KAFKA_CANARY, _good, 10)
        assert [o for _, o in watched.since(0, Probe.KAFKA_CANARY) if _bad(o)] == []
        assert len(watched.since(began, Probe.KAFKA_CANARY)) >= 3, "one a second"


async def test_a_killed_broker_is_noticed_at_once_and_so_is_its_return(
    broker: KafkaServer, stack_settings: Settings
) -> None:
    async with watching(stack_settings) as watched:
        broker.kill()
        killed = time.monotonic()
        for probe, seconds in ((Probe.KAFKA_TCP, 1.5), (Probe.KAFKA_CANARY, 2.5), (Probe.KAFKA_METADATA, 4.5)):
            delay, _ = await watched.until(killed, probe, _bad, 6)
            assert delay < seconds, f"{probe}: {delay:.1f} s"
        wait_for_three = killed + 4.5
        await watched.until(wait_for_three, Probe.KAFKA_TCP, _bad, 8)
        tcp, canary = (
            [o for at, o in watched.since(killed, p) if at < wait_for_three]
            for p in (Probe.KAFKA_TCP, Probe.KAFKA_CANARY)
        )
        assert {o.code for o in tcp} == {Code.REFUSED}
        failures = [o for o in canary if _bad(o)]
        assert len(failures) >= 3, f"three failures within 4.5 s: {canary}"
        assert {o.code for o in failures[1:]} == {Code.REFUSED}
        await asyncio.to_thread(broker.start)
        back = time.monotonic()
        for probe in (Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA, Probe.OFFSETS):
            delay, _ = await watched.until(back - 1.0, probe, _good, 10)
            assert delay < 4.0, f"{probe}: {delay:.1f} s after the broker answers"
        settled = time.monotonic()
        await watched.until(settled + 3, Probe.KAFKA_CANARY, _good, 8)
        assert [o for _, o in watched.since(settled, Probe.KAFKA_CANARY) if _bad(o)] == []


async def test_a_hung_broker_accepts_connections_and_fails_the_canary(
    broker: KafkaServer, stack_settings: Settings
) -> None:
    async with watching(stack_settings) as watched:
        broker.suspend()
        hung = time.monotonic()
        await watched.until(hung + 8, Probe.KAFKA_TCP, lambda o: True, 12)
        tcp, canary, metadata = (
            [o for _, o in watched.since(hung + 0.2, p)]
            for p in (Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA)
        )
        assert {o.outcome for o in tcp} == {Outcome.OK}
        assert len([o for o in canary if _bad(o)]) >= 3, "three failures within 8 s"
        assert {o.code for o in canary if _bad(o)} == {Code.TIMEOUT}
        assert max(o.took_seconds for o in canary) <= 2.0, "within the deadline"
        assert {o.code for o in metadata if _bad(o)} == {Code.TIMEOUT}
        assert len([o for o in metadata if _bad(o)]) >= 2
        broker.resume()
        resumed = time.monotonic()
        for probe in (Probe.KAFKA_CANARY, Probe.KAFKA_METADATA, Probe.OFFSETS):
            delay, _ = await watched.until(resumed, probe, _good, 8)
            assert delay < 3.0, f"{probe}: {delay:.1f} s"


def test_topics_that_are_missing_or_have_other_partitions(broker: KafkaServer, fresh_topic: Callable[..., str]) -> None:
    topic, absent = fresh_topic(partitions=2), f"absent-{next(_NUMBERS)}"
    probe = KafkaMetadata(broker.bootstrap, (TopicSpec(topic, 3), TopicSpec(absent, 1)))
    seen = wait_for(lambda: (found := probe.look()).outcome is Outcome.OK and found, 10)
    assert isinstance(seen.facts, ClusterFacts)
    assert seen.facts.topic_problems == {topic: "has 2 partitions, expected 3", absent: "is missing"}
    offsets = KafkaOffsets(broker.bootstrap, 60.0, topic=absent)
    with closing(offsets):
        missing = offsets.look()
    assert (missing.outcome, missing.code) == (Outcome.FAILED, Code.TOPIC_MISSING)


def test_a_canary_survives_that_its_topic_is_deleted_and_made_anew(broker: KafkaServer) -> None:
    topic = f"canary-{next(_NUMBERS)}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    with closing(KafkaCanary(broker.bootstrap, topic)) as canary:
        missing = canary.look()
        assert (missing.outcome, missing.code) == (Outcome.FAILED, Code.TOPIC_MISSING)
        admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
        wait_for(lambda: canary.look().outcome is Outcome.OK, 10, "the topic is there")
        for _ in range(3):
            assert canary.look().outcome is Outcome.OK
        admin.delete_topics([topic])[topic].result(10)
        wait_for(lambda: canary.look().code is Code.TOPIC_MISSING, 10, "the topic is gone")
        admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
        wait_for(lambda: canary.look().outcome is Outcome.OK, 10, "the new one serves, from offset 0 on")
        for _ in range(3):
            assert canary.look().outcome is Outcome.OK


def test_two_canaries_on_one_topic_do_not_take_each_others_records(
    broker: KafkaServer, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(partitions=1)
    with closing(KafkaCanary(broker.bootstrap, topic)) as one, closing(KafkaCanary(broker.bootstrap, topic)) as other:
        for _ in range(5):
            assert [one.look().outcome, other.look().outcome] == [Outcome.OK, Outcome.OK]


def test_a_group_of_its_own(broker: KafkaServer) -> None:
    probe = KafkaGroup(broker.bootstrap, group="probe-test")
    wait_for(lambda: probe.look().outcome is Outcome.OK, 20, "the coordinator is there")
    with closing(Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "probe-test"})) as reader:
        (committed,) = reader.committed([TopicPartition("pipeline-canary", 0)], timeout=5)
    assert abs(committed.offset / 1000 - time.time()) < 30


def test_the_group_is_reachable_again_after_the_broker_hung(broker: KafkaServer) -> None:
    probe = KafkaGroup(broker.bootstrap, group="probe-test")
    wait_for(lambda: probe.look().outcome is Outcome.OK, 20, "the coordinator is there")
    broker.suspend()
    began = time.monotonic()
    seen = probe.look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.TIMEOUT)
    assert time.monotonic() - began < probe.deadline
    broker.resume()
    wait_for(lambda: probe.look().outcome is Outcome.OK, 5, "the same client goes on")


def test_how_long_records_have_waited(broker: KafkaServer, fresh_topic: Callable[..., str]) -> None:
    topic, group = fresh_topic(partitions=3), f"group-{next(_NUMBERS)}"
    now = round(time.time() * 1000)
    # a topic is fresh: a batch that is sent again must not come after the next one
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for age in (300, 200, 100):  # one batch each: the record asked for is found within a batch too
        producer.produce(topic, b"x", partition=0, timestamp=now - age * 1000)
        producer.produce(topic, b"x", partition=1, timestamp=now - age * 1000)
    assert producer.flush(10) == 0
    reader = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False})

    def commit(offsets: dict[int, int]) -> None:
        reader.commit(offsets=[TopicPartition(topic, p, o) for p, o in offsets.items()], asynchronous=False)

    with closing(reader), closing(KafkaOffsets(broker.bootstrap, 60.0, topic, group)) as probe:
        never = _partitions(wait_for(lambda: _ok(probe), 15))
        assert (never[0].committed, never[0].end) == (None, 3)
        assert _ages(never) == [300, 300, 0]
        wait_for(lambda: commit({0: 1, 1: 3, 2: 0}) or True, 15)
        behind = _partitions(_ok(probe))
        assert [behind[p].committed for p in range(3)] == [1, 3, 0]
        assert _ages(behind) == [200, 0, 0]
        commit({0: 2})
        assert _ages(_partitions(_ok(probe))) == [100, 0, 0]
        commit({0: 7})
        beyond = _partitions(_ok(probe))[0]
        assert (beyond.committed, beyond.end, beyond.waiting_seconds) == (7, 3, 0.0), "reported as it is"


def _ok(probe: KafkaOffsets) -> Observation:
    seen = probe.look()
    assert seen.outcome is Outcome.OK, seen
    return seen


def _partitions(seen: Observation) -> dict[int, PartitionFacts]:
    assert isinstance(seen.facts, OffsetsFacts)
    return seen.facts.partitions


def _ages(partitions: dict[int, PartitionFacts]) -> list[int]:
    """In seconds, to 20 s."""
    waiting = [partitions[p].waiting_seconds for p in sorted(partitions)]
    assert None not in waiting
    return [round((seconds or 0) / 20) * 20 for seconds in waiting]
