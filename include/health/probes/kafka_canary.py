"""KAFKA_CANARY: write a record that all replicas acknowledge, and read the same record back.

This is the one question that a broker which only seems alive cannot answer: it may accept connections and tell its
metadata while it cannot store or serve a record.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin._metadata import TopicMetadata

from include.broker.topics import CANARY
from include.health.observations import Observation, Outcome, RoundTripFacts
from include.health.observations import Probe as ProbeName
from include.health.probes.base import seen_well
from include.health.probes.kafka_client import Look, client_config

PROBE_GROUP = "pipeline-probe"
_LOOK_SECONDS = 1.8
_WHY_SECONDS = 0.3  # of it, to ask why a record was not taken
_FAR = 1_000  # records between what was read and what was written, beyond which reading starts anew
_NO_LEADER = -1


@dataclass
class _Report:
    """Kafka's word on one record. Each look has its own, so one that arrives late is never taken for the present."""

    done: bool = False
    error: KafkaError | None = None
    offset: int = -1

    def take(self, error: KafkaError | None, message: Message) -> None:
        self.done, self.error = True, error
        self.offset = message.offset() or 0


class KafkaCanary:
    """One record a second through partition 0 of ``pipeline-canary``; facts: seconds from writing to having read."""

    name, every, deadline, overrun = ProbeName.KAFKA_CANARY, 1.0, 2.0, Outcome.FAILED

    def __init__(self, bootstrap_servers: str, topic: str = CANARY) -> None:
        self._topic, self._look = topic, Look(_LOOK_SECONDS)
        self._source, self._sequence = uuid.uuid4().hex, 0
        self._next: int | None = None  # offset that is read next; None: reading has to start anew
        self._producer = Producer(
            client_config(
                bootstrap_servers,
                self._look,
                **{
                    "acks": "all",
                    "linger.ms": 0,
                    "message.timeout.ms": round((_LOOK_SECONDS - _WHY_SECONDS) * 1000),
                    "retry.backoff.ms": 50,
                    "retry.backoff.max.ms": 300,
                    "topic.metadata.propagation.max.ms": 500,  # an unknown topic is an answer, not a matter of waiting
                },
            )
        )
        self._consumer = Consumer(
            client_config(
                bootstrap_servers,
                Look(_LOOK_SECONDS),  # what is refused, the producer hears as well
                **{
                    "group.id": PROBE_GROUP,  # never joined, nothing is committed: partitions are assigned
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "auto.offset.reset": "error",
                    "fetch.wait.max.ms": 1_000,
                    "fetch.error.backoff.ms": 100,
                    "queued.min.messages": 100,  # when so many wait, librdkafka pauses fetching for a second
                    "queued.max.messages.kbytes": 256,
                },
            )
        )

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        self._producer.poll(0)  # what was reported since the last look
        self._look.begin()
        began = time.monotonic()
        self._sequence += 1
        record = f"{self._source}:{self._sequence}".encode()
        if isinstance(offset := self._write(record), Observation):
            return offset
        if (trouble := self._read_back(record, offset)) is not None:
            self._next = None
            return trouble
        self._look.good()
        return seen_well(self.name, RoundTripFacts(seconds=round(time.monotonic() - began, 6)))

    def close(self) -> None:
        """See :class:`include.health.probes.base.Probe`."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._producer.poll(0)
        self._consumer.close()

    def _write(self, record: bytes) -> int | Observation:
        """The record's offset, or what went wrong."""
        report = _Report()
        try:
            self._producer.produce(self._topic, record, partition=0, on_delivery=report.take)
        except KafkaException as error:
            return self._look.failure(self.name, error.args[0], "write")
        while not report.done and self._look.left > _WHY_SECONDS and not self._look.nobody_listens:
            self._producer.poll(max(0.0, min(0.2, self._look.left - _WHY_SECONDS)))  # negative would mean for ever
        if report.done:
            return report.offset if report.error is None else self._refused(report.error)
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)  # it must not be delivered some time later
        self._producer.poll(0)
        return self._refused(KafkaError(KafkaError._MSG_TIMED_OUT))

    def _refused(self, error: KafkaError) -> Observation:
        """A record without a leader just waits until its time is over: ask the rest of the cluster why."""
        if error.code() == KafkaError._MSG_TIMED_OUT and not self._look.nobody_listens:
            with contextlib.suppress(KafkaException):
                topics = self._producer.list_topics(
                    self._topic, timeout=_WHY_SECONDS / 2
                ).topics  # it may take twice that
                error = _topic_error(topics[self._topic]) or error
        return self._look.failure(self.name, error, "write")

    def _read_back(self, record: bytes, offset: int) -> Observation | None:
        """Read up to ``record``, which is at ``offset``; the answer is what went wrong."""
        what = "read back what was written"
        try:
            if self._next is None or not self._next <= offset <= self._next + _FAR:
                # A client that knows no leader yet (or an old one) would wait a second before it asks for it.
                self._consumer.list_topics(self._topic, timeout=max(0.1, self._look.left))
                self._consumer.assign([TopicPartition(self._topic, 0, offset)])
                self._next = offset
            while self._look.left > 0 and (message := self._consumer.poll(self._look.left)) is not None:
                if (error := message.error()) is not None:
                    return self._look.failure(self.name, error, what)
                self._next = (message.offset() or 0) + 1
                if message.value() == record:
                    return None
        except KafkaException as raised:
            return self._look.failure(self.name, raised.args[0], what)
        return self._look.failure(self.name, KafkaError(KafkaError._TIMED_OUT), what)


def _topic_error(topic: TopicMetadata) -> KafkaError | None:
    """Why partition 0 takes no record, as far as the metadata tells."""
    if topic.error is not None:
        return topic.error
    if (partition := topic.partitions.get(0)) is None:
        return KafkaError(KafkaError._UNKNOWN_PARTITION)
    return KafkaError(KafkaError.LEADER_NOT_AVAILABLE) if partition.leader == _NO_LEADER else None
