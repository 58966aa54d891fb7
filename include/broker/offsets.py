"""Positions in Kafka: end offsets, and what ``spark-group`` has finished.

The stream processor is not a member of the group (Spark commits nothing): it commits the offsets of a micro-batch after
its MySQL commit, so the group's lag is the true lag and the group is EMPTY by design.
"""

from __future__ import annotations

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from include.broker.topics import CONSUMER_GROUP, TRADES

Offsets = dict[int, int]


class OffsetReader:
    """Reads committed and end offsets in one round; reuse one instance, close it at the end.

    Every call raises :class:`confluent_kafka.KafkaException` when the broker does not answer within ``timeout``
    seconds.
    """

    def __init__(self, bootstrap_servers: str, timeout: float = 2.0, topic: str = TRADES) -> None:
        self._timeout, self._topic = timeout, topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": CONSUMER_GROUP,
                "enable.auto.commit": False,
                "socket.timeout.ms": max(1000, round(timeout * 1000)),
                "log_level": 2,
            }
        )

    def partitions(self) -> list[int]:
        """Partition numbers of the topic; empty when it does not exist."""
        topics = self._consumer.list_topics(self._topic, timeout=self._timeout).topics
        return sorted(topics[self._topic].partitions)

    def end_offsets(self) -> Offsets:
        """Offset after the newest record, by partition."""
        return {p: self._watermarks(p)[1] for p in self.partitions()}

    def _watermarks(self, partition: int) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=self._timeout)
        return low, high

    def committed_offsets(self) -> Offsets:
        """Next offset that ``spark-group`` has not finished, by partition; partitions never committed are left out."""
        wanted = [TopicPartition(self._topic, p) for p in self.partitions()]
        committed = self._consumer.committed(wanted, timeout=self._timeout)
        return {tp.partition: tp.offset for tp in committed if tp.offset != OFFSET_INVALID and tp.offset >= 0}

    def lag(self) -> Offsets:
        """Records that ``spark-group`` has not finished, by partition; never committed counts from the log's start."""
        committed = self.committed_offsets()
        result = {}
        for partition in self.partitions():
            low, high = self._watermarks(partition)
            result[partition] = max(0, high - committed.get(partition, low))
        return result

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


class OffsetCommitter:
    """Commits finished offsets to ``spark-group`` without joining it."""

    def __init__(self, bootstrap_servers: str, topic: str = TRADES) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": CONSUMER_GROUP,
                "enable.auto.commit": False,
                "socket.timeout.ms": 3000,
                "log_level": 2,
            }
        )

    def commit(self, offsets: Offsets) -> None:
        """Commit ``offsets`` (next offset to read, by partition).

        Raises :class:`confluent_kafka.KafkaException`, also when an active member of the group holds it.
        """
        positions = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        for result in self._consumer.commit(offsets=positions, asynchronous=False) or ():
            if result.error is not None:
                raise KafkaException(result.error)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
