"""Kafka probes without a broker: connections, the classes of errors, the time of a look."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing

import pytest
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka.admin._metadata import ClusterMetadata, PartitionMetadata, TopicMetadata

from include.broker.topics import TopicSpec, differences
from include.health.observations import Code, Outcome, Probe
from include.health.probes.kafka_canary import KafkaCanary
from include.health.probes.kafka_client import Look, code_of
from include.health.probes.kafka_metadata import KafkaMetadata
from include.health.probes.kafka_tcp import KafkaTcp


@pytest.fixture
def listening() -> Iterator[str]:
    """A server that accepts connections and never answers: a hung broker."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing() -> str:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_connections_are_accepted_also_by_a_hung_server(listening: str) -> None:
    seen = KafkaTcp(listening).look()
    assert (seen.outcome, seen.error) == (Outcome.OK, None)


def test_one_server_of_several_suffices_and_the_others_are_named(listening: str, refusing: str) -> None:
    seen = KafkaTcp(f"{refusing},{listening}").look()
    assert (seen.outcome, seen.error) == (Outcome.OK, f"{refusing} refused")


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ((ConnectionRefusedError(), ConnectionRefusedError()), Code.REFUSED),
        ((TimeoutError(), TimeoutError()), Code.TIMEOUT),
        ((OSError("no route"), socket.gaierror("no such host")), Code.UNREACHABLE),
        ((ConnectionRefusedError(), TimeoutError()), Code.TIMEOUT),
    ],
)
def test_how_connecting_failed(monkeypatch: pytest.MonkeyPatch, raised: tuple[OSError, ...], code: Code) -> None:
    answers = iter(raised)

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        assert timeout == 0.5
        raise next(answers)

    monkeypatch.setattr("include.health.probes.kafka_tcp.socket.create_connection", connect)
    probe = KafkaTcp("a:1,b:2")
    assert probe.deadline > 1.0, "each server has its half second"
    seen = probe.look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, code)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (KafkaError._MSG_TIMED_OUT, Code.TIMEOUT),
        (KafkaError._TIMED_OUT, Code.TIMEOUT),
        (KafkaError.REQUEST_TIMED_OUT, Code.TIMEOUT),
        (KafkaError._TRANSPORT, Code.TRANSPORT),
        (KafkaError._ALL_BROKERS_DOWN, Code.TRANSPORT),
        (KafkaError.LEADER_NOT_AVAILABLE, Code.NO_LEADER),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Code.NO_LEADER),
        (KafkaError._NOENT, Code.NO_LEADER),
        (KafkaError.NOT_ENOUGH_REPLICAS, Code.NOT_ENOUGH_REPLICAS),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, Code.NOT_ENOUGH_REPLICAS),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Code.TOPIC_MISSING),
        (KafkaError._UNKNOWN_PARTITION, Code.TOPIC_MISSING),
        (KafkaError.KAFKA_STORAGE_ERROR, Code.STORAGE),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Code.REFUSES),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, Code.REFUSES),
        (KafkaError._QUEUE_FULL, Code.OWN_FAULT),
    ],
)
def test_classes_of_kafka_errors(number: int, code: Code) -> None:
    assert code_of(KafkaError(number)) is code


def _refused() -> list[KafkaError]:
    return [
        KafkaError(KafkaError._TRANSPORT, "Connect to ipv4#127.0.0.1:1 failed: Connection refused"),
        KafkaError(KafkaError._ALL_BROKERS_DOWN),
    ]


@pytest.mark.parametrize(
    ("reports", "error", "code"),
    [
        ([], KafkaError._TIMED_OUT, Code.TIMEOUT),
        (_refused(), KafkaError._TIMED_OUT, Code.REFUSED),
        (_refused()[:1], KafkaError._TRANSPORT, Code.REFUSED),
        (_refused()[:1], KafkaError._TIMED_OUT, Code.TIMEOUT),  # another broker is there, and does not answer
        (_refused(), KafkaError.KAFKA_STORAGE_ERROR, Code.STORAGE),
        ([], KafkaError._TRANSPORT, Code.TIMEOUT),  # the time is over: connections open, none became usable
    ],
)
def test_what_the_connections_add_to_an_error(reports: list[KafkaError], error: int, code: Code) -> None:
    look = Look(0.0)
    look.begin()
    for report in reports:
        look.on_error(report)
    assert look.failure(Probe.KAFKA_CANARY, KafkaError(error), "write").code is code


def test_the_probes_own_fault_is_blind_and_a_lost_connection_is_not_a_time_out() -> None:
    look = Look(5.0)
    look.begin()
    seen = look.failure(Probe.KAFKA_CANARY, KafkaError(KafkaError._QUEUE_FULL), "write")
    assert (seen.outcome, seen.code) == (Outcome.BLIND, Code.OWN_FAULT)
    assert look.failure(Probe.KAFKA_CANARY, KafkaError(KafkaError._TRANSPORT), "write").code is Code.TRANSPORT


