"""KAFKA_GROUP: can a consumer group's offsets be committed and read? Only its coordinator can tell.

By a consumer, not by the admin client: librdkafka ends the whole process when the connection of an admin request to a
coordinator is lost (https://github.com/confluentinc/librdkafka/issues/4605), and this one is shared with supervision.
"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

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
        self._look = Look(_LOOK_SECONDS)
        self._answers: dict[int, KafkaError | None] = {}  # by the offset that was to be committed
        more = {"group.id": group, "enable.auto.commit": False, "on_commit": self._on_commit}
        self._consumer = Consumer(client_config(bootstrap_servers, self._look, **more))

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        self._consumer.poll(0)
        self._look.begin()
        self._answers.clear()
        began, offset = time.monotonic(), time.time_ns() // 1_000_000
        try:
            self._commit(offset)
        except KafkaException as error:
            return self._look.failure(self.name, error.args[0], "commit")
        try:
            read = self._read()
        except KafkaException as error:
            return self._look.failure(self.name, error.args[0], "read what was committed")
        if read < offset:  # newer is another observer's
            return failed(self.name, Code.REFUSES, f"committed offset {offset}, but {read} is what was read")
        self._look.good()
        return seen_well(self.name, RoundTripFacts(seconds=round(time.monotonic() - began, 6)))

    def close(self) -> None:
        """See :class:`include.health.probes.base.Probe`."""
        self._consumer.close()

    def _commit(self, offset: int) -> None:
        """Wait for the coordinator's answer as long as the look may take; a later one is nobody's."""
        self._consumer.commit(offsets=[TopicPartition(CANARY, 0, offset)], asynchronous=True)
        while offset not in self._answers and self._look.left > 0 and not self._look.nobody_listens:
            self._consumer.poll(min(0.1, self._look.left))
        if offset not in self._answers:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if (error := self._answers[offset]) is not None:
            raise KafkaException(error)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._answers[partition.offset] = error or partition.error

    def _read(self) -> int:
        (partition,) = self._consumer.committed([TopicPartition(CANARY, 0)], timeout=max(0.05, self._look.left))
        if partition.error is not None:
            raise KafkaException(partition.error)
        return int(partition.offset)
