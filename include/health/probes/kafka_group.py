"""KAFKA_GROUP: can a consumer group's offsets be committed and read? Only its coordinator can tell."""

from __future__ import annotations

import time

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from include.broker.topics import CANARY
from include.health.observations import Code, Observation, Outcome, RoundTripFacts
from include.health.observations import Probe as ProbeName
from include.health.probes.base import failed, seen_well
from include.health.probes.kafka_canary import PROBE_GROUP
from include.health.probes.kafka_client import Look, client_config

_LOOK_SECONDS = 2.7


class KafkaGroup:
    """Commits the present time (milliseconds) as the offset of a group of its own, and reads it back."""

    name, every, deadline, overrun = ProbeName.KAFKA_GROUP, 10.0, 3.0, Outcome.FAILED

    def __init__(self, bootstrap_servers: str, group: str = PROBE_GROUP) -> None:
        self._group, self._look = group, Look(_LOOK_SECONDS)
        self._config = client_config(bootstrap_servers, self._look)
        self._admin = AdminClient(self._config)

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        self._admin.poll(0)
        self._look.begin()
        began, offset = time.monotonic(), time.time_ns() // 1_000_000
        try:
            # Else a client whose connection was lost waits for its coordinator for ever (librdkafka 2.16).
            self._admin.list_topics(CANARY, timeout=max(0.1, self._look.left))
            self._commit(offset)
        except KafkaException as error:
            return self._failure(error, "commit")
        try:
            read = self._read()
        except KafkaException as error:
            return self._failure(error, "read what was committed")
        if read < offset:  # newer is another observer's
            return failed(self.name, Code.REFUSES, f"committed offset {offset}, but {read} is what was read")
        self._look.good()
        return seen_well(self.name, RoundTripFacts(seconds=round(time.monotonic() - began, 6)))

    def close(self) -> None:
        """The client is freed with this object."""

    def _failure(self, error: KafkaException, what: str) -> Observation:
        """The next look gets a client of its own: this one may wait for ever for a coordinator that was away."""
        self._admin.poll(0)
        self._admin = AdminClient(self._config)
        return self._look.failure(self.name, error.args[0], what)

    def _commit(self, offset: int) -> None:
        wanted = ConsumerGroupTopicPartitions(self._group, [TopicPartition(CANARY, 0, offset)])
        futures = self._admin.alter_consumer_group_offsets([wanted], request_timeout=self._look.left)
        _offset(self._look.result(futures[self._group]))

    def _read(self) -> int:
        wanted = ConsumerGroupTopicPartitions(self._group, [TopicPartition(CANARY, 0)])
        futures = self._admin.list_consumer_group_offsets([wanted], request_timeout=self._look.left)
        return _offset(self._look.result(futures[self._group]))


def _offset(answer: ConsumerGroupTopicPartitions) -> int:
    """The one offset of an answer. Raises :class:`KafkaException` when the coordinator refused it."""
    (partition,) = answer.topic_partitions or [TopicPartition(CANARY, 0)]
    if partition.error is not None and partition.error.code() != KafkaError.NO_ERROR:
        raise KafkaException(partition.error)
    return int(partition.offset)
