"""OFFSETS: where each partition of ``crypto-trades`` ends, and where ``spark-group`` is, read in one round.

The committed offsets are read before the ends: records that arrive in between make the lag a little larger, never
negative. They are read by a consumer, not by the admin client: librdkafka ends the whole process when the connection
of an admin request to a coordinator is lost (https://github.com/confluentinc/librdkafka/issues/4605). What comes out
negative all the same (a topic made anew, a broker whose disk was lost) is reported as it is.
"""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo, OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from include.broker.topics import CONSUMER_GROUP, TRADES
from include.health.observations import Observation, OffsetsFacts, Outcome, PartitionFacts
from include.health.observations import Probe as ProbeName
from include.health.probes.base import seen_well
from include.health.probes.kafka_client import Look, client_config
from include.health.probes.record_times import RecordTimes
from include.runtime.clock import Clock, SystemClock

_LOOK_SECONDS = 1.8
_RECORD_SECONDS = 0.8  # of it, at most, for fetching records
_RETENTION_FOR_SECONDS = 300.0  # it is asked for again after this time

Ends = dict[int, ListOffsetsResultInfo]


class KafkaOffsets:
    """One round every two seconds.

    ``waiting_seconds`` is the age of the record at the committed offset, by its timestamp in Kafka (when the producer
    wrote it); before the first commit, and where retention has deleted that record, of the oldest one there is.
    """

    name, every, deadline, overrun = ProbeName.OFFSETS, 2.0, 2.0, Outcome.FAILED

    def __init__(
        self,
        bootstrap_servers: str,
        retention_seconds: float,
        topic: str = TRADES,
        group: str = CONSUMER_GROUP,
        clock: Clock | None = None,
    ) -> None:
        """``retention_seconds``: what is assumed until the topic's own setting could be read."""
        self._topic, self._clock = topic, clock or SystemClock()
        self._look = Look(_LOOK_SECONDS)
        self._admin = AdminClient(client_config(bootstrap_servers, self._look))
        self._times = RecordTimes(bootstrap_servers, topic, group)
        self._retention, self._retention_asked_at = retention_seconds, float("-inf")

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        self._admin.poll(0)  # what was reported since the last look
        self._look.begin()
        try:
            partitions = self._partitions()
            committed = self._committed(partitions)
            ends = self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
            starts = self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            retention = self._retention_seconds()
        except KafkaException as error:
            self._admin.poll(0)
            return self._look.failure(self.name, error.args[0], "offsets")
        self._look.good()
        waiting = self._waiting(committed, ends, starts)
        facts = {
            partition: PartitionFacts(
                end=ends[partition].offset,
                committed=committed.get(partition),
                waiting_seconds=waiting[partition],
                start=starts[partition].offset,
                leader_epoch=ends[partition].leader_epoch,
            )
            for partition in partitions
        }
        return seen_well(self.name, OffsetsFacts(partitions=facts, retention_seconds=retention))

    def close(self) -> None:
        """See :class:`include.health.probes.base.Probe`."""
        self._times.close()

    def _partitions(self) -> list[int]:
        topic = self._admin.list_topics(self._topic, timeout=max(0.05, self._look.left)).topics[self._topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        return sorted(topic.partitions)

    def _committed(self, partitions: list[int]) -> dict[int, int]:
        """By partition; those never committed are left out."""
        answer = self._times.committed(partitions, max(0.05, self._look.left))
        if errors := [partition.error for partition in answer if partition.error is not None]:
            raise KafkaException(errors[0])
        return {partition.partition: partition.offset for partition in answer if partition.offset >= 0}

    def _offsets(self, partitions: list[int], which: OffsetSpec) -> Ends:
        wanted = {TopicPartition(self._topic, p): which for p in partitions}
        futures = self._admin.list_offsets(wanted, request_timeout=max(0.05, self._look.left))
        return {partition.partition: self._look.result(future) for partition, future in futures.items()}

    def _retention_seconds(self) -> float:
        now = self._clock.monotonic()
        if now >= self._retention_asked_at + _RETENTION_FOR_SECONDS:
            topic = ConfigResource(ResourceType.TOPIC, self._topic)
            (future,) = self._admin.describe_configs([topic], request_timeout=max(0.05, self._look.left)).values()
            milliseconds = int(self._look.result(future)["retention.ms"].value)
            self._retention = milliseconds / 1000 if milliseconds >= 0 else float("inf")
            self._retention_asked_at = now
        return self._retention

    def _waiting(self, committed: dict[int, int], ends: Ends, starts: Ends) -> dict[int, float | None]:
        """Seconds by partition; 0 where nothing is unread."""
        next_read = {p: max(committed.get(p, 0), start.offset) for p, start in starts.items()}
        unread = {p: offset for p, offset in next_read.items() if offset < ends[p].offset}
        times = self._times.at(unread, {p: end.leader_epoch for p, end in ends.items()}, self._record_seconds())
        now = self._clock.time_ms()
        return {
            p: 0.0 if p not in unread else max(0.0, (now - times[p]) / 1000) if p in times else None for p in next_read
        }

    def _record_seconds(self) -> float:
        return min(_RECORD_SECONDS, self._look.left)