def test_an_answer_that_does_not_come_is_a_time_out() -> None:
    look = Look(0.01)
    look.begin()
    with pytest.raises(KafkaException) as raised:
        look.result(Future[None]())
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT


def test_canary_and_metadata_do_not_wait_for_their_deadline_when_nobody_listens(refusing: str) -> None:
    began = time.monotonic()
    with closing(KafkaCanary(refusing)) as canary:
        seen = canary.look()
        assert 0.6 < time.monotonic() - began < 1.4
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.REFUSED)
    began = time.monotonic()
    seen = KafkaMetadata(refusing, ()).look()
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.REFUSED)
    assert 0.6 < time.monotonic() - began < 1.4, "each gives a restart its chance"


def test_a_hung_server_is_a_time_out_within_the_deadline(listening: str) -> None:
    with closing(KafkaCanary(listening)) as canary:
        began = time.monotonic()
        seen = canary.look()
        assert 1.2 < time.monotonic() - began < canary.deadline, "slow is not gone: it has nearly all its time"
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.TIMEOUT)


class LateBroker:
    """In place of both clients: acknowledges everything late, and hands out what the test says."""

    def __init__(self, config: dict[str, object]) -> None:
        self.waiting: list[tuple[bytes, Callable[[KafkaError | None, Message], None]]] = []
        self.log: list[bytes] = []
        self.unread: list[Message] = []
        self.lets_through = False

    def produce(self, topic: str, value: bytes, partition: int, on_delivery: Callable[..., None]) -> None:
        self.waiting.append((value, on_delivery))

    def poll(self, seconds: float) -> Message | None:
        if self.unread:
            return self.unread.pop(0)
        while self.lets_through and self.waiting:
            value, report = self.waiting.pop(0)
            self.log.append(value)
            report(None, Message(value=value, offset=len(self.log) - 1))
        return None

    def purge(self, **how: bool) -> None:
        """A record that is on its way cannot be taken back."""

    def list_topics(self, topic: str, timeout: float) -> ClusterMetadata:
        return _cluster(topic)

    def assign(self, partitions: list[object]) -> None:
        """Reading starts anew."""

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize(("own_record_comes", "outcome"), [(True, Outcome.OK), (False, Outcome.FAILED)])
def test_a_record_of_the_past_is_not_taken_for_the_present_one(
    monkeypatch: pytest.MonkeyPatch, own_record_comes: bool, outcome: Outcome
) -> None:
    monkeypatch.setattr("include.health.probes.kafka_canary._LOOK_SECONDS", 0.4)
    monkeypatch.setattr("include.health.probes.kafka_canary.Producer", LateBroker)
    monkeypatch.setattr("include.health.probes.kafka_canary.Consumer", LateBroker)
    canary = KafkaCanary("unused:1")
    broker, reader = canary._producer, canary._consumer
    assert isinstance(broker, LateBroker)
    assert isinstance(reader, LateBroker)
    assert canary.look().code is Code.TIMEOUT
    broker.lets_through = True
    past, present = broker.waiting[0][0], f"{canary._source}:2".encode()
    reader.unread = [Message(value=past, offset=0)]
    if own_record_comes:
        reader.unread.append(Message(value=present, offset=1))
    assert canary.look().outcome is outcome
    assert broker.log == [past, present]


def _cluster(name: str) -> ClusterMetadata:
    cluster = ClusterMetadata()
    cluster.topics[name] = _topic([1])
    return cluster


def _topic(leaders: list[int], in_sync: int = 1, error: KafkaError | None = None) -> TopicMetadata:
    topic = TopicMetadata()
    topic.error = error
    for number, leader in enumerate(leaders):
        partition = PartitionMetadata()
        partition.id, partition.leader = number, leader
        partition.replicas, partition.isrs = [1], [1][:in_sync]
        topic.partitions[number] = partition
    return topic


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        (_topic([1, 1]), None),
        (None, "is missing"),
        (_topic([1]), "has 1 partitions, expected 2"),
        (_topic([1, -1]), "has no leader for partition 1"),
        (_topic([1, 1], in_sync=0), "has replicas out of sync in partition 0, 1"),
        (
            _topic([], error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)),
            "is not usable: Broker: Unknown topic or partition",
        ),
    ],
)
def test_what_differs_from_the_expected_topic(topic: TopicMetadata | None, problem: str | None) -> None:
    present = {} if topic is None else {"t": topic}
    assert differences(present, [TopicSpec("t", 2)]) == ({} if problem is None else {"t": problem})
